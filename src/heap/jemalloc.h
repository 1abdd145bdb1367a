// SPDX-License-Identifier: Apache-2.0
#ifndef HEAP_JEMALLOC_H
#define HEAP_JEMALLOC_H

// jemalloc 5's books, read from its own radix tree of pages.
//
// Every page that begins or ends an extent, and every page of a slab, has an element in that tree that points to
// the extent's description. The description holds the address again. An extent is believed only if tree and
// description agree on where it begins, on its last page, on its size class and on what is free in it; so
// what is not jemalloc's, or damaged, is left out and named, and nothing is made up.
// Source of all formats: jemalloc's rtree.h, edata.h, extent_structs.h, cache_bin.h, tcache_structs.h, base.h
// of releases 5.0 to 5.3.

#include "heap/allocator.h"

enum {
	JEMALLOC_PAGE = 4096,
	JEMALLOC_SLAB_BLOCKS = 512, // at most
	JEMALLOC_WINDOW = 512,
	JEMALLOC_BIN_WORDS = 3, // of a thread's cache
	JEMALLOC_BINS = 96,	// at most
};
/** Where user space ends. */
#define JEMALLOC_USER_END (UINT64_C(1) << 47)
/** The pointer in an element; above it is the size class, and bit 0 says that it is a slab's. */
#define JEMALLOC_POINTER UINT64_C(0x0000ffffffffffc0)

/** How the tree is built: by how many bits an address had where jemalloc was compiled. */
struct jemalloc_tree {
	unsigned levels;
	unsigned bits; // of an address, that each level takes; the last one ends at a page's bits
	bool packed;   // elements of leaves are one word, else two
};

/** Where the fields of a description are; found by trying. */
struct jemalloc_layout {
	unsigned state_shift, state_bits, class_shift;
	unsigned lg_quantum; // 4, or 3 as Redis builds its own copy
	bool packed_caches;  // caches of threads as in 5.3, else as in 5.1 and 5.2
	const char *version; // "5.3", "5.1 or 5.2", "5.0"
};

struct jemalloc_leaf {
	uint64_t start; // of the memory that it describes
	uint64_t address;
};

/** Addresses, sorted. */
struct jemalloc_range {
	uint64_t start, end;
};

/** An extent: pages of one use. */
struct jemalloc_extent {
	uint64_t start, size_bytes; // of its pages
	uint64_t address;	    // of the block in it, if it is a large one
	uint64_t description;
	unsigned arena, class, free_count;
	bool active, slab;
	uint64_t free_map[JEMALLOC_SLAB_BLOCKS / 64]; // slabs: bit = block is free
};

struct jemalloc {
	struct strobe_heap *heap;
	const struct strobe_view *view;
	size_t module_index;
	uint64_t root;
	struct jemalloc_tree tree;
	struct jemalloc_layout layout;
	size_t bad_leaves;		       // pointers of the root that lead to none
	uint64_t patience;		       // damaged elements that may yet be passed untold
	uint64_t cached_words;		       // that were looked at in caches
	ARRAY(struct jemalloc_leaf) leaves;    // ascending
	ARRAY(uint64_t) cached;		       // blocks in caches of threads, ascending
	ARRAY(uint64_t) own;		       // blocks that jemalloc gave to itself, ascending
	ARRAY(struct jemalloc_range) metadata; // what its own allocator mapped, ascending
	// The elements of the tree from `window_start` on, each as if it were one word.
	uint64_t window_start;
	size_t window_count;
	uint64_t window[JEMALLOC_WINDOW];
};

/** Pages that a leaf of the tree has elements for. */
static inline uint64_t jemalloc_leaf_pages(const struct jemalloc_tree *tree)
{
	return UINT64_C(1) << tree->bits;
}
/** Bytes of memory that a leaf has elements for. */
static inline uint64_t jemalloc_leaf_span(const struct jemalloc_tree *tree)
{
	return jemalloc_leaf_pages(tree) * JEMALLOC_PAGE;
}
static inline uint64_t jemalloc_root_bytes(const struct jemalloc_tree *tree)
{
	return (UINT64_C(1) << tree->bits) * 8;
}

// jemalloc_root.c: where the tree is.
/** Looks for the tree's root in the data of all modules from `*module` on. False if there is none; else
 *  its root, leaves and layout are set and `*module` is the next one to look at. */
struct strobe_error *jemalloc_find_root(struct jemalloc *jemalloc, size_t *module, bool *found)
	STROBE_MUST_CHECK;

// jemalloc_extent.c: extents out of the tree.
enum jemalloc_answer { JEMALLOC_NOTHING, JEMALLOC_EXTENT, JEMALLOC_DAMAGED };
/** What the tree says about the page at `page`, be it inside an extent. `*why` (may be NULL) is set if DAMAGED. */
enum jemalloc_answer jemalloc_extent_of(struct jemalloc *jemalloc, uint64_t page,
					struct jemalloc_extent *ret, const char **why);
/** The next extent that begins at `*cursor` or later, and before `end`; moves the cursor behind it. `tell`:
 *  damage that is passed is told. */
bool jemalloc_next_extent(struct jemalloc *jemalloc, uint64_t *cursor, uint64_t end, bool tell,
			  struct jemalloc_extent *ret);
/** Usable bytes of a size class; 0 if there is no such class. */
uint64_t jemalloc_class_size(const struct jemalloc_layout *layout, unsigned class);
/** Size classes that lie in slabs; the others are large. */
unsigned jemalloc_small_classes(const struct jemalloc_layout *layout);
/** The block that `address` lies in: true if there is one and it is not free in its slab. Of a large one, the first and
 *  the last page alone are known. */
bool jemalloc_block_of(struct jemalloc *jemalloc, uint64_t address, struct jemalloc_extent *extent,
		       uint64_t *block);
/** The same for any page of a large one of up to 256 KiB. */
bool jemalloc_block_around(struct jemalloc *jemalloc, uint64_t address, uint64_t *block);
bool jemalloc_read(const struct jemalloc *jemalloc, uint64_t address, uint64_t *words,
		   size_t count);

// jemalloc_metadata.c: what jemalloc keeps its own structures in.
struct strobe_error *jemalloc_find_metadata(struct jemalloc *jemalloc) STROBE_MUST_CHECK;
bool jemalloc_is_metadata(const struct jemalloc *jemalloc, uint64_t address);

// jemalloc_cache.c: caches of threads.
/** Where a cache's bins are: all, or small and large ones apart. */
struct jemalloc_cache {
	uint64_t links; // address of its links in the arena's list; 0 = not known
	uint64_t bins[2];
	unsigned bin_counts[2];
};
struct strobe_error *jemalloc_find_caches(struct jemalloc *jemalloc) STROBE_MUST_CHECK;
/** Adds what a cache holds to the cached blocks. */
struct strobe_error *jemalloc_read_cache(struct jemalloc *jemalloc,
					 const struct jemalloc_cache *cache) STROBE_MUST_CHECK;
/** Where the blocks of a bin (of JEMALLOC_BIN_WORDS words) are, and how many; false if it holds no stack. */
bool jemalloc_stack_of_bin(const struct jemalloc *jemalloc, const uint64_t words[], uint64_t *start,
			   unsigned *count);

// jemalloc_thread.c: what the threads' static storage has.
/** Before 5.3: adds each thread's data about arenas to jemalloc's own blocks. */
struct strobe_error *jemalloc_find_thread_data(struct jemalloc *jemalloc) STROBE_MUST_CHECK;
/** Reads caches where no list of them is kept. */
struct strobe_error *jemalloc_find_thread_caches(struct jemalloc *jemalloc) STROBE_MUST_CHECK;

#endif
