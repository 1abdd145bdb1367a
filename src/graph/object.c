// SPDX-License-Identifier: Apache-2.0
#include "graph/object.h"

#include <string.h>

enum {
	WORD = 8,
	PAGE = 4096,
};

/** Visits the words of `size` bytes that are in a row; false if the visitor has enough. */
static bool scan_row(const struct graph_object *object, const uint8_t *bytes, uint64_t offset,
		     size_t size, lens_visit visit, void *context)
{
	uint64_t span = object->high - object->low;
	struct lens_reference reference = {.guessed = true};
	for (size_t at = 0; at + WORD <= size; at += WORD) {
		uint64_t word;
		memcpy(&word, bytes + at, sizeof(word));
		if (word - object->low >= span)
			continue;
		reference.offset = offset + at;
		reference.target = word;
		if (!visit(context, &reference))
			return false;
	}
	return true;
}

/** A word that lies across two rows; bytes that cannot be read make it none. */
static bool scan_seam(const struct lens_memory *memory, const struct graph_object *object,
		      uint64_t offset, lens_visit visit, void *context)
{
	uint8_t word[WORD];
	for (size_t done = 0; done < sizeof(word);) {
		size_t available;
		const uint8_t *bytes =
			memory->at(memory->reader, object->address + offset + done, &available);
		if (!bytes)
			return true;
		available = available < WORD - done ? available : WORD - done;
		memcpy(word + done, bytes, available);
		done += available;
	}
	return scan_row(object, word, offset, WORD, visit, context);
}

/** Aligned words of an object that nothing is known of. */
static void scan(const struct lens_memory *memory, const struct graph_object *object,
		 lens_visit visit, void *context, uint64_t *unreadable)
{
	uint64_t offset = -object->address % WORD;
	while (offset + WORD <= object->size_bytes) {
		size_t available;
		const uint8_t *bytes =
			memory->at(memory->reader, object->address + offset, &available);
		uint64_t left = object->size_bytes - offset;
		if (!bytes) {
			uint64_t skipped = PAGE - (object->address + offset) % PAGE;
			skipped = skipped < left ? skipped : left;
			*unreadable += skipped;
			offset += skipped;
			continue;
		}
		size_t size = available < left ? available : (size_t)left;
		if (size < WORD) {
			if (!scan_seam(memory, object, offset, visit, context))
				return;
			offset += WORD;
			continue;
		}
		size -= size % WORD;
		if (!scan_row(object, bytes, offset, size, visit, context))
			return;
		offset += size;
	}
}

struct stop {
	lens_visit visit;
	void *context;
	bool stopped;
};

static bool visit_until(void *context, const struct lens_reference *reference)
{
	struct stop *stop = context;
	stop->stopped = !stop->visit(stop->context, reference);
	return !stop->stopped;
}

void graph_object_walk(const struct lens *lens, const struct lens_memory *memory,
		       const struct graph_object *object, lens_visit visit, void *context,
		       uint64_t *unreadable)
{
	struct stop stop = {visit, context, false};
	uint64_t bytes = 0, again = 0;
	bool words = object->words && object->type && !object->precise;
	if (object->type)
		lens_walk(lens, memory, object->type, object->address, object->size_bytes,
			  object->count, object->precise, words ? visit_until : visit,
			  words ? &stop : context, &bytes);
	else if (!object->precise)
		scan(memory, object, visit, context, &bytes);
	if (words && !stop.stopped)
		scan(memory, object, visit, context, &again);
	if (unreadable)
		*unreadable += bytes;
}
