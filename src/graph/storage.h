// SPDX-License-Identifier: Apache-2.0
#ifndef GRAPH_STORAGE_H
#define GRAPH_STORAGE_H

// What the arrays of a graph lie in: stretches of memory from mmap(), anonymous while it is built, of the file when it
// was stored. Large ones ask for huge pages, because they are read at random.

#include <stdbool.h>
#include <stddef.h>

/** Zeroed memory, or NULL when it is short. `size` 0 counts as 1. Given back by pages_free() with the same size. */
void *pages_new(size_t size);
/** Moves if it has to; NULL when memory is short, and nothing has changed then. What is new is zero. */
void *pages_resize(void *memory, size_t old_size, size_t size);
/** Takes NULL; returns NULL. */
void *pages_free(void *memory, size_t size);

struct graph_storage;

/** NULL when memory is short. */
struct graph_storage *graph_storage_new(void);
/** Hands over `size` bytes at `memory`, from pages_new() or mmap(). False when memory is short: they remain the caller's. */
bool graph_storage_add(struct graph_storage *storage, void *memory, size_t size);
/** Unmaps all of it. Takes NULL; returns NULL. */
struct graph_storage *graph_storage_free(struct graph_storage *storage);

#endif
