// SPDX-License-Identifier: Apache-2.0
#ifndef GRAPH_MEMORY_H
#define GRAPH_MEMORY_H

// A view's memory for several threads at once. What the view has mapped is read where it is, through a table made up
// front, without locks. What has to be fetched (frozen copies, compressed files) is fetched under a lock, 256 KiB at a
// time, and kept: up to an eighth of the machine's memory, at least 64 MiB, in all; what goes beyond goes through
// 1 MiB of each thread's own.

#include "lens/lens.h"

struct strobe_view;
struct graph_memory;
struct graph_reader;

/** Looks at the whole view once; the view's thread. Time and memory are linear in its stretches. Errors: NO_MEMORY. */
struct strobe_error *graph_memory_new(const struct strobe_view *view, struct graph_memory **ret)
	STROBE_MUST_CHECK;
/** After its readers. Takes NULL; returns NULL. */
struct graph_memory *graph_memory_free(struct graph_memory *memory);
/** How much fetched memory is kept; for tests. Before anything was read. */
void graph_memory_set_budget(struct graph_memory *memory, uint64_t bytes);

enum graph_memory_state {
	GRAPH_MEMORY_UNMAPPED,
	GRAPH_MEMORY_MISSING,  // mapped, but not in the view
	GRAPH_MEMORY_READABLE, // though reading what is fetched may fail
};
/** Any thread. */
enum graph_memory_state graph_memory_state(const struct graph_memory *memory, uint64_t address);
/** Asks the kernel to map what is read next, where that helps. Any thread. */
void graph_memory_expect(const struct graph_memory *memory, uint64_t start, uint64_t end);

/** NULL when memory is short. One a thread. */
struct graph_reader *graph_reader_new(struct graph_memory *memory);
struct graph_reader *graph_reader_free(struct graph_reader *reader);
/** The reader as lenses want it. */
struct lens_memory graph_reader_memory(struct graph_reader *reader);
/** As lens_memory.at. */
const uint8_t *graph_reader_at(void *reader, uint64_t address, size_t *available);
/** Asks the processor for the byte at `address`, if it is mapped. */
void graph_reader_prefetch(struct graph_reader *reader, uint64_t address);
/** An aligned or unaligned word; false if it is unreadable. */
bool graph_reader_word(struct graph_reader *reader, uint64_t address, uint64_t *ret);

#endif
