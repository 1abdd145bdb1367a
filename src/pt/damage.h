// SPDX-License-Identifier: Apache-2.0
#ifndef PT_DAMAGE_H
#define PT_DAMAGE_H

// What libipt does not notice: packets that can be read, and cannot be true. An alarm that is false costs true items,
// so each check gives way where odd code is known to do such things. Where it is certain that something is wrong in
// a slice, because its packets do not fit the code or the next PSB is not reached, checks are `strict`.

#include <intel-pt.h>
#include <stdbool.h>
#include <stdint.h>

#include "code/code_map.h"
#include "pt/functions.h"
#include "pt/image.h"

enum { DAMAGE_VERDICTS = 4096 };

/** Verdicts on where returns went, kept by address; 0 = none. */
struct damage {
	const struct image *image;
	const struct functions *functions; // NULL = none are known
	struct code_map *map;
	uint64_t good[DAMAGE_VERDICTS];	  // returns
	uint64_t begins[DAMAGE_VERDICTS]; // instructions begin there, or nobody knows
};

/**
 * Offset, in packets that begin with a PSB, of zero bytes in such a number that they are no padding, while tracing was
 * on and more packets follow; SIZE_MAX if there are none. `*count` is their number.
 */
size_t damage_find_zeros(const struct pt_config *config, const uint8_t *bytes, size_t size,
			 bool strict, size_t *count);

/** False if no call comes before `target`, to which the return at the end of `from` went, and neither looks like
 *  code that does that on purpose. */
bool damage_check_return(struct damage *damage, const struct code_stretch *from, uint64_t target,
			 bool strict);

/** True if `target` is within an instruction, for certain: its function, read from its start to its end, has one there, and
 *  so have most who begin to read near it. What jumps past a prefix (LOCK, where there is one processor) does that on
 *  purpose. */
bool damage_is_inside(struct damage *damage, uint64_t target);

/** False if `target` is within an instruction, wherever near it one begins to read. */
bool damage_check_boundary(const struct damage *damage, uint64_t target);

#endif
