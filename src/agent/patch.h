// SPDX-License-Identifier: Apache-2.0
#ifndef AGENT_PATCH_H
#define AGENT_PATCH_H

// A change of the target's code.

#include <stdint.h>

// The table: what it gives to inside_patch or inside_calls, in the target.
enum { SURGEON_PATCH_MAX = 8, SURGEON_BATCH = 512, SURGEON_TABLE = 32768 };

/** Bytes to be changed at one stroke: within 16 at a multiple of 16. */
struct surgeon_patch {
	uint64_t address;
	uint8_t size;
	uint8_t before[SURGEON_PATCH_MAX], after[SURGEON_PATCH_MAX];
	uint8_t undo; // it takes one back
	uint8_t done; // answer
};

#endif
