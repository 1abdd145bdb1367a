// SPDX-License-Identifier: Apache-2.0
#ifndef TRACE_CACHE_H
#define TRACE_CACHE_H

// Decoded windows, kept within a budget: what was longest not asked for goes first, unless a cursor stands in it.
//
// Invariants:
//  1. An entry is *listed* (found by its key) or pinned, or both; else it is freed.
//  2. No two listed entries have the same key.
//  3. Behind a window's parts stands one that begins where they end: where a part ends needs no question.
//  4. bytes is the sum over listed entries; it is over the budget only by pinned ones.

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <strobe/error.h>

#include "trace/source.h"
#include "trace/window.h"

struct cached_window {
	struct window window;
	uint64_t block;
	uint32_t stream, part;
	uint32_t pins;
	bool listed;
	size_t bytes;
	struct cached_window *newer, *older; // by when it was asked for
	struct cached_window *next;	     // with the same hash
};

enum { CACHE_BUCKETS = 4096 };

struct window_cache {
	uint64_t budget_bytes, bytes;
	struct cached_window *newest, *oldest;
	struct cached_window *buckets[CACHE_BUCKETS];
	struct window scratch; // decoded into, then copied to size
	uint64_t decoded;      // windows, for reports and tests
};

void window_cache_init(struct window_cache *cache, uint64_t budget_bytes);
/** No entry may be pinned. */
void window_cache_fini(struct window_cache *cache);
/**
 * Window `want->part` of a block, pinned: decoded unless it is there. If it is not complete, it has more items than
 * want->enough. Errors: those of the source.
 */
struct strobe_error *window_cache_get(struct window_cache *cache, const struct trace_source *source,
				      void *decoder, uint32_t stream, uint64_t block,
				      const struct source_want *want, struct cached_window **ret)
	STROBE_MUST_CHECK;
void window_cache_pin(struct cached_window *entry);
/** Takes NULL; returns NULL. */
struct cached_window *window_cache_unpin(struct window_cache *cache, struct cached_window *entry);
/** Asserts the invariants. */
void window_cache_check(const struct window_cache *cache);

#endif
