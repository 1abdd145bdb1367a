// SPDX-License-Identifier: Apache-2.0
#ifndef FLOW_SHADOW_PLAN_H
#define FLOW_SHADOW_PLAN_H

#include "flow/shadow.h"

/** Ends frames from `keep` on. */
void shadow_cut(struct shadow *shadow, size_t keep);
/** A new fragment begins at instruction `id`; what went before is kept as the plan says. */
void shadow_gap_begin(struct shadow *shadow, uint64_t id, const struct shadow_place *place,
		      struct shadow_step *step);
/** The fragment's outermost frame returned to `address`, whose call nobody saw. */
void shadow_gap_caller(struct shadow *shadow, uint64_t address, const struct shadow_place *place,
		       struct shadow_step *step);
/** Frames [0, keep) go on: what does not stand in them began behind gaps that are now understood. If
 *  `is_kept`, the innermost fragment's outermost frame is the last of them. Before shadow_cut(). */
void shadow_gap_resolve(struct shadow *shadow, size_t keep, bool is_kept);

#endif
