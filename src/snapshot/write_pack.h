// SPDX-License-Identifier: Apache-2.0
#ifndef SNAPSHOT_WRITE_PACK_H
#define SNAPSHOT_WRITE_PACK_H

// Pages that are not zero, side by side in the file. Zeros between them could be holes, but a disk
// takes as long for a piece of 16 KiB as for one of 50 or more: a heap with zeros everywhere was written
// at half the disk's rate. So stretches of zeros get program headers of their own, which all lead to
// one hole behind the pages; it is where the file has room for what the pages no longer take. What
// is zero is known when pages are read, and they are read once: so the program headers that are
// written at the end differ from those that were planned.

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <strobe/error.h>

#include "snapshot/write_layout.h"

// Less is written as it is: in kilobytes nobody waits for a disk.
enum { PACK_MIN_PAGES = 1024 };
// gdb 13 opens so many program headers in 3.2 s, where a few take it 0.8 (lldb 22 0.6 s); what is packed
// no more is written at half the rate.
enum { PACK_LOADS = 240000 };

/**
 * Invariants: 1. `to` has the same stretches as the first loads of `from`, split, up to `at` in load
 * `next`, which is a stored one (or they have all been seen). 2. `to.loads` never exceeds
 * `from->loads.count + spare`, whatever comes.
 */
struct pack {
	const struct layout *from;
	struct layout to;
	size_t spare; // loads that may come on top; 0 = nothing is packed
	size_t next;
	uint64_t at;
};

/** How many program headers more than planned there may be; known before the notes are placed. */
size_t pack_spare(const struct layout *layout);
/** `from`, settled, is borrowed. Errors: NO_MEMORY. */
struct strobe_error *pack_init(struct pack *pack, const struct layout *from) STROBE_MUST_CHECK;
void pack_fini(struct pack *pack);
/** The next `count` stored pages, which lie in one load. True if they are not to be written, not even
 *  as a hole. */
bool pack_add(struct pack *pack, uint64_t count, bool zero);
/** What was made of it: when all stored pages were added. */
const struct layout *pack_layout(struct pack *pack);

#endif
