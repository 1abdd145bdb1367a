// SPDX-License-Identifier: Apache-2.0
#ifndef AGENT_JOURNAL_H
#define AGENT_JOURNAL_H

// What the surgeon's process does to the target, and undoes.

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "agent/helper.h"
#include "agent/inside.h"
#include "agent/patch.h"
#include "base/array.h"

struct journal_ring {
	uint64_t address, size;
};
/** Invariant: `patches` are those that stand in the code, or may, in the order in which they were made. */
struct journal {
	struct helper helper;
	int mem; // the target's memory
	uint64_t patch_code, table;
	ARRAY(struct surgeon_patch) patches;
	ARRAY(uint64_t) controls;
	ARRAY(struct journal_ring) rings;
};

/** Makes patches as surgeon_patch(). False if the helper is gone; what was done says `done`. */
bool journal_patch(struct journal *journal, struct surgeon_patch *patches, size_t count);
/** Makes calls as surgeon_calls(). */
bool journal_calls(struct journal *journal, struct inside_call *calls, size_t count);
/** Puts everything back, as far as the target is still there. False if the helper was lost before all the code was: again with another. */
bool journal_undo(struct journal *journal);

#endif
