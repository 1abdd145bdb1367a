// SPDX-License-Identifier: Apache-2.0
// Registers of a frame by DWARF number and by name.

#include <stdio.h>
#include <string.h>

#include "stack/frame.h"

static const char *const general_names[FRAME_REGISTER_COUNT] = {
	"rax", "rdx", "rcx", "rbx", "rsi", "rdi", "rbp", "rsp", "r8",
	"r9",  "r10", "r11", "r12", "r13", "r14", "r15", "rip"};

/** Numbers of System V ABI AMD64, figure 3.36, that unwinding does not restore. */
static bool name_of(unsigned number, char *name, size_t size)
{
	static const char *const others[] = {"eflags", "es", "cs", "ss",      "ds",	"fs",
					     "gs",     NULL, NULL, "fs_base", "gs_base"};
	if (number >= 17 && number <= 32)
		snprintf(name, size, "xmm%u", number - 17);
	else if (number >= 33 && number <= 40)
		snprintf(name, size, "st%u", number - 33);
	else if (number >= 41 && number <= 48)
		snprintf(name, size, "mm%u", number - 41);
	else if (number >= 49 && number <= 59 && others[number - 49])
		snprintf(name, size, "%s", others[number - 49]);
	else if (number >= 67 && number <= 82)
		snprintf(name, size, "xmm%u", number - 67 + 16);
	else if (number >= 118 && number <= 125)
		snprintf(name, size, "k%u", number - 118);
	else
		return false;
	return true;
}

bool stack_dwarf_register(const struct strobe_stack *stack, const struct physical_frame *frame,
			  unsigned number, void *buffer, size_t *size, uint64_t *address)
{
	*address = 0;
	if (number < FRAME_REGISTER_COUNT) {
		if (!(frame->known >> number & 1))
			return false;
		if (*size > sizeof(uint64_t))
			*size = sizeof(uint64_t);
		memcpy(buffer, &frame->registers[number], *size);
		*address = frame->saved_at[number];
		return true;
	}
	const struct strobe_view *view = strobe_symbols_view(stack->symbols);
	char name[16];
	struct strobe_register reg;
	bool found = name_of(number, name, sizeof(name));
	if (found && number >= 41 && number <= 48) // mm: the low 8 bytes of st
		name[0] = 's', name[1] = 't';
	if (!found || !strobe_view_register_by_name(view, stack->thread_index, name, &reg))
		return false;
	size_t whole = number >= 41 && number <= 48 ? 8 : reg.size_bytes;
	if (*size > whole)
		*size = whole;
	memcpy(buffer, reg.bytes, *size);
	return true;
}

/** A part of a general register. */
struct part {
	unsigned number;
	uint32_t offset, size;
};

/** r8 to r15 with their suffixes. */
static bool find_numbered(const char *name, struct part *ret)
{
	unsigned number = 0;
	size_t at = 1;
	if (name[0] != 'r')
		return false;
	for (; name[at] >= '0' && name[at] <= '9' && at < 3; at++)
		number = number * 10 + (unsigned)(name[at] - '0');
	if (at == 1 || name[1] == '0' || number < 8 || number > 15)
		return false;
	const char *suffix = name + at;
	*ret = (struct part){.number = number, .size = 8};
	if (!*suffix)
		return true;
	if (suffix[1])
		return false;
	ret->size = *suffix == 'd' ? 4 : *suffix == 'w' ? 2 : 1;
	return *suffix == 'd' || *suffix == 'w' || *suffix == 'l' || *suffix == 'b';
}

static bool find_part(const char *name, struct part *ret)
{
	static const struct {
		const char *name;
		struct part part;
	} parts[] = {
		{"pc", {16, 0, 8}}, {"sp", {7, 0, 8}},	{"fp", {6, 0, 8}},  {"eip", {16, 0, 4}},
		{"eax", {0, 0, 4}}, {"edx", {1, 0, 4}}, {"ecx", {2, 0, 4}}, {"ebx", {3, 0, 4}},
		{"esi", {4, 0, 4}}, {"edi", {5, 0, 4}}, {"ebp", {6, 0, 4}}, {"esp", {7, 0, 4}},
		{"ax", {0, 0, 2}},  {"dx", {1, 0, 2}},	{"cx", {2, 0, 2}},  {"bx", {3, 0, 2}},
		{"si", {4, 0, 2}},  {"di", {5, 0, 2}},	{"bp", {6, 0, 2}},  {"al", {0, 0, 1}},
		{"dl", {1, 0, 1}},  {"cl", {2, 0, 1}},	{"bl", {3, 0, 1}},  {"sil", {4, 0, 1}},
		{"dil", {5, 0, 1}}, {"bpl", {6, 0, 1}}, {"spl", {7, 0, 1}}, {"ah", {0, 1, 1}},
		{"dh", {1, 1, 1}},  {"ch", {2, 1, 1}},	{"bh", {3, 1, 1}},
	};
	for (unsigned i = 0; i < FRAME_REGISTER_COUNT; i++) {
		if (strcmp(name, general_names[i]) == 0) {
			*ret = (struct part){.number = i, .size = 8};
			return true;
		}
	}
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		if (strcmp(name, parts[i].name) == 0) {
			*ret = parts[i].part;
			return true;
		}
	}
	return find_numbered(name, ret);
}

bool strobe_stack_register(const struct strobe_stack *stack, size_t index, const char *name,
			   struct strobe_register *ret)
{
	struct part part;
	const struct strobe_view *view = strobe_symbols_view(stack->symbols);
	if (!find_part(name, &part))
		return strobe_view_register_by_name(view, stack->thread_index, name, ret);
	const struct physical_frame *frame = stack_physical(stack, index);
	if (!frame || !(frame->known >> part.number & 1))
		return false;
	// The view's own spelling of the name lives longer than the caller's.
	*ret = (struct strobe_register){.name = name};
	struct strobe_register same;
	if (strobe_view_register_by_name(view, stack->thread_index, name, &same))
		ret->name = same.name;
	ret->group = "general";
	ret->size_bytes = part.size;
	ret->bytes = (const uint8_t *)&frame->registers[part.number] + part.offset;
	return true;
}
