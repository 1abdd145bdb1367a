// SPDX-License-Identifier: Apache-2.0
#include "stack/guess.h"

#include <string.h>

#include "symbols/cfi.h"
#include "view/view.h"

enum { PATTERN_BYTES = 16, DIRECT_CALL_REACH = 4096 };

bool guess_is_code(struct unwinder *unwinder, uint64_t pc)
{
	const struct strobe_mapping *mapping = strobe_view_mapping_at(unwinder->view, pc);
	return mapping && mapping->permissions & STROBE_PERMISSION_EXECUTE;
}

static size_t read_code(struct unwinder *unwinder, uint64_t address, uint8_t *bytes, size_t size)
{
	return strobe_memory_read(unwinder->view, address, bytes, size);
}

/** `size` bytes before a return address end in a call: e8 rel32, or ff /2 in one of its lengths. */
static bool ends_in_call(const uint8_t *bytes, size_t size)
{
	const uint8_t *end = bytes + size;
	if (size >= 5 && end[-5] == 0xe8)
		return true;
	for (size_t length = 2; length <= 7 && length <= size; length++) {
		const uint8_t *call = end - length;
		if (call[0] != 0xff || (call[1] & 0x38) != 0x10)
			continue;
		unsigned mode = call[1] >> 6, operand = call[1] & 7;
		bool scaled = mode != 3 && operand == 4; // an SIB byte follows
		size_t expected = 2 + scaled;
		if (scaled && length < 3)
			continue;
		if (mode == 1)
			expected += 1;
		if (mode == 2 || (mode == 0 && operand == 5) ||
		    (mode == 0 && scaled && (call[2] & 7) == 5))
			expected += 4;
		if (expected == length)
			return true;
	}
	return false;
}

/** A return address is in code and behind a call; code that cannot be read gets the benefit. */
static bool is_return_address(struct unwinder *unwinder, uint64_t address)
{
	if (address < PATTERN_BYTES || !guess_is_code(unwinder, address - 1))
		return false;
	uint8_t bytes[7];
	if (read_code(unwinder, address - sizeof(bytes), bytes, sizeof(bytes)) < sizeof(bytes))
		return true;
	return ends_in_call(bytes, sizeof(bytes));
}

/** The direct call before return address `address` goes to just before `pc`. */
static bool calls_near(struct unwinder *unwinder, uint64_t address, uint64_t pc)
{
	uint8_t bytes[5];
	int32_t offset;
	if (read_code(unwinder, address - sizeof(bytes), bytes, sizeof(bytes)) < sizeof(bytes) ||
	    bytes[0] != 0xe8)
		return false;
	memcpy(&offset, bytes + 1, sizeof(offset));
	uint64_t target = address + (uint64_t)(int64_t)offset;
	return pc - target < DIRECT_CALL_REACH;
}

static bool top_is_return(struct unwinder *unwinder, uint64_t sp, struct guess *ret)
{
	uint64_t address;
	if (!unwinder_read(unwinder, sp, &address) || !is_return_address(unwinder, address))
		return false;
	*ret = (struct guess){.trust = STROBE_TRUST_GUESS_PLT, .return_at = sp};
	return true;
}

static bool starts_with(const uint8_t *bytes, size_t size, const char *pattern, size_t length)
{
	return size >= length && memcmp(bytes, pattern, length) == 0;
}

/** mov $15,%rax; syscall (or with %eax): sigreturn, with the context on top of the stack. */
static bool is_sigreturn(const uint8_t *bytes, size_t size)
{
	return starts_with(bytes, size, "\x48\xc7\xc0\x0f\0\0\0\x0f\x05", 9) ||
	       starts_with(bytes, size, "\xb8\x0f\0\0\0\x0f\x05", 7);
}

/** At `pc` the return address is on top: ret, a jump through a table, or a function's first byte. */
static bool on_top_here(const uint8_t *bytes, size_t size)
{
	if (starts_with(bytes, size, "\xf3\x0f\x1e\xfa", 4)) // endbr64: a function or PLT entry
		return true;
	return starts_with(bytes, size, "\xc3", 1) || starts_with(bytes, size, "\xf3\xc3", 2) ||
	       starts_with(bytes, size, "\xc2", 1) || starts_with(bytes, size, "\xff\x25", 2) ||
	       starts_with(bytes, size, "\xf2\xff\x25", 3) ||
	       starts_with(bytes, size, "\x55\x48\x89\xe5", 4) ||
	       starts_with(bytes, size, "\x55\x48\x8b\xec", 4);
}

static bool is_frame_move(const uint8_t *bytes, size_t size)
{
	return starts_with(bytes, size, "\x48\x89\xe5", 3) ||
	       starts_with(bytes, size, "\x48\x8b\xec", 3);
}

/** Between push %rbp and mov %rsp,%rbp: the caller's frame pointer is on top. */
static bool pushed_frame_pointer(struct unwinder *unwinder, const struct physical_frame *frame,
				 const uint8_t *bytes, size_t size, struct guess *ret)
{
	uint8_t before;
	uint64_t sp = frame->registers[FRAME_RSP], address;
	if (!is_frame_move(bytes, size) || read_code(unwinder, frame->pc - 1, &before, 1) != 1 ||
	    before != 0x55 || !unwinder_read(unwinder, sp + 8, &address) ||
	    !is_return_address(unwinder, address))
		return false;
	*ret = (struct guess){
		.trust = STROBE_TRUST_GUESS_PLT, .return_at = sp + 8, .frame_pointer_at = sp};
	return unwinder_read(unwinder, sp, &ret->frame_pointer);
}

/** A function that never sets up a frame pointer, and a pc in it: the stack may still be as at
 *  its entry. Told by a return address on top whose call leads to just before pc. */
static bool is_leaf(struct unwinder *unwinder, const struct physical_frame *frame,
		    struct guess *ret)
{
	uint64_t sp = frame->registers[FRAME_RSP], address;
	return top_is_return(unwinder, sp, ret) && unwinder_read(unwinder, sp, &address) &&
	       calls_near(unwinder, address, frame->pc);
}

static bool from_innermost(struct unwinder *unwinder, const struct physical_frame *frame,
			   struct guess *ret)
{
	uint64_t sp = frame->registers[FRAME_RSP];
	if (!guess_is_code(unwinder, frame->pc)) // a call through a wild pointer got nowhere
		return top_is_return(unwinder, sp, ret);
	uint8_t bytes[PATTERN_BYTES];
	size_t size = read_code(unwinder, frame->pc, bytes, sizeof(bytes));
	if (on_top_here(bytes, size) && top_is_return(unwinder, sp, ret))
		return true;
	if (pushed_frame_pointer(unwinder, frame, bytes, size, ret))
		return true;
	return is_leaf(unwinder, frame, ret);
}

static bool from_frame_pointer(struct unwinder *unwinder, const struct physical_frame *frame,
			       struct guess *ret)
{
	uint64_t fp = frame->registers[FRAME_RBP], sp = frame->registers[FRAME_RSP];
	uint64_t address, outer;
	if (!(frame->known & 1u << FRAME_RBP) || fp % 8 || fp < sp)
		return false;
	const struct strobe_mapping *mapping = strobe_view_mapping_at(unwinder->view, fp);
	if (!mapping || sp < mapping->start || !unwinder_read(unwinder, fp, &outer) ||
	    !unwinder_read(unwinder, fp + 8, &address) || !is_return_address(unwinder, address))
		return false;
	*ret = (struct guess){.trust = STROBE_TRUST_FRAME_POINTER,
			      .return_at = fp + 8,
			      .frame_pointer = outer,
			      .frame_pointer_at = fp};
	return true;
}

static bool from_scan(struct unwinder *unwinder, const struct physical_frame *frame,
		      struct guess *ret)
{
	uint64_t sp = (frame->registers[FRAME_RSP] + 7) & ~UINT64_C(7);
	for (uint64_t at = sp; at - sp < GUESS_SCAN_BYTES; at += 8) {
		uint64_t address;
		const struct cfi_row *row;
		if (!unwinder_read(unwinder, at, &address))
			return false;
		// Only code with call frame information can show that the guess leads on.
		if (!is_return_address(unwinder, address) ||
		    cfi_row_at(unwinder->symbols, address - 1, &row) != CFI_FOUND)
			continue;
		*ret = (struct guess){.trust = STROBE_TRUST_SCAN, .return_at = at};
		return true;
	}
	return false;
}

bool guess_caller(struct unwinder *unwinder, const struct physical_frame *frame, struct guess *ret)
{
	if (!(frame->known & 1u << FRAME_RSP))
		return false;
	uint8_t bytes[PATTERN_BYTES];
	if (is_sigreturn(bytes, read_code(unwinder, frame->pc, bytes, sizeof(bytes)))) {
		*ret = (struct guess){.trust = STROBE_TRUST_GUESS_PLT, .signal_frame = true};
		return true;
	}
	if (frame->innermost && from_innermost(unwinder, frame, ret))
		return true;
	return from_frame_pointer(unwinder, frame, ret) || from_scan(unwinder, frame, ret);
}
