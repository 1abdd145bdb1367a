// SPDX-License-Identifier: Apache-2.0
#ifndef SNAPSHOT_REACHABLE_MEMORY_H
#define SNAPSHOT_REACHABLE_MEMORY_H

// Memory for a walk that touches a little here and there of a large frozen copy: what was read last is at hand, and
// nothing is kept in the view.

#include "lens/lens.h"

/** Addresses from here on are no memory: what stands there are the words that reachable_memory_words() set. */
#define REACHABLE_WORDS_AT (UINT64_C(1) << 62)

struct reachable_memory;
struct strobe_view;

/** NULL when memory is short. */
struct reachable_memory *reachable_memory_new(const struct strobe_view *view);
struct reachable_memory *reachable_memory_free(struct reachable_memory *memory);
/** As lens_memory.at. */
const uint8_t *reachable_memory_at(void *reader, uint64_t address, size_t *available);
/** Words, borrowed, that stand at REACHABLE_WORDS_AT until they are set again. */
void reachable_memory_words(struct reachable_memory *memory, const uint64_t *words, size_t count);

#endif
