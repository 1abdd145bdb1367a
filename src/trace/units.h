// SPDX-License-Identifier: Apache-2.0
#ifndef TRACE_UNITS_H
#define TRACE_UNITS_H

// The index, as memory has it: per thread a row of *units*. A unit is what one cut of one window holds of a thread's
// items: decoding that window yields them. All counts are known without decoding anything.
//
// Invariants:
//  1. Units of a thread are in the order of its items: unit i + 1's first_id is unit i's first_id + item_count.
//  2. item_count > 0; instructions, events and errors add up to it.
//  3. Clock values never fall along a thread: before_clock <= first_clock <= last_clock <= the next unit's.
//  4. A clock point's id lies in [first_id, first_id + item_count]; at the end of that is where a slice ended.

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <strobe/trace.h>

/** The clock reads `value` at item `id`. */
struct clock_point {
	uint64_t id;
	uint64_t value;
};

struct unit {
	// Where it is decoded from: cut `cut` of window `part` of block `block` of stream `stream`.
	uint64_t block;
	uint32_t stream, part, cut;
	uint32_t instruction_count;
	uint64_t first_id;
	uint64_t item_count;
	// Its first item is a change of the CPU, which the trace makes: no window has it.
	bool cpu_changed;
	int cpu; // as last known; -1 = not known
	bool has_before, has_clock;
	struct clock_point before;	// the last one before the unit
	struct clock_point first, last; // in it; both the same if there is but one
	// A stack is rebuilt by walking back: a unit takes `pops` calls off the stack that it begins with, and
	// leaves `pushes` of its own on it. Naive: each call pushes, each return pops.
	uint32_t pops, pushes;
	uint64_t error_count;
	uint32_t event_counts[STROBE_EVENT_TYPE_COUNT];
};

/** Units of thread `thread`. */
uint64_t units_count(const struct strobe_trace *trace, size_t thread);
/** Unit `index` < count; borrowed until the next call for this trace. */
const struct unit *units_get(const struct strobe_trace *trace, size_t thread, uint64_t index);
/** Index of the unit that holds item `id` < the thread's item_count. O(log n). */
uint64_t units_find(const struct strobe_trace *trace, size_t thread, uint64_t id);
/** The first unit from `index` on (downwards if not `forwards`) that has an event of `types` (bit n = type n), or
 *  an error if `errors`; UINT64_MAX = none. */
uint64_t units_find_notes(const struct strobe_trace *trace, size_t thread, uint64_t index,
			  bool forwards, uint32_t types, bool errors);
/** The first unit from `index` on with a clock point of its own; UINT64_MAX = none. */
uint64_t units_find_clock(const struct strobe_trace *trace, size_t thread, uint64_t index);

#endif
