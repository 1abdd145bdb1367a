// SPDX-License-Identifier: Apache-2.0
#ifndef TESTS_LENS_FAKE_MEMORY_H
#define TESTS_LENS_FAKE_MEMORY_H

// Memory of a target that is an array here, read in windows; some of it cannot be read.

#include "lens/table.h"

enum { FAKE_START = 0x7000000, FAKE_SIZE = 1 << 16, FAKE_PAGE = 4096 };

struct fake_memory {
	uint8_t bytes[FAKE_SIZE];
	bool holes[FAKE_SIZE / FAKE_PAGE];
	size_t window; // power of two, at most FAKE_PAGE
};

static inline const uint8_t *fake_at(void *reader, uint64_t address, size_t *available)
{
	struct fake_memory *memory = reader;
	uint64_t offset = address - FAKE_START;
	if (offset >= FAKE_SIZE || memory->holes[offset / FAKE_PAGE])
		return NULL;
	*available = memory->window - offset % memory->window;
	return memory->bytes + offset;
}

static inline void fake_put(struct fake_memory *memory, uint64_t offset, uint64_t word)
{
	memcpy(memory->bytes + offset, &word, sizeof(word));
}

/** References as they were visited. */
struct fake_list {
	struct lens_reference items[20000];
	size_t count;
	size_t limit; // stop at that many; 0 = never
};

static inline bool fake_visit(void *context, const struct lens_reference *reference)
{
	struct fake_list *list = context;
	if (list->count < sizeof(list->items) / sizeof(list->items[0]))
		list->items[list->count] = *reference;
	list->count++;
	return list->count != list->limit;
}

#endif
