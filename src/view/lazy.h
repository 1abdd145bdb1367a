// SPDX-License-Identifier: Apache-2.0
#ifndef VIEW_LAZY_H
#define VIEW_LAZY_H

// Memory that a source fetches when it is first looked at: a living clone's, compressed files',
// another snapshot's. It gets address space of its own size when a pointer into it is first wanted,
// filled piece by piece: pointers into it stay where they are for as long as the view lives.

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <strobe/error.h>

#include "view/run.h"

/** Where the bytes come from. */
struct lazy_source {
	/** Copies `size` bytes from `position` on; returns how many there were before the first
	 *  that cannot be read. */
	size_t (*read)(void *context, uint64_t position, void *buffer, size_t size);
	/** May be NULL. What [position, limit) begins with, without reading it. */
	void (*run)(void *context, uint64_t position, uint64_t limit, struct view_run *ret);
	void (*close)(void *context); // may be NULL
	void *context;
};

enum {
	LAZY_PAGE = 4096,
	LAZY_CHUNK = 64 * LAZY_PAGE, // fetched at once: one bit a page makes 64 bits
	LAZY_WINDOW = 65536,	     // bytes in a row that a pointer gives, where they can be read
	LAZY_DIRECT = 65536,	     // reads from this size on bypass the area
};

struct lazy_leaf;

/**
 * A stretch of target memory that a source holds.
 *
 * Invariants: memory is NULL or has room for [base, end), filled up to whole chunks. A page is bad
 * once reading it failed, for good; bad_pages counts them. A chunk that is loaded has the source's
 * bytes in all its pages that are not bad.
 */
struct lazy_area {
	const struct lazy_source *source; // borrowed
	uint64_t start, end;		  // addresses
	uint64_t position;		  // of `start` in the source
	uint64_t base;			  // address of chunk 0: start, rounded down
	uint8_t *memory;
	bool protected;	   // chunks are made writable one by one
	bool unreservable; // there is no address space for it: bytes are copied only
	uint64_t bad_pages;
	struct lazy_leaf **leaves;
	size_t leaf_count;
};

/** Cannot fail. `end` > `start`. */
void lazy_init(struct lazy_area *area, const struct lazy_source *source, uint64_t start,
	       uint64_t end, uint64_t position);
void lazy_fini(struct lazy_area *area);

/**
 * Bytes at `address`, which lies in the area, or NULL if they cannot be read; `*available` of them
 * in a row. `keep`: the pointer may be used after the next call for this area; lazy_release() takes
 * pages away only from a caller that alone has asked for them.
 */
const uint8_t *lazy_pointer(struct lazy_area *area, uint64_t address, bool keep, size_t *available);
/** Copies up to `size` bytes from `address` on straight from the source; returns how many. */
size_t lazy_read(struct lazy_area *area, uint64_t address, void *buffer, size_t size);
/** What [address, limit) begins with; `limit` <= end. */
void lazy_run(struct lazy_area *area, uint64_t address, uint64_t limit, struct view_run *ret);
/** Can the byte at `address` be read? Fetches nothing but, perhaps, that one. */
bool lazy_probe(struct lazy_area *area, uint64_t address);
/** Is the page of `address` known to be bad? `*end` = where, at most at the area's end, that
 *  changes. */
bool lazy_is_bad(const struct lazy_area *area, uint64_t address, uint64_t *end);
/** Drops what is loaded at `bytes`; false if they are not in this area. */
bool lazy_release(struct lazy_area *area, const uint8_t *bytes, size_t size);

#endif
