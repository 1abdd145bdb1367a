// SPDX-License-Identifier: Apache-2.0
#ifndef PT_RUNS_H
#define PT_RUNS_H

// libipt's blocks as runs of a window. A block goes on through direct jumps and calls; a run does not. What a
// block becomes is remembered: most are met again and again.

#include <intel-pt.h>
#include <stdbool.h>
#include <stdint.h>

#include "code/code_map.h"
#include "trace/window.h"

/** What a block becomes. Blocks that need more runs, or end within a stretch, are not kept. */
struct run_entry {
	uint64_t ip, end_ip;
	uint16_t instructions;
	uint8_t mode;
	uint8_t count;	  // of runs; 0 = empty
	uint8_t consumes; // the last instruction takes something from the packets
	uint8_t flow;	  // and is of this enum strobe_flow
	uint8_t unused[2];
	struct {
		uint32_t stretch, count;
	} runs[5];
};
_Static_assert(sizeof(struct run_entry) == 64, "an entry is a cache line");

/**
 * Invariants: entries are of `map`'s stretches. If `open`, the last part of the window is a run of stretch
 * `stretch`, of which `done` instructions are in it and more could be; the next of them is at `next`.
 */
struct runs {
	struct code_map *map;
	struct run_entry *entries;
	bool open;
	uint32_t stretch, done;
	uint64_t next;
};

/** How adding a block ended. */
struct runs_result {
	bool consumes; // see struct run_entry
	uint8_t flow;  // if it consumes: of the last instruction, which ends `stretch`
	uint32_t stretch;
	bool agrees;	// false: there is no such code; up to where it differs the block was added
	bool met;	// `until` was met, and nothing from there on added
	uint32_t added; // instructions
	uint64_t last;	// address of the last one added
	uint64_t after; // where it goes on, or where no code is
	bool after_known;
};

struct strobe_error *runs_init(struct runs *runs, struct code_map *map) STROBE_MUST_CHECK;
void runs_fini(struct runs *runs);
/** The next run begins a new part: an item of another kind comes, or another window. */
void runs_close(struct runs *runs);
/** Appends a block. */
struct strobe_error *runs_add(struct runs *runs, struct window *window,
			      const struct pt_block *block, struct runs_result *ret)
	STROBE_MUST_CHECK;
/** The same up to, and without, the first instruction at `*until` (NULL = none), and no more than `limit`
 *  instructions. */
struct strobe_error *runs_add_until(struct runs *runs, struct window *window,
				    const struct pt_block *block, const uint64_t *until,
				    uint32_t limit, struct runs_result *ret) STROBE_MUST_CHECK;

#endif
