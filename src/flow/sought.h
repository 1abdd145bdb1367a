// SPDX-License-Identifier: Apache-2.0
#ifndef FLOW_SOUGHT_H
#define FLOW_SOUGHT_H

// What somebody looks for in a trace, from words to addresses (see <strobe/trace_find.h>).

#include <strobe/symbols.h>
#include <strobe/trace_find.h>

#include "base/array.h"

/** Where a function, or an inlined copy of it, begins. */
struct sought_entry {
	uint64_t address;
	bool inlined;
};

/** One part of a sequence, or all there is. */
struct sought_step {
	ARRAY(struct strobe_address_range) ranges; // sorted, apart from one another
	ARRAY(struct sought_entry) entries;	   // sorted; of functions
	uint32_t event_types;
	bool errors;
	bool each; // every instruction is a hit of its own
};

struct sought {
	struct sought_step steps[STROBE_TRACE_FIND_STEP_LIMIT];
	size_t step_count;
	ARRAY(struct strobe_address_range) ranges; // of all steps
	uint32_t event_types;
	bool errors;
};

void sought_fini(struct sought *sought);
/** Reads `text`. `sought` is zeroed; it is to be released also after an error. */
struct strobe_error *sought_parse(struct sought *sought, struct strobe_symbols *symbols,
				  const char *text, bool entries) STROBE_MUST_CHECK;
/** The range that holds `address`, or NULL. */
const struct strobe_address_range *sought_range(const struct strobe_address_range *ranges,
						size_t count, uint64_t address);
/** True if the step is for the item. */
bool sought_step_matches(const struct sought_step *step, enum strobe_item_kind kind,
			 uint64_t address, enum strobe_event_type type);

#endif
