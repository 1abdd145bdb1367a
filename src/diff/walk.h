// SPDX-License-Identifier: Apache-2.0
#ifndef DIFF_WALK_H
#define DIFF_WALK_H

// Walks a changed object down to the parts that changed.

#include "diff/diff.h"
#include "symbols/type.h"

/** Named limits: how deep structures nest; how long the name of a part gets before it is cut; arrays of
 *  characters up to this size are shown whole. */
enum { WALK_DEPTH_LIMIT = 64, WALK_NAME_SIZE = 4096, WALK_TEXT_SIZE = 256 };

/** An object that both views have. The types are each of its own view's symbols. */
struct walk_object {
	const char *name;
	struct type *old_type, *new_type;
	struct strobe_diff_global global; // what all parts share: file, tid, module, addresses
};

/** Reports the changed parts; false if there is none (padding changed). */
bool walk_object(struct strobe_diff *diff, const struct walk_object *object);
/** Appends the name of the part of `type` at `offset` to the string in `buffer`: ".stats.requests",
 *  "[3].next". */
void walk_part_name(struct strobe_symbols *symbols, struct type *type, uint64_t offset,
		    char *buffer, size_t size);

#endif
