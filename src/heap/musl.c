// SPDX-License-Identifier: Apache-2.0
// The reader of musl's malloc. Its context is found without symbols: a word in a module's data, nothing special
// by itself, is the secret if the 8th word from there points to a page that begins with the same word and counts as
// many descriptions as fit, and the 9th word to another such page. No other structure looks like that.
#include "heap/musl.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "view/view.h"

enum {
	CHUNK_WORDS = 4096,
	HEAD_WORD = 7,
	TAIL_WORD = 8,
	CONTEXT_WORDS = 9,
	MAX_VERSION = 32,
};
/** How much data of a module is looked through. */
#define MAX_DATA_BYTES (UINT64_C(256) << 20)
#define AT_RANDOM_TYPE 25

static struct musl *musl_free(struct musl *musl)
{
	if (!musl)
		return NULL;
	array_fini(&musl->areas);
	array_fini(&musl->groups);
	free(musl);
	return NULL;
}

static bool is_context(const struct strobe_view *view, const uint64_t words[CONTEXT_WORDS])
{
	uint64_t next;
	return words[0] && words[HEAD_WORD] && words[HEAD_WORD] % MUSL_PAGE == 0 &&
	       words[TAIL_WORD] && words[TAIL_WORD] % MUSL_PAGE == 0 &&
	       musl_area_at(view, words[HEAD_WORD], words[0], &next) &&
	       musl_area_at(view, words[TAIL_WORD], words[0], &next);
}

/** Looks for the context in [start, end). */
static bool search_data(struct musl *musl, uint64_t start, uint64_t end)
{
	uint64_t words[CHUNK_WORDS + CONTEXT_WORDS];
	if (end - start > MAX_DATA_BYTES)
		end = start + MAX_DATA_BYTES;
	for (start = (start + 7) & ~UINT64_C(7); start < end; start += CHUNK_WORDS * 8) {
		uint64_t size = end - start < sizeof(words) ? end - start : sizeof(words);
		size_t count = strobe_memory_read(musl->view, start, words, size) / 8;
		for (size_t i = 0; i < CHUNK_WORDS && i + CONTEXT_WORDS <= count; i++) {
			if (!is_context(musl->view, &words[i]))
				continue;
			musl->context = start + i * 8;
			musl->secret = words[i];
			return true;
		}
	}
	return false;
}

static bool search_modules(struct musl *musl)
{
	uint64_t start, end;
	for (size_t i = 0; i < strobe_view_module_count(musl->view); i++)
		for (size_t j = 0; view_module_data(musl->view, i, j, &start, &end); j++) {
			musl->module_index = i;
			if (search_data(musl, start, end))
				return true;
		}
	return false;
}

/** The version among the constants of libc.so: a string of its own, "1.2.3". */
static bool find_version(const struct musl *musl, char ret[MAX_VERSION])
{
	char bytes[CHUNK_WORDS * 8];
	const struct strobe_module *module = strobe_view_module(musl->view, musl->module_index);
	if (strncmp(module->name, "libc.", 5) != 0 && strncmp(module->name, "ld-musl", 7) != 0)
		return false;
	for (uint64_t at = module->start; at < module->end; at += sizeof(bytes) - MAX_VERSION) {
		size_t got = strobe_memory_read(musl->view, at, bytes, sizeof(bytes));
		for (size_t i = 1; i + 8 < got; i++) {
			if (bytes[i - 1] || memcmp(&bytes[i], "1.2.", 4) != 0 ||
			    !isdigit((unsigned char)bytes[i + 4]))
				continue;
			size_t length = 5 + (isdigit((unsigned char)bytes[i + 5]) != 0);
			if (bytes[i + length])
				continue;
			memcpy(ret, &bytes[i], length + 1);
			return true;
		}
	}
	return false;
}

/** Is the secret what the kernel gave the process for it? */
static bool is_secret_known(const struct musl *musl)
{
	uint64_t type, value, secret;
	for (size_t i = 0; strobe_view_auxv(musl->view, i, &type, &value); i++)
		if (type == AT_RANDOM_TYPE)
			return view_read_unsigned(musl->view, value + 8, 8, &secret) &&
			       secret == musl->secret;
	return false;
}

/** Adds groups that lie in no other as regions; tells of those that should lie in one and do not. */
static struct strobe_error *add_groups(struct musl *musl, size_t arenas[3])
{
	uint64_t end = 0;
	for (size_t i = 0; i < musl->groups.count; i++) {
		const struct musl_group *group = &musl->groups.items[i];
		uint64_t group_end =
			group->map_bytes ? group->memory + group->map_bytes : musl_group_end(group);
		if (!group->map_bytes && group->freeable) { // in a slot
			if (group->memory >= end)
				heap_damage(musl->heap, group->memory, group_end - group->memory,
					    "musl: expected a group here to lie in another");
			continue;
		}
		size_t arena = !group->map_bytes	       ? arenas[2]
			       : group->class == MUSL_NO_CLASS ? arenas[1]
							       : arenas[0];
		struct strobe_error *error =
			heap_add_region(musl->heap, arena, group->memory, group_end);
		if (error)
			return error;
		if (group_end > end)
			end = group_end;
	}
	return NULL;
}

static struct strobe_error *add_areas(struct musl *musl, size_t arena)
{
	struct strobe_error *error = NULL;
	for (size_t i = 0; !error && i < musl->areas.count; i++)
		error = heap_add_region(musl->heap, arena, musl->areas.items[i],
					musl->areas.items[i] + MUSL_PAGE);
	return error;
}

/** Adds the allocator; takes over `musl` if that succeeds. */
static struct strobe_error *add(struct musl *musl, bool *added)
{
	static const char *const names[] = {"main", "mmapped", "donated", "metadata"};
	char version[MAX_VERSION], evidence[128];
	size_t arenas[4];
	snprintf(evidence, sizeof(evidence), "malloc context at 0x%" PRIx64 ", by its meta areas%s",
		 musl->context, is_secret_known(musl) ? "; its secret is that of AT_RANDOM" : "");
	struct strobe_heap_allocator told = {
		.name = "musl",
		.version = find_version(musl, version) ? version : NULL,
		.module = strobe_view_module(musl->view, musl->module_index)->name,
		.evidence = evidence};
	struct strobe_error *error = heap_add_allocator(musl->heap, &musl_reader, &told, musl);
	*added = !error;
	size_t allocator = musl->heap->allocators.count - 1;
	for (size_t i = 0; !error && i < 4; i++)
		error = heap_add_arena(musl->heap, allocator, names[i], i == 0 ? musl->context : 0,
				       &arenas[i]);
	if (!error)
		error = add_groups(musl, arenas);
	if (!error)
		error = add_areas(musl, arenas[3]);
	return error;
}

static struct strobe_error *find(struct strobe_heap *heap)
{
	struct musl *musl = calloc(1, sizeof(*musl));
	struct strobe_error *error = NULL;
	bool added = false;
	if (!musl)
		return error_no_memory();
	musl->heap = heap;
	musl->view = heap->view;
	if (search_modules(musl)) {
		error = musl_read_groups(musl);
		if (!error)
			error = add(musl, &added);
	}
	if (!added)
		musl_free(musl);
	return error;
}

static bool is_area(const struct musl *musl, uint64_t address)
{
	size_t low = 0, high = musl->areas.count;
	while (low < high) {
		size_t middle = (low + high) / 2;
		if (musl->areas.items[middle] < address)
			low = middle + 1;
		else
			high = middle;
	}
	return low < musl->areas.count && musl->areas.items[low] == address;
}

static struct strobe_error *blocks(struct strobe_heap *heap, struct allocator *allocator,
				   const struct strobe_heap_region *region, strobe_heap_visit visit,
				   void *context, bool *stop)
{
	struct musl *musl = allocator->state;
	const struct musl_group *group = musl_group_at(musl, region->start);
	(void)heap;
	if (group) {
		*stop = !musl_visit_group(musl, group, region->arena, region->end, visit, context);
	} else if (is_area(musl, region->start)) {
		struct strobe_heap_block block = {.address = region->start,
						  .size_bytes = region->end - region->start,
						  .state = STROBE_HEAP_BOOKS,
						  .arena = region->arena};
		*stop = !visit(context, &block);
	}
	return NULL;
}

static void close_musl(struct allocator *allocator)
{
	allocator->state = musl_free(allocator->state);
}

const struct allocator_reader musl_reader = {
	.name = "musl",
	.find = find,
	.blocks = blocks,
	.close = close_musl,
};
