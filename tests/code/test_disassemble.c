// SPDX-License-Identifier: Apache-2.0
#include <strobe/code.h>
#include <strobe/memory.h>

#include "check.h"
#include "view/view.h"

// Code in plain memory, with one symbol; the third byte from the end is the last in its piece.

static const uint8_t *code;
static size_t code_size, first_piece;
enum { BASE = 0x401000 };

const struct strobe_view *strobe_symbols_view(const struct strobe_symbols *symbols)
{
	return (const struct strobe_view *)symbols;
}

size_t strobe_memory_read(const struct strobe_view *view, uint64_t address, void *buffer,
			  size_t size)
{
	if (address - BASE >= code_size)
		return 0;
	size_t left = code_size - (size_t)(address - BASE);
	size = size < left ? size : left;
	memcpy(buffer, code + (address - BASE), size);
	return size;
}

const uint8_t *view_pointer(const struct strobe_view *view, uint64_t address, size_t *available)
{
	if (address - BASE >= code_size)
		return NULL;
	size_t offset = (size_t)(address - BASE);
	*available = offset < first_piece ? first_piece - offset : code_size - offset;
	return code + offset;
}

bool strobe_symbol_at(struct strobe_symbols *symbols, uint64_t address, struct strobe_symbol *ret)
{
	*ret = (struct strobe_symbol){.name = "start", .address = BASE, .size_bytes = 8};
	return address >= BASE;
}

struct seen {
	size_t count, stop_after;
	char text[8][64];
	char target[8][64];
	uint64_t addresses[8];
	unsigned sizes[8];
};

static bool collect(void *context, const struct strobe_instruction *instruction)
{
	struct seen *seen = context;
	CHECK(seen->count < 8);
	size_t i = seen->count++;
	snprintf(seen->text[i], sizeof(seen->text[i]), "%s", instruction->text);
	snprintf(seen->target[i], sizeof(seen->target[i]), "%s",
		 instruction->target_symbol ? instruction->target_symbol : "");
	seen->addresses[i] = instruction->address;
	seen->sizes[i] = instruction->size_bytes;
	CHECK(memcmp(instruction->bytes, code + (instruction->address - BASE),
		     instruction->size_bytes) == 0);
	return seen->count != seen->stop_after;
}

static void run(const void *bytes, size_t size, uint64_t end, size_t max, enum strobe_syntax syntax,
		struct seen *seen)
{
	code = bytes;
	code_size = size;
	if (!first_piece || first_piece > size)
		first_piece = size;
	CHECK_OK(strobe_disassemble((struct strobe_symbols *)&code, BASE, end, max, syntax, collect,
				    seen));
	first_piece = 0;
}

// push rbp; mov rbp, rsp; call start+2; jmp past the symbol; nop
static const uint8_t program[] = {0x55, 0x48, 0x89, 0xe5, 0xe8, 0xf9,
				  0xff, 0xff, 0xff, 0xeb, 0x10, 0x90};

static void shows_intel_with_targets(void)
{
	struct seen seen = {0};
	run(program, sizeof(program), 0, 0, STROBE_SYNTAX_INTEL, &seen);
	CHECK_EQUAL(seen.count, 5);
	CHECK_STRING(seen.text[1], "mov rbp, rsp");
	CHECK_EQUAL(seen.sizes[1], 3);
	CHECK_STRING(seen.text[2], "call 0x401002");
	CHECK_STRING(seen.target[2], "<start+0x2>");
	CHECK_STRING(seen.target[3], "");
	CHECK_EQUAL(seen.addresses[4], BASE + 11);
}

static void shows_att(void)
{
	struct seen seen = {0};
	run(program, sizeof(program), 0, 2, STROBE_SYNTAX_ATT, &seen);
	CHECK_EQUAL(seen.count, 2);
	CHECK_STRING(seen.text[1], "mov %rsp, %rbp");
}

static void reads_an_instruction_that_lies_in_two_pieces(void)
{
	struct seen seen = {0};
	first_piece = 6;
	run(program, sizeof(program), 0, 0, STROBE_SYNTAX_INTEL, &seen);
	CHECK_EQUAL(seen.count, 5);
	CHECK_STRING(seen.text[2], "call 0x401002");
}

static void marks_what_is_no_instruction_and_goes_on(void)
{
	static const uint8_t bad[] = {0x06, 0x90, 0x48};
	struct seen seen = {0};
	run(bad, sizeof(bad), 0, 0, STROBE_SYNTAX_INTEL, &seen);
	CHECK_EQUAL(seen.count, 3);
	CHECK_STRING(seen.text[0], "(bad)");
	CHECK_EQUAL(seen.sizes[0], 1);
	CHECK_STRING(seen.text[1], "nop");
	CHECK_STRING(seen.text[2], "(bad)"); // cut off
}

static void stops_at_the_end_and_when_told(void)
{
	struct seen seen = {0};
	run(program, sizeof(program), BASE + 4, 0, STROBE_SYNTAX_INTEL, &seen);
	CHECK_EQUAL(seen.count, 2);
	seen = (struct seen){.stop_after = 1};
	run(program, sizeof(program), 0, 0, STROBE_SYNTAX_INTEL, &seen);
	CHECK_EQUAL(seen.count, 1);
}

static void refuses_an_unreadable_start(void)
{
	struct seen seen = {0};
	code_size = 0;
	CHECK_ERROR(strobe_disassemble((struct strobe_symbols *)&code, BASE, 0, 0,
				       STROBE_SYNTAX_INTEL, collect, &seen),
		    STROBE_ERROR_UNREADABLE);
}

CHECK_MAIN({"shows Intel syntax, with targets", shows_intel_with_targets},
	   {"shows AT&T syntax", shows_att},
	   {"reads an instruction that lies in two pieces",
	    reads_an_instruction_that_lies_in_two_pieces},
	   {"marks what is no instruction and goes on", marks_what_is_no_instruction_and_goes_on},
	   {"stops at the end and when told", stops_at_the_end_and_when_told},
	   {"refuses an unreadable start", refuses_an_unreadable_start})
