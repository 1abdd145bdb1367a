// SPDX-License-Identifier: Apache-2.0
// Registers into blocks: the other direction of registers.c.

#include <stdlib.h>
#include <string.h>

#include "elf/elf_image.h"
#include "view/registers.h"

enum { XMM_SIZE = 16, XMM_COUNT = 16, ST_AREA = 128, FX_HEADER = 24 };

bool register_copy_init(struct register_copy *copy, const struct register_blocks *blocks)
{
	size_t general = blocks->general ? USER_REGISTERS_SIZE : 0;
	size_t fxsave = blocks->fxsave ? FXSAVE_SIZE : 0;
	size_t xsave = blocks->xsave ? blocks->xsave_size : 0;
	uint8_t *bytes = malloc(general + fxsave + xsave + 1);
	if (!bytes)
		return false;
	// `general` is what is freed: it points to the allocation even where it is empty.
	*copy = (struct register_copy){
		.blocks = *blocks,
		.general = bytes,
		.fxsave = bytes + general,
		.xsave = bytes + general + fxsave,
	};
	if (general)
		copy->blocks.general = memcpy(copy->general, blocks->general, general);
	if (fxsave)
		copy->blocks.fxsave = memcpy(copy->fxsave, blocks->fxsave, fxsave);
	if (xsave)
		copy->blocks.xsave = memcpy(copy->xsave, blocks->xsave, xsave);
	return true;
}

void register_copy_fini(struct register_copy *copy)
{
	free(copy->general);
	*copy = (struct register_copy){0};
}

uint64_t register_present(const struct register_copy *copy)
{
	return copy->blocks.xsave ? elf_number(copy->xsave + XSAVE_PRESENT_OFFSET, 8) : 0;
}

static void put(uint8_t *bytes, uint64_t value, unsigned size)
{
	for (unsigned i = 0; i < size; i++)
		bytes[i] = (uint8_t)(value >> 8 * i);
}

void register_set_present(struct register_copy *copy, uint64_t present)
{
	if (copy->blocks.xsave)
		put(copy->xsave + XSAVE_PRESENT_OFFSET, present, 8);
}

/** What is written to must not stay in its initial state: that would hide it. The rest of the
 *  component gets the initial values that it had. */
static void leave_initial(struct register_copy *copy, unsigned n)
{
	uint64_t present = register_present(copy);
	uint32_t offset, size;
	if (!copy->blocks.xsave || present >> n & 1)
		return;
	if (n == XSAVE_X87) {
		memset(copy->xsave, 0, FX_HEADER);
		memset(copy->xsave + FX_ST, 0, ST_AREA);
		put(copy->xsave, X87_INITIAL_CONTROL, 2);
	} else if (n == XSAVE_SSE) {
		memset(copy->xsave + FX_XMM, 0, (size_t)XMM_SIZE * XMM_COUNT);
		if (!(present >> XSAVE_AVX & 1)) // MXCSR is loaded with either
			put(copy->xsave + FX_MXCSR, INITIAL_MXCSR, 4);
	} else if (register_component_place(&copy->blocks, n, 0, &offset, &size)) {
		memset(copy->xsave + offset, 0, size);
	}
	register_set_present(copy, present | UINT64_C(1) << n);
}

/** The legacy area stands in two notes, and either may be read. */
static void store_legacy(struct register_copy *copy, unsigned n, uint32_t offset,
			 const uint8_t *bytes, size_t size)
{
	if (copy->blocks.fxsave)
		memcpy(copy->fxsave + offset, bytes, size);
	if (!copy->blocks.xsave)
		return;
	leave_initial(copy, n);
	memcpy(copy->xsave + offset, bytes, size);
}

static void store_component(struct register_copy *copy, unsigned n, uint32_t at,
			    const uint8_t *bytes, uint32_t size)
{
	uint32_t offset, room;
	if (!register_component_place(&copy->blocks, n, at + size, &offset, &room))
		return;
	leave_initial(copy, n);
	memcpy(copy->xsave + offset + at, bytes, size);
}

static void store_vector(struct register_copy *copy, const struct register_spec *spec,
			 const uint8_t *bytes)
{
	if (spec->index >= XMM_COUNT) {
		store_component(copy, XSAVE_ZMM_UPPER, 64 * (spec->index - XMM_COUNT), bytes,
				spec->size);
		return;
	}
	store_legacy(copy, XSAVE_SSE, FX_XMM + XMM_SIZE * spec->index, bytes, XMM_SIZE);
	if (spec->kind != KIND_XMM)
		store_component(copy, XSAVE_AVX, XMM_SIZE * spec->index, bytes + 16, 16);
	if (spec->kind == KIND_ZMM)
		store_component(copy, XSAVE_ZMM_HIGH, 32 * spec->index, bytes + 32, 32);
}

/** The abridged tag word from the full one: one bit a register, 0 = empty. */
static uint8_t abridged_tag(uint64_t tag)
{
	uint8_t bits = 0;
	for (unsigned i = 0; i < 8; i++)
		if ((tag >> 2 * i & 3) != 3)
			bits |= (uint8_t)(1 << i);
	return bits;
}

bool register_fits(const struct register_spec *spec, const uint8_t *bytes)
{
	unsigned room = spec->kind == KIND_X87 ? spec->bytes : spec->kind == KIND_TAG ? 2 : 64;
	for (unsigned i = room; i < spec->size && room < 64; i++)
		if (bytes[i])
			return false;
	return true;
}

void register_store(struct register_copy *copy, const struct register_spec *spec,
		    const uint8_t *bytes)
{
	uint8_t tag;
	switch (spec->kind) {
	case KIND_GENERAL:
		memcpy(copy->general + spec->index, bytes, spec->size);
		break;
	case KIND_X87:
		store_legacy(copy, XSAVE_X87, spec->index, bytes, spec->bytes);
		break;
	case KIND_TAG:
		tag = abridged_tag(elf_number(bytes, 2));
		store_legacy(copy, XSAVE_X87, FX_TAG, &tag, 1);
		break;
	case KIND_ST:
		store_legacy(copy, XSAVE_X87, FX_ST + 16 * spec->index, bytes, 10);
		break;
	case KIND_MXCSR:
		// With AVX state there it is valid already; else it goes with SSE's.
		store_legacy(copy, register_present(copy) >> XSAVE_AVX & 1 ? XSAVE_AVX : XSAVE_SSE,
			     FX_MXCSR, bytes, 4);
		break;
	case KIND_XMM:
	case KIND_YMM:
	case KIND_ZMM:
		store_vector(copy, spec, bytes);
		break;
	case KIND_MASK:
		store_component(copy, XSAVE_MASK, 8 * spec->index, bytes, 8);
		break;
	case KIND_PKRU:
		store_component(copy, XSAVE_PKRU, 0, bytes, 4);
		break;
	case KIND_TILE_CONFIG:
		store_component(copy, XSAVE_TILE_CONFIG, 0, bytes, 64);
		break;
	case KIND_TILE:
		store_component(copy, XSAVE_TILE_DATA, 1024 * spec->index, bytes, 1024);
		break;
	}
}
