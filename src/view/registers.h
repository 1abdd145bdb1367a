// SPDX-License-Identifier: Apache-2.0
#ifndef VIEW_REGISTERS_H
#define VIEW_REGISTERS_H

// Which registers there are and where they lie in a thread's blocks.

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "view/blocks.h"

// XSAVE state components (Intel SDM volume 1, 13.1).
enum {
	XSAVE_X87 = 0,
	XSAVE_SSE = 1,
	XSAVE_AVX = 2,
	XSAVE_MPX_FIRST = 3,
	XSAVE_MASK = 5,
	XSAVE_ZMM_HIGH = 6,
	XSAVE_ZMM_UPPER = 7,
	XSAVE_PKRU = 9,
	XSAVE_TILE_CONFIG = 17,
	XSAVE_TILE_DATA = 18,
	XSAVE_MASK_OFFSET = 464, // Linux keeps the mask of enabled features in the FXSAVE reserve
	XSAVE_PRESENT_OFFSET = 512,
	LARGEST_COMPONENT = 8192,
};

enum {
	FX_STATUS = 2,
	FX_TAG = 4,
	FX_MXCSR = 24,
	FX_ST = 32,
	FX_XMM = 160,
	X87_INITIAL_CONTROL = 0x37f,
	INITIAL_MXCSR = 0x1f80,
};

enum register_kind {
	KIND_GENERAL, // index = offset in user_regs_struct
	KIND_X87,     // index = offset in FXSAVE, `bytes` there, size in gdb
	KIND_TAG,
	KIND_ST,
	KIND_MXCSR,
	KIND_XMM,
	KIND_YMM,
	KIND_ZMM,
	KIND_MASK,
	KIND_PKRU,
	KIND_TILE_CONFIG,
	KIND_TILE,
};

struct register_spec {
	const char *name;
	const char *group;
	enum register_kind kind;
	uint16_t index;
	uint16_t bytes; // in the source
	uint16_t size;	// as shown
	bool alias;	// found by name only
};

/** The register or part of one called `name`; NULL if there is no such register. */
const struct register_spec *register_find(const char *name);
/** Its bytes, `spec->size` of them, in the blocks or put together in `scratch` (VIEW_SCRATCH_SIZE);
 *  NULL if they do not include it. */
const uint8_t *register_fetch(const struct register_blocks *blocks,
			      const struct register_spec *spec, uint8_t *scratch);
/** Where XSAVE component `n` lies, at least `needed` bytes of it; false if the thread has none. */
bool register_component_place(const struct register_blocks *blocks, unsigned n, uint32_t needed,
			      uint32_t *offset, uint32_t *size);

/** register_write.c: blocks of one's own, and their views. */
struct register_copy {
	struct register_blocks blocks; // of the bytes below
	uint8_t *general, *fxsave, *xsave;
};
/** Copies `blocks`, with one allocation that register_copy_fini() releases; false when short. */
bool register_copy_init(struct register_copy *copy, const struct register_blocks *blocks);
void register_copy_fini(struct register_copy *copy);
/** True if the register can hold these `spec->size` bytes. */
bool register_fits(const struct register_spec *spec, const uint8_t *bytes);
/** Sets a register that register_fetch() finds in the copy. */
void register_store(struct register_copy *copy, const struct register_spec *spec,
		    const uint8_t *bytes);
/** Which XSAVE components are not in their initial state; 0 without an XSAVE image. */
uint64_t register_present(const struct register_copy *copy);
void register_set_present(struct register_copy *copy, uint64_t present);

#endif
