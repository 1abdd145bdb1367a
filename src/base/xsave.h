// SPDX-License-Identifier: Apache-2.0
#ifndef BASE_XSAVE_H
#define BASE_XSAVE_H

// Where this processor keeps the components of the extended state, in the standard form of XSAVE (Intel SDM volume 1, 13.4).

#include <stddef.h>
#include <stdint.h>

enum {
	XSAVE_COMPONENTS = 19,
	XSAVE_FIRST = 2,	// x87 and SSE are in the FXSAVE area
	XSAVE_ENABLED_AT = 464, // XCR0, as the kernel puts it into the FXSAVE area
	XSAVE_PRESENT_AT = 512, // XSTATE_BV
	XSAVE_HEADER_END = 576, // the least of an image
};
/** AMX, as bits of XCR0: a thread has it only if it asked for it. */
#define XSAVE_TILES (UINT64_C(1) << 17 | UINT64_C(1) << 18)
struct xsave_place {
	size_t offset, size; // 0, 0 = this processor has none, or it is a supervisor's
};

/** XSAVE_COMPONENTS of them. Each question to the processor is a trap where the machine is a virtual one: they are asked once.
 *  Any thread. */
const struct xsave_place *xsave_places(void);
/** The end of the last of `components` (bits as in XCR0) that lies within `size`; XSAVE_HEADER_END at least. */
size_t xsave_end(uint64_t components, size_t size);

#endif
