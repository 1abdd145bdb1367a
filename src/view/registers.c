// SPDX-License-Identifier: Apache-2.0
#include "view/registers.h"

#include <string.h>

#include "elf/elf_image.h"
#include "view/build.h"

static const char general[] = "general";
static const char x87[] = "x87";
static const char vector[] = "vector";
static const char mask[] = "mask";
static const char tile[] = "tile";
static const char other[] = "other";

#define WHOLE(name, offset, size)                                                                  \
	{                                                                                          \
		name, general, KIND_GENERAL, offset, size, size, false                             \
	}
#define PART(name, offset, size)                                                                   \
	{                                                                                          \
		name, general, KIND_GENERAL, offset, size, size, true                              \
	}
#define NEW(n, offset)                                                                             \
	PART("r" n "d", offset, 4), PART("r" n "w", offset, 2), PART("r" n "b", offset, 1),        \
		PART("r" n "l", offset, 1)
#define N8(m) m(0), m(1), m(2), m(3), m(4), m(5), m(6), m(7)
#define N16(m) N8(m), m(8), m(9), m(10), m(11), m(12), m(13), m(14), m(15)
#define N32(m)                                                                                     \
	N16(m), m(16), m(17), m(18), m(19), m(20), m(21), m(22), m(23), m(24), m(25), m(26),       \
		m(27), m(28), m(29), m(30), m(31)
#define ST(n)                                                                                      \
	{                                                                                          \
		"st" #n, x87, KIND_ST, n, 10, 10, false                                            \
	}
#define MASK(n)                                                                                    \
	{                                                                                          \
		"k" #n, mask, KIND_MASK, n, 8, 8, false                                            \
	}
#define XMM(n)                                                                                     \
	{                                                                                          \
		"xmm" #n, vector, KIND_XMM, n, 16, 16, false                                       \
	}
#define YMM(n)                                                                                     \
	{                                                                                          \
		"ymm" #n, vector, KIND_YMM, n, 32, 32, false                                       \
	}
#define ZMM(n)                                                                                     \
	{                                                                                          \
		"zmm" #n, vector, KIND_ZMM, n, 64, 64, false                                       \
	}
#define TILE(n)                                                                                    \
	{                                                                                          \
		"tmm" #n, tile, KIND_TILE, n, 1024, 1024, false                                    \
	}

// In gdb's order; sizes as gdb's (segment registers and flags are 32 bits there).
static const struct register_spec specs[] = {
	WHOLE("rax", 80, 8),
	WHOLE("rbx", 40, 8),
	WHOLE("rcx", 88, 8),
	WHOLE("rdx", 96, 8),
	WHOLE("rsi", 104, 8),
	WHOLE("rdi", 112, 8),
	WHOLE("rbp", 32, 8),
	WHOLE("rsp", USER_RSP, 8),
	WHOLE("r8", 72, 8),
	WHOLE("r9", 64, 8),
	WHOLE("r10", 56, 8),
	WHOLE("r11", 48, 8),
	WHOLE("r12", 24, 8),
	WHOLE("r13", 16, 8),
	WHOLE("r14", 8, 8),
	WHOLE("r15", 0, 8),
	WHOLE("rip", USER_RIP, 8),
	WHOLE("eflags", 144, 4),
	WHOLE("cs", 136, 4),
	WHOLE("ss", 160, 4),
	WHOLE("ds", 184, 4),
	WHOLE("es", 192, 4),
	WHOLE("fs", 200, 4),
	WHOLE("gs", 208, 4),
	WHOLE("fs_base", 168, 8),
	WHOLE("gs_base", 176, 8),
	WHOLE("orig_rax", 120, 8),
	N8(MASK),
	N8(ST),
	{"fctrl", x87, KIND_X87, 0, 2, 4, false},
	{"fstat", x87, KIND_X87, FX_STATUS, 2, 4, false},
	{"ftag", x87, KIND_TAG, FX_TAG, 1, 4, false},
	{"fiseg", x87, KIND_X87, 12, 2, 4, false},
	{"fioff", x87, KIND_X87, 8, 4, 4, false},
	{"foseg", x87, KIND_X87, 20, 2, 4, false},
	{"fooff", x87, KIND_X87, 16, 4, 4, false},
	{"fop", x87, KIND_X87, 6, 2, 4, false},
	{"mxcsr", vector, KIND_MXCSR, FX_MXCSR, 4, 4, false},
	N32(XMM),
	N32(YMM),
	N32(ZMM),
	{"pkru", other, KIND_PKRU, 0, 4, 4, false},
	{"tilecfg", tile, KIND_TILE_CONFIG, 0, 64, 64, false},
	N8(TILE),
	PART("pc", USER_RIP, 8),
	PART("sp", USER_RSP, 8),
	PART("fp", 32, 8),
	PART("eip", USER_RIP, 4),
	PART("ip", USER_RIP, 2),
	PART("rflags", 144, 8),
	PART("esp", USER_RSP, 4),
	PART("spl", USER_RSP, 1),
	PART("ebp", 32, 4),
	PART("bp", 32, 2),
	PART("bpl", 32, 1),
	PART("esi", 104, 4),
	PART("si", 104, 2),
	PART("sil", 104, 1),
	PART("edi", 112, 4),
	PART("di", 112, 2),
	PART("dil", 112, 1),
	PART("eax", 80, 4),
	PART("ax", 80, 2),
	PART("al", 80, 1),
	PART("ah", 81, 1),
	PART("ebx", 40, 4),
	PART("bx", 40, 2),
	PART("bl", 40, 1),
	PART("bh", 41, 1),
	PART("ecx", 88, 4),
	PART("cx", 88, 2),
	PART("cl", 88, 1),
	PART("ch", 89, 1),
	PART("edx", 96, 4),
	PART("dx", 96, 2),
	PART("dl", 96, 1),
	PART("dh", 97, 1),
	NEW("8", 72),
	NEW("9", 64),
	NEW("10", 56),
	NEW("11", 48),
	NEW("12", 24),
	NEW("13", 16),
	NEW("14", 8),
	NEW("15", 0),
};
enum { SPEC_COUNT = sizeof(specs) / sizeof(specs[0]) };

/** Where component `n` lies when nobody wrote it down. */
static bool usual_place(const struct register_blocks *blocks, uint64_t enabled, unsigned n,
			uint32_t *offset, uint32_t *size)
{
	// The offsets differ between makers: Intel's leave room for MPX (components 3 and 4), AMD's
	// do not, and their images end before Intel's last component would begin.
	bool compact = blocks->xsave_size < 2688 && !(enabled >> XSAVE_MPX_FIRST & 3);
	bool with_512 = enabled >> XSAVE_ZMM_UPPER & 1;
	switch (n) {
	case XSAVE_AVX:
		*offset = XSAVE_HEADER_END, *size = 256;
		return true;
	case XSAVE_MASK:
		*offset = compact ? 832 : 1088, *size = 64;
		return true;
	case XSAVE_ZMM_HIGH:
		*offset = compact ? 896 : 1152, *size = 512;
		return true;
	case XSAVE_ZMM_UPPER:
		*offset = compact ? 1408 : 1664, *size = 1024;
		return true;
	case XSAVE_PKRU:
		// Some processors leave room for AVX-512 that they do not have.
		with_512 = with_512 || blocks->xsave_size >= 2432 + 8;
		*offset = !compact ? 2688 : with_512 ? 2432 : 832, *size = 8;
		return true;
	case XSAVE_TILE_CONFIG:
		*offset = 2752, *size = 64;
		return true;
	case XSAVE_TILE_DATA:
		*offset = 2816, *size = LARGEST_COMPONENT;
		return true;
	default:
		return false;
	}
}

bool register_component_place(const struct register_blocks *blocks, unsigned n, uint32_t needed,
			      uint32_t *offset, uint32_t *size)
{
	if (!blocks->xsave || blocks->xsave_size < XSAVE_HEADER_END)
		return false;
	uint64_t enabled = elf_number(blocks->xsave + XSAVE_MASK_OFFSET, 8);
	if (!enabled)
		enabled = elf_number(blocks->xsave + XSAVE_PRESENT_OFFSET, 8);
	if (!(enabled >> n & 1))
		return false;
	if (blocks->layout && blocks->layout->components[n].size) {
		*offset = blocks->layout->components[n].offset;
		*size = blocks->layout->components[n].size;
	} else if (!usual_place(blocks, enabled, n, offset, size)) {
		return false;
	}
	return *size >= needed && *offset >= XSAVE_HEADER_END && *offset <= blocks->xsave_size &&
	       *size <= blocks->xsave_size - *offset;
}

/** The bytes of component `n`, at least `needed`; NULL if the thread does not have them. */
static const uint8_t *component(const struct register_blocks *blocks, unsigned n, uint32_t needed)
{
	static const uint8_t zeros[LARGEST_COMPONENT];
	uint32_t offset, size;
	if (!register_component_place(blocks, n, needed, &offset, &size))
		return NULL;
	uint64_t present = elf_number(blocks->xsave + XSAVE_PRESENT_OFFSET, 8);
	// A component in its initial state is zero, whatever its bytes in the image say.
	return present >> n & 1 ? blocks->xsave + offset : zeros;
}

/** The FXSAVE area; `*initial` if `n` (x87 or SSE) is in its initial state. */
static const uint8_t *legacy(const struct register_blocks *blocks, unsigned n, bool *initial)
{
	*initial = false;
	if (!blocks->xsave)
		return blocks->fxsave;
	*initial = !(elf_number(blocks->xsave + XSAVE_PRESENT_OFFSET, 8) >> n & 1);
	return blocks->xsave;
}

/** The full tag word from the abridged one, as FSTENV would write it (SDM volume 1, 10.5.1.1). */
static uint32_t full_tag(const uint8_t *fx)
{
	unsigned top = fx[FX_STATUS + 1] >> 3 & 7;
	uint32_t tag = 0;
	for (unsigned i = 0; i < 8; i++) {
		unsigned bits = 3; // empty
		if (fx[FX_TAG] >> i & 1) {
			const uint8_t *st = fx + FX_ST + ((i - top) & 7) * 16;
			uint64_t fraction = elf_number(st, 8);
			unsigned exponent = elf_number(st + 8, 2) & 0x7fff;
			if (exponent == 0x7fff)
				bits = 2;
			else if (exponent == 0)
				bits = fraction ? 2 : 1;
			else
				bits = fraction >> 63 ? 0 : 2;
		}
		tag |= bits << (2 * i);
	}
	return tag;
}

static const uint8_t *put_number(uint8_t *scratch, uint32_t value)
{
	for (int i = 0; i < 4; i++)
		scratch[i] = (uint8_t)(value >> 8 * i);
	return scratch;
}

static const uint8_t *fetch_x87(const struct register_blocks *blocks,
				const struct register_spec *spec, uint8_t *scratch)
{
	bool initial;
	const uint8_t *fx =
		legacy(blocks, spec->kind == KIND_MXCSR ? XSAVE_SSE : XSAVE_X87, &initial);
	if (!fx)
		return NULL;
	if (spec->kind == KIND_MXCSR) {
		// MXCSR is loaded with either SSE or AVX state.
		if (initial && elf_number(blocks->xsave + XSAVE_PRESENT_OFFSET, 8) >> XSAVE_AVX & 1)
			initial = false;
		return initial ? put_number(scratch, INITIAL_MXCSR) : fx + spec->index;
	}
	if (spec->kind == KIND_ST) {
		memset(scratch, 0, 10);
		return initial ? scratch : fx + FX_ST + 16 * spec->index;
	}
	if (spec->kind == KIND_TAG)
		return put_number(scratch, initial ? 0xffff : full_tag(fx));
	uint32_t value = (uint32_t)elf_number(fx + spec->index, spec->bytes);
	if (initial)
		value = spec->index == 0 ? X87_INITIAL_CONTROL : 0;
	return put_number(scratch, value);
}

/** xmm, ymm and zmm: the parts of one wide register lie in up to three components. */
static const uint8_t *fetch_vector(const struct register_blocks *blocks,
				   const struct register_spec *spec, uint8_t *scratch)
{
	if (spec->index >= 16) {
		const uint8_t *upper = component(blocks, XSAVE_ZMM_UPPER, 1024);
		return upper ? upper + 64 * (spec->index - 16) : NULL;
	}
	bool initial;
	const uint8_t *fx = legacy(blocks, XSAVE_SSE, &initial);
	const uint8_t *avx = component(blocks, XSAVE_AVX, 256);
	const uint8_t *high = component(blocks, XSAVE_ZMM_HIGH, 512);
	if (!fx || (spec->kind != KIND_XMM && !avx) || (spec->kind == KIND_ZMM && !high))
		return NULL;
	memset(scratch, 0, 64);
	if (!initial)
		memcpy(scratch, fx + FX_XMM + 16 * spec->index, 16);
	if (avx)
		memcpy(scratch + 16, avx + 16 * spec->index, 16);
	if (high)
		memcpy(scratch + 32, high + 32 * spec->index, 32);
	return scratch;
}

const uint8_t *register_fetch(const struct register_blocks *blocks,
			      const struct register_spec *spec, uint8_t *scratch)
{
	const uint8_t *bytes;
	switch (spec->kind) {
	case KIND_GENERAL:
		if (!blocks->general || blocks->general_missing >> spec->index / 8 & 1)
			return NULL;
		return blocks->general + spec->index;
	case KIND_X87:
	case KIND_TAG:
	case KIND_ST:
	case KIND_MXCSR:
		return fetch_x87(blocks, spec, scratch);
	case KIND_XMM:
	case KIND_YMM:
	case KIND_ZMM:
		return fetch_vector(blocks, spec, scratch);
	case KIND_MASK:
		bytes = component(blocks, XSAVE_MASK, 64);
		return bytes ? bytes + 8 * spec->index : NULL;
	case KIND_PKRU:
		return component(blocks, XSAVE_PKRU, 4);
	case KIND_TILE_CONFIG:
		return component(blocks, XSAVE_TILE_CONFIG, 64);
	case KIND_TILE:
		bytes = component(blocks, XSAVE_TILE_DATA, LARGEST_COMPONENT);
		return bytes ? bytes + 1024 * spec->index : NULL;
	}
	return NULL;
}

const struct register_spec *register_find(const char *name)
{
	for (size_t i = 0; i < SPEC_COUNT; i++)
		if (strcmp(specs[i].name, name) == 0)
			return &specs[i];
	return NULL;
}

static bool fill(const struct strobe_view *view, size_t thread_index,
		 const struct register_spec *spec, struct strobe_register *ret)
{
	// The scratch bytes are a cache, not part of what the view says.
	uint8_t *scratch = ((struct strobe_view *)view)->scratch;
	const uint8_t *bytes = register_fetch(&view->registers.items[thread_index], spec, scratch);
	if (!bytes)
		return false;
	view_touched((struct strobe_view *)view, bytes, spec->size);
	*ret = (struct strobe_register){spec->name, spec->group, spec->size, bytes};
	return true;
}

size_t strobe_view_register_count(const struct strobe_view *view, size_t thread_index)
{
	struct strobe_register ignored;
	size_t count = 0;
	if (thread_index >= view->threads.count)
		return 0;
	for (size_t i = 0; i < SPEC_COUNT; i++)
		count += !specs[i].alias && fill(view, thread_index, &specs[i], &ignored);
	return count;
}

void strobe_view_register(const struct strobe_view *view, size_t thread_index,
			  size_t register_index, struct strobe_register *ret)
{
	*ret = (struct strobe_register){"", other, 0, (const uint8_t *)""};
	if (thread_index >= view->threads.count)
		return;
	struct strobe_register found;
	for (size_t i = 0; i < SPEC_COUNT; i++) {
		if (specs[i].alias || !fill(view, thread_index, &specs[i], &found))
			continue;
		if (register_index-- == 0) {
			*ret = found;
			return;
		}
	}
}

bool strobe_view_register_by_name(const struct strobe_view *view, size_t thread_index,
				  const char *name, struct strobe_register *ret)
{
	const struct register_spec *spec = register_find(name);
	return spec && thread_index < view->threads.count && fill(view, thread_index, spec, ret);
}
