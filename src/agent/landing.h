// SPDX-License-Identifier: Apache-2.0
#ifndef AGENT_LANDING_H
#define AGENT_LANDING_H

// Where punned jumps lead: the last bytes of their distance are those of the instructions that follow, so that they come down
// at places not of our choice. There a page is mapped, with a jump to the trampoline.

#include "agent/agent.h"

enum { LANDING_STARTS = 2 };

/** A jump of which only the first `size` bytes are ours to choose. */
struct pun {
	uint64_t address;
	unsigned size;			 // 1 to 4
	uint8_t bytes[AGENT_SITE_BYTES]; // as they stand there
	// Offsets in it at which other instructions begin: somebody (a uprobe, a debugger) may put a breakpoint there, which
	// changes where the jump leads. There has to be a landing as well.
	unsigned starts[LANDING_STARTS], start_count;
};

/** Finds and maps landings, with jumps to `target`; the jump's bytes are `after`. `*found` = false where there is no room. */
struct strobe_error *landing_make(struct agent *agent, const struct pun *pun, uint64_t target,
				  uint8_t after[AGENT_SITE_BYTES], bool *found) STROBE_MUST_CHECK;

#endif
