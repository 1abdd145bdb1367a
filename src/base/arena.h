// SPDX-License-Identifier: Apache-2.0
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include <stddef.h>

/**
 * Allocations that live and die together. Zero-initialise; arena_fini() releases everything.
 * One thread at a time.
 */
struct arena {
	struct arena_chunk *chunks;
	size_t used;
	size_t size_bytes; // of all chunks, for reports
};

/** Zeroed memory aligned for any type, or NULL when memory is short. */
void *arena_alloc(struct arena *arena, size_t size) __attribute__((malloc, alloc_size(2)));
/** A NUL-terminated copy of `size` bytes. */
char *arena_copy_string(struct arena *arena, const char *text, size_t size);
/** A copy of a NUL-terminated string; NULL stays NULL. */
char *arena_strdup(struct arena *arena, const char *text);
/** printf into the arena; NULL when memory is short. */
char *arena_printf(struct arena *arena, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
void arena_fini(struct arena *arena);

#endif
