// SPDX-License-Identifier: Apache-2.0
#ifndef STROBE_HEAP_H
#define STROBE_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <strobe/error.h>
#include <strobe/symbols.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * The books of a process's memory allocators: where each allocation begins, how long it is, and whether it is
 * free. Read from the allocators' own structures in the view, debug information or not: glibc's malloc 2.28
 * to 2.41, jemalloc 5, musl. Several may live in one process. One thread at a time, that of the view.
 */
struct strobe_heap;

/**
 * Finds the allocators and their regions. A process without one has a heap of none; what is damaged is
 * told by strobe_heap_damage(), and the rest is there. Errors: NO_MEMORY only.
 */
STROBE_EXPORT struct strobe_error *strobe_heap_open(struct strobe_symbols *symbols,
						    struct strobe_heap **ret) STROBE_MUST_CHECK;
STROBE_EXPORT struct strobe_heap *strobe_heap_close(struct strobe_heap *heap);

/** An allocator. Strings live as long as the heap. */
struct strobe_heap_allocator {
	const char *name;     /**< "glibc", "jemalloc", "musl" */
	const char *version;  /**< "2.36", "5.3.0"; NULL where it is not told */
	const char *module;   /**< whose code it is; NULL if unknown */
	const char *evidence; /**< how it was found: "main_arena by symbol", ... one line */
};
STROBE_EXPORT size_t strobe_heap_allocator_count(const struct strobe_heap *heap);
STROBE_EXPORT const struct strobe_heap_allocator *
strobe_heap_allocator(const struct strobe_heap *heap, size_t index);

/** A part of an allocator that has locks and lists of its own. */
struct strobe_heap_arena {
	size_t allocator;      /**< its index */
	const char *name;      /**< "main", "arena 3", "mmapped"; unique in its allocator */
	uint64_t address;      /**< of its structure; 0 = none */
	uint64_t size_bytes;   /**< of that; 0 = not told */
	uint64_t mapped_bytes; /**< of its regions */
};
STROBE_EXPORT size_t strobe_heap_arena_count(const struct strobe_heap *heap);
STROBE_EXPORT const struct strobe_heap_arena *strobe_heap_arena(const struct strobe_heap *heap,
								size_t index);

/** Memory [start, end) that an arena carves its blocks out of. */
struct strobe_heap_region {
	uint64_t start, end;
	size_t arena; /**< its index */
};
/** Sorted by start; they do not overlap. */
STROBE_EXPORT size_t strobe_heap_region_count(const struct strobe_heap *heap);
STROBE_EXPORT const struct strobe_heap_region *strobe_heap_region(const struct strobe_heap *heap,
								  size_t index);

/** What a block is. All but ALLOCATED are free for the program's next allocations. */
enum strobe_heap_state {
	STROBE_HEAP_ALLOCATED,	 /**< the program has it */
	STROBE_HEAP_FREE,	 /**< free in the arena */
	STROBE_HEAP_FREE_CACHED, /**< free in a thread's cache: tcache */
	STROBE_HEAP_FREE_FASTBIN, /**< free in a fast bin, and the like: not joined with its neighbours */
	STROBE_HEAP_TOP,	  /**< never handed out: the end of a region */
	STROBE_HEAP_BOOKS, /**< the allocator's own: arena headers, thread caches, slab headers */
};
/** A block. */
struct strobe_heap_block {
	uint64_t address;    /**< what the program was given */
	uint64_t size_bytes; /**< that it may use from there on */
	enum strobe_heap_state state;
	size_t arena; /**< its index */
	uint64_t
		requested_bytes; /**< what it asked for, where the allocator keeps that (musl); else 0 */
};
/** Called for each block, in ascending order of address; return false to stop. */
typedef bool (*strobe_heap_visit)(void *context, const struct strobe_heap_block *block);
/**
 * Visits all blocks. Blocks do not overlap. Time and memory are linear in the blocks: a hundred bytes a
 * free block, nothing an allocated one. Errors: NO_MEMORY.
 */
STROBE_EXPORT struct strobe_error *strobe_heap_blocks(struct strobe_heap *heap,
						      strobe_heap_visit visit, void *context)
	STROBE_MUST_CHECK;

/** Where the books are damaged. */
struct strobe_heap_damage {
	uint64_t address;    /**< of what is wrong */
	uint64_t lost_bytes; /**< of the region, that could not be divided into blocks; 0 = none */
	const char *what;    /**< one line: what was expected there, and what stands there */
};
/** Grows while strobe_heap_blocks() runs; at most 1000 are kept, strobe_heap_damage_total() counts all. */
STROBE_EXPORT size_t strobe_heap_damage_count(const struct strobe_heap *heap);
STROBE_EXPORT const struct strobe_heap_damage *strobe_heap_damage(const struct strobe_heap *heap,
								  size_t index);
STROBE_EXPORT uint64_t strobe_heap_damage_total(const struct strobe_heap *heap);

#ifdef __cplusplus
}
#endif
#endif
