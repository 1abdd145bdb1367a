// SPDX-License-Identifier: Apache-2.0
#ifndef VIEW_BLOCKS_H
#define VIEW_BLOCKS_H

// Registers of an x86-64 thread as Linux writes them: user_regs_struct, FXSAVE, XSAVE.

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	USER_REGISTERS_SIZE = 27 * 8, // struct user_regs_struct
	FXSAVE_SIZE = 512,
	XSAVE_HEADER_END = 576,
	XSAVE_COMPONENT_COUNT = 64,
};

/** Where XSAVE components lie in the standard format; size 0 = not told. */
struct xsave_layout {
	struct {
		uint32_t offset, size;
	} components[XSAVE_COMPONENT_COUNT];
};

/** What a source recorded of one thread. Borrowed; NULL = not recorded. */
struct register_blocks {
	const uint8_t *general;	  // USER_REGISTERS_SIZE bytes
	uint32_t general_missing; // bit n: word n of `general` was not recorded
	const uint8_t *fxsave;	  // FXSAVE_SIZE bytes
	const uint8_t *xsave;	  // xsave_size bytes, at least XSAVE_HEADER_END
	uint32_t xsave_size;
	const struct xsave_layout *layout; // NULL: the usual places
};

/** Offsets of user_regs_struct that others need. */
enum {
	USER_R10 = 56,
	USER_R9 = 64,
	USER_R8 = 72,
	USER_RDX = 96,
	USER_RSI = 104,
	USER_RDI = 112,
	USER_ORIG_RAX = 120,
	USER_RIP = 128,
	USER_RSP = 152,
};

#endif
