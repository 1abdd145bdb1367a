// SPDX-License-Identifier: Apache-2.0
#include "snapshot/reachable_memory.h"

#include <stdlib.h>

#include "view/view.h"

// 16 MiB in pieces, each at one place. Larger pieces would be read for a word here and there.
enum { PIECE = 8192, PIECES = 2048 };

struct reachable_memory {
	const struct strobe_view *view;
	const uint8_t *words;
	size_t words_size;
	struct piece {
		uint64_t start;
		const uint8_t *bytes; // in `buffers`, or the view's own; NULL = nothing yet
		size_t available;
	} pieces[PIECES];
	uint8_t buffers[PIECES][PIECE];
};

struct reachable_memory *reachable_memory_new(const struct strobe_view *view)
{
	struct reachable_memory *memory = calloc(1, sizeof(*memory));
	if (memory)
		memory->view = view;
	return memory;
}

struct reachable_memory *reachable_memory_free(struct reachable_memory *memory)
{
	free(memory);
	return NULL;
}

void reachable_memory_words(struct reachable_memory *memory, const uint64_t *words, size_t count)
{
	memory->words = (const uint8_t *)words;
	memory->words_size = count * sizeof(*words);
}

/** From the view itself: what lies behind the first gap of a piece. */
static const uint8_t *read_on(struct reachable_memory *memory, struct piece *piece,
			      uint64_t address, size_t *available)
{
	size_t index = (size_t)(piece - memory->pieces);
	size_t room = (size_t)(PIECE - address % PIECE);
	piece->bytes = NULL;
	const uint8_t *bytes = view_stream(
		memory->view, address, memory->buffers[index] + address % PIECE, room, available);
	if (bytes && *available > room)
		*available = room;
	return bytes && *available ? bytes : NULL;
}

/** Reads the piece that `address` lies in, from where its mapping begins. */
static void fill(struct reachable_memory *memory, struct piece *piece, uint64_t address)
{
	size_t index = (size_t)(piece - memory->pieces);
	const struct strobe_mapping *mapping = strobe_view_mapping_at(memory->view, address);
	uint64_t start = address & ~(uint64_t)(PIECE - 1), end = start + PIECE;
	if (mapping && mapping->start > start)
		start = mapping->start;
	piece->start = start;
	piece->bytes = view_stream(memory->view, start, memory->buffers[index], end - start,
				   &piece->available);
	if (piece->bytes && piece->available > end - start)
		piece->available = end - start;
}

const uint8_t *reachable_memory_at(void *reader, uint64_t address, size_t *available)
{
	struct reachable_memory *memory = reader;
	if (address >= REACHABLE_WORDS_AT) {
		uint64_t offset = address - REACHABLE_WORDS_AT;
		if (offset >= memory->words_size)
			return NULL;
		*available = memory->words_size - (size_t)offset;
		return memory->words + offset;
	}
	struct piece *piece = &memory->pieces[address / PIECE % PIECES];
	bool there = piece->bytes && address >= piece->start && address - piece->start < PIECE;
	if (!there)
		fill(memory, piece, address);
	uint64_t offset = address - piece->start;
	if (!piece->bytes || offset >= piece->available)
		return read_on(memory, piece, address, available);
	*available = piece->available - (size_t)offset;
	return piece->bytes + offset;
}
