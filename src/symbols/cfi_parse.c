// SPDX-License-Identifier: Apache-2.0
#include "symbols/cfi_parse.h"

#include <string.h>

/** A place in the bytes; `bad` once something did not fit, and then all reads give 0. */
struct cursor {
	const uint8_t *at, *end;
	bool bad;
};

static uint64_t read_fixed(struct cursor *cursor, size_t size)
{
	uint64_t value = 0;
	if ((size_t)(cursor->end - cursor->at) < size) {
		cursor->bad = true;
		cursor->at = cursor->end;
		return 0;
	}
	memcpy(&value, cursor->at, size);
	cursor->at += size;
	return value;
}

static uint64_t read_uleb(struct cursor *cursor)
{
	uint64_t value = 0;
	for (unsigned shift = 0; cursor->at < cursor->end; shift += 7) {
		uint8_t byte = *cursor->at++;
		if (shift < 64)
			value |= (uint64_t)(byte & 0x7f) << shift;
		if (!(byte & 0x80))
			return value;
	}
	cursor->bad = true;
	return 0;
}

static int64_t read_sleb(struct cursor *cursor)
{
	uint64_t value = 0;
	for (unsigned shift = 0; cursor->at < cursor->end;) {
		uint8_t byte = *cursor->at++;
		if (shift < 64)
			value |= (uint64_t)(byte & 0x7f) << shift;
		shift += 7;
		if (byte & 0x80)
			continue;
		if (byte & 0x40 && shift < 64)
			value |= ~UINT64_C(0) << shift;
		return (int64_t)value;
	}
	cursor->bad = true;
	return 0;
}

enum {
	PE_OMIT = 0xff,
	PE_FORMAT = 0x0f,
	PE_APPLICATION = 0x70,
	PE_PCREL = 0x10,
	PE_DATAREL = 0x30,
	PE_INDIRECT = 0x80,
};

static uint64_t read_format(struct cursor *cursor, unsigned encoding)
{
	switch (encoding & PE_FORMAT) {
	case 0x00: // absptr
	case 0x04: // udata8
	case 0x0c: // sdata8
		return read_fixed(cursor, 8);
	case 0x01:
		return read_uleb(cursor);
	case 0x02:
		return read_fixed(cursor, 2);
	case 0x03:
		return read_fixed(cursor, 4);
	case 0x09:
		return (uint64_t)read_sleb(cursor);
	case 0x0a:
		return (uint64_t)(int64_t)(int16_t)read_fixed(cursor, 2);
	case 0x0b:
		return (uint64_t)(int64_t)(int32_t)read_fixed(cursor, 4);
	default:
		cursor->bad = true;
		return 0;
	}
}

/** A DW_EH_PE pointer; `address` is that of the cursor, `data` the base of data-relative ones. */
static uint64_t read_pointer(struct cursor *cursor, unsigned encoding, uint64_t address,
			     uint64_t data)
{
	uint64_t value = read_format(cursor, encoding);
	if ((encoding & PE_APPLICATION) == PE_PCREL)
		return value + address;
	if ((encoding & PE_APPLICATION) == PE_DATAREL)
		return value + data;
	return value;
}

/** One entry's bounds. */
struct entry {
	struct cursor body; // behind the CIE pointer or id
	size_t id_offset;
	uint64_t id;
	bool is_cie;
	size_t next;
};

/** False at the end of the section (or of its entries). */
static bool read_bounds(const struct cfi_section *section, size_t offset, struct entry *ret)
{
	if (offset >= section->size)
		return false;
	struct cursor cursor = {section->data + offset, section->data + section->size, false};
	uint64_t length = read_fixed(&cursor, 4);
	bool wide = length == UINT32_MAX;
	if (wide)
		length = read_fixed(&cursor, 8);
	if (cursor.bad || !length || length > (uint64_t)(cursor.end - cursor.at))
		return false;
	cursor.end = cursor.at + length;
	ret->next = (size_t)(cursor.end - section->data);
	ret->id_offset = (size_t)(cursor.at - section->data);
	ret->id = read_fixed(&cursor, wide ? 8 : 4);
	if (section->eh)
		ret->is_cie = !ret->id;
	else
		ret->is_cie = ret->id == (wide ? UINT64_MAX : UINT32_MAX);
	ret->body = cursor;
	return true;
}

struct cie {
	struct cfi_fde common;
	unsigned pointer_encoding;
	bool sized; // 'z': FDEs have augmentation data
};

static uint64_t cursor_address(const struct cfi_section *section, const struct cursor *cursor)
{
	return section->address + (uint64_t)(cursor->at - section->data);
}

static bool read_augmentation(const struct cfi_section *section, struct cursor *cursor,
			      const char *letters, struct cie *ret)
{
	uint64_t size = read_uleb(cursor);
	if (cursor->bad || size > (uint64_t)(cursor->end - cursor->at))
		return false;
	struct cursor data = {cursor->at, cursor->at + size, false};
	cursor->at += size;
	for (; *letters; letters++) {
		if (*letters == 'R') {
			ret->pointer_encoding = (unsigned)read_fixed(&data, 1);
		} else if (*letters == 'L') {
			read_fixed(&data, 1);
		} else if (*letters == 'P') {
			unsigned encoding = (unsigned)read_fixed(&data, 1);
			if (encoding != PE_OMIT)
				read_pointer(&data, encoding, cursor_address(section, &data), 0);
		} else if (*letters == 'S') {
			ret->common.signal_frame = true;
		} else {
			break; // unknown: its data cannot be told apart, but their size is known
		}
	}
	return !data.bad;
}

static bool read_cie(const struct cfi_section *section, size_t offset, struct cie *ret)
{
	struct entry entry;
	*ret = (struct cie){0};
	if (!read_bounds(section, offset, &entry) || !entry.is_cie)
		return false;
	struct cursor *cursor = &entry.body;
	unsigned version = (unsigned)read_fixed(cursor, 1);
	if (version != 1 && version != 3 && version != 4)
		return false;
	const char *letters = (const char *)cursor->at;
	const uint8_t *nul = memchr(cursor->at, 0, (size_t)(cursor->end - cursor->at));
	if (!nul)
		return false;
	cursor->at = nul + 1;
	if (version == 4) {
		if (read_fixed(cursor, 1) != 8) // address size
			return false;
		read_fixed(cursor, 1); // segment selectors
	}
	if (strcmp(letters, "eh") == 0) { // gcc 2
		read_fixed(cursor, 8);
		letters = "";
	}
	ret->common.code_align = read_uleb(cursor);
	ret->common.data_align = read_sleb(cursor);
	ret->common.return_register = version == 1 ? read_fixed(cursor, 1) : read_uleb(cursor);
	if (*letters == 'z') {
		ret->sized = true;
		if (!read_augmentation(section, cursor, letters + 1, ret))
			return false;
	} else if (*letters) {
		return false;
	}
	ret->common.initial = cursor->at;
	ret->common.initial_end = cursor->end;
	return !cursor->bad;
}

static bool read_fde(const struct cfi_section *section, struct entry *entry, struct cfi_fde *ret)
{
	if (section->eh && entry->id > entry->id_offset)
		return false;
	uint64_t cie_offset = section->eh ? entry->id_offset - entry->id : entry->id;
	struct cie cie;
	if (cie_offset >= section->size || !read_cie(section, (size_t)cie_offset, &cie))
		return false;
	*ret = cie.common;
	struct cursor *cursor = &entry->body;
	if (cie.pointer_encoding & PE_INDIRECT)
		return false; // no code is found through memory
	ret->start = read_pointer(cursor, cie.pointer_encoding, cursor_address(section, cursor), 0);
	ret->end = ret->start + read_format(cursor, cie.pointer_encoding & PE_FORMAT);
	if (cie.sized) {
		uint64_t size = read_uleb(cursor);
		if (size > (uint64_t)(cursor->end - cursor->at))
			return false;
		cursor->at += size;
	}
	ret->instructions = cursor->at;
	ret->instructions_end = cursor->end;
	return !cursor->bad && ret->end >= ret->start;
}

enum cfi_entry cfi_read_entry(const struct cfi_section *section, size_t *offset,
			      struct cfi_fde *ret)
{
	struct entry entry;
	if (!read_bounds(section, *offset, &entry)) {
		// A zero length ends .eh_frame; linkers leave them in the middle too.
		uint32_t length = 1;
		if (*offset < section->size && section->size - *offset >= sizeof(length))
			memcpy(&length, section->data + *offset, sizeof(length));
		bool filler = !length && section->size - *offset > sizeof(length);
		*offset = filler ? *offset + sizeof(length) : section->size;
		return filler ? CFI_ENTRY_CIE : CFI_ENTRY_END;
	}
	*offset = entry.next;
	if (entry.is_cie)
		return CFI_ENTRY_CIE;
	return read_fde(section, &entry, ret) ? CFI_ENTRY_FDE : CFI_ENTRY_BAD;
}

/** The machine that runs call frame instructions. */
struct machine {
	const struct cfi_fde *fde;
	struct cursor cursor;
	uint64_t location, target;
	struct cfi_row row;
	const struct cfi_row *initial; // NULL while the CIE's own run
	struct cfi_row *remembered;
	unsigned remembered_count;
	bool done;
};

static void set_rule(struct machine *machine, uint64_t reg, struct cfi_rule rule)
{
	if (reg < CFI_REGISTER_COUNT) // others, of vectors, are never saved on x86-64
		machine->row.rules[reg] = rule;
}

static void set_offset(struct machine *machine, uint64_t reg, enum cfi_rule_kind kind,
		       int64_t factored)
{
	uint64_t offset = (uint64_t)factored * (uint64_t)machine->fde->data_align;
	set_rule(machine, reg, (struct cfi_rule){.kind = kind, .offset = (int64_t)offset});
}

static void restore(struct machine *machine, uint64_t reg)
{
	if (machine->initial && reg < CFI_REGISTER_COUNT)
		machine->row.rules[reg] = machine->initial->rules[reg];
}

static void advance(struct machine *machine, uint64_t delta)
{
	uint64_t next = machine->location + delta * machine->fde->code_align;
	machine->done = next > machine->target;
	machine->location = next;
}

static void define_cfa(struct machine *machine, uint64_t reg, int64_t offset)
{
	machine->row.cfa_is_expression = false;
	machine->row.cfa_register = reg < CFI_REGISTER_COUNT ? (unsigned)reg : UINT32_MAX;
	machine->row.cfa_offset = offset;
	if (machine->row.cfa_register == UINT32_MAX)
		machine->cursor.bad = true;
}

static const uint8_t *read_block(struct machine *machine, size_t *size)
{
	struct cursor *cursor = &machine->cursor;
	uint64_t length = read_uleb(cursor);
	if (cursor->bad || length > (uint64_t)(cursor->end - cursor->at)) {
		cursor->bad = true;
		*size = 0;
		return NULL;
	}
	const uint8_t *block = cursor->at;
	cursor->at += length;
	*size = (size_t)length;
	return block;
}

static void remember(struct machine *machine)
{
	if (machine->remembered_count == CFI_REMEMBER_LIMIT)
		machine->cursor.bad = true;
	else
		machine->remembered[machine->remembered_count++] = machine->row;
}

static void recall(struct machine *machine)
{
	if (!machine->remembered_count)
		machine->cursor.bad = true;
	else
		machine->row = machine->remembered[--machine->remembered_count];
}

static void set_expression(struct machine *machine, enum cfi_rule_kind kind)
{
	uint64_t reg = read_uleb(&machine->cursor);
	struct cfi_rule rule = {.kind = kind};
	rule.expression = read_block(machine, &rule.expression_size);
	set_rule(machine, reg, rule);
}

enum {
	CFA_SET_LOC = 0x01,
	CFA_ADVANCE1 = 0x02,
	CFA_ADVANCE2 = 0x03,
	CFA_ADVANCE4 = 0x04,
	CFA_OFFSET_EXTENDED = 0x05,
	CFA_RESTORE_EXTENDED = 0x06,
	CFA_UNDEFINED = 0x07,
	CFA_SAME_VALUE = 0x08,
	CFA_REGISTER = 0x09,
	CFA_REMEMBER = 0x0a,
	CFA_RESTORE_STATE = 0x0b,
	CFA_DEF_CFA = 0x0c,
	CFA_DEF_CFA_REGISTER = 0x0d,
	CFA_DEF_CFA_OFFSET = 0x0e,
	CFA_DEF_CFA_EXPRESSION = 0x0f,
	CFA_EXPRESSION = 0x10,
	CFA_OFFSET_EXTENDED_SF = 0x11,
	CFA_DEF_CFA_SF = 0x12,
	CFA_DEF_CFA_OFFSET_SF = 0x13,
	CFA_VAL_OFFSET = 0x14,
	CFA_VAL_OFFSET_SF = 0x15,
	CFA_VAL_EXPRESSION = 0x16,
	CFA_GNU_ARGS_SIZE = 0x2e,
	CFA_GNU_NEGATIVE_OFFSET = 0x2f,
};

static void step_cfa(struct machine *machine, unsigned code)
{
	struct cursor *cursor = &machine->cursor;
	uint64_t reg = 0;
	if (code == CFA_DEF_CFA || code == CFA_DEF_CFA_SF || code == CFA_DEF_CFA_REGISTER)
		reg = read_uleb(cursor);
	int64_t align = machine->fde->data_align;
	switch (code) {
	case CFA_DEF_CFA:
		define_cfa(machine, reg, (int64_t)read_uleb(cursor));
		break;
	case CFA_DEF_CFA_SF:
		define_cfa(machine, reg, (int64_t)((uint64_t)read_sleb(cursor) * (uint64_t)align));
		break;
	case CFA_DEF_CFA_REGISTER:
		define_cfa(machine, reg, machine->row.cfa_offset);
		break;
	case CFA_DEF_CFA_OFFSET:
		machine->row.cfa_offset = (int64_t)read_uleb(cursor);
		break;
	case CFA_DEF_CFA_OFFSET_SF:
		machine->row.cfa_offset = (int64_t)((uint64_t)read_sleb(cursor) * (uint64_t)align);
		break;
	default: // CFA_DEF_CFA_EXPRESSION
		machine->row.cfa_is_expression = true;
		machine->row.cfa_expression =
			read_block(machine, &machine->row.cfa_expression_size);
	}
}

static void step_register(struct machine *machine, unsigned code)
{
	struct cursor *cursor = &machine->cursor;
	uint64_t reg = read_uleb(cursor);
	switch (code) {
	case CFA_OFFSET_EXTENDED:
		set_offset(machine, reg, CFI_OFFSET, (int64_t)read_uleb(cursor));
		break;
	case CFA_OFFSET_EXTENDED_SF:
		set_offset(machine, reg, CFI_OFFSET, read_sleb(cursor));
		break;
	case CFA_GNU_NEGATIVE_OFFSET:
		set_offset(machine, reg, CFI_OFFSET, (int64_t)-read_uleb(cursor));
		break;
	case CFA_VAL_OFFSET:
		set_offset(machine, reg, CFI_VALUE_OFFSET, (int64_t)read_uleb(cursor));
		break;
	case CFA_VAL_OFFSET_SF:
		set_offset(machine, reg, CFI_VALUE_OFFSET, read_sleb(cursor));
		break;
	case CFA_RESTORE_EXTENDED:
		restore(machine, reg);
		break;
	case CFA_UNDEFINED:
		set_rule(machine, reg, (struct cfi_rule){.kind = CFI_UNDEFINED});
		break;
	case CFA_SAME_VALUE:
		set_rule(machine, reg, (struct cfi_rule){.kind = CFI_SAME});
		break;
	default: { // CFA_REGISTER
		uint64_t other = read_uleb(cursor);
		if (other >= CFI_REGISTER_COUNT)
			cursor->bad = true;
		set_rule(machine, reg,
			 (struct cfi_rule){.kind = CFI_REGISTER, .reg = (unsigned)other});
	}
	}
}

static void step_extended(struct machine *machine, unsigned code)
{
	struct cursor *cursor = &machine->cursor;
	switch (code) {
	case 0: // DW_CFA_nop
		break;
	case CFA_SET_LOC:
		machine->location = read_fixed(cursor, 8);
		machine->done = machine->location > machine->target;
		break;
	case CFA_ADVANCE1:
		advance(machine, read_fixed(cursor, 1));
		break;
	case CFA_ADVANCE2:
		advance(machine, read_fixed(cursor, 2));
		break;
	case CFA_ADVANCE4:
		advance(machine, read_fixed(cursor, 4));
		break;
	case CFA_REMEMBER:
		remember(machine);
		break;
	case CFA_RESTORE_STATE:
		recall(machine);
		break;
	case CFA_DEF_CFA:
	case CFA_DEF_CFA_SF:
	case CFA_DEF_CFA_REGISTER:
	case CFA_DEF_CFA_OFFSET:
	case CFA_DEF_CFA_OFFSET_SF:
	case CFA_DEF_CFA_EXPRESSION:
		step_cfa(machine, code);
		break;
	case CFA_EXPRESSION:
		set_expression(machine, CFI_EXPRESSION);
		break;
	case CFA_VAL_EXPRESSION:
		set_expression(machine, CFI_VALUE_EXPRESSION);
		break;
	case CFA_GNU_ARGS_SIZE:
		read_uleb(cursor);
		break;
	case CFA_OFFSET_EXTENDED:
	case CFA_OFFSET_EXTENDED_SF:
	case CFA_GNU_NEGATIVE_OFFSET:
	case CFA_VAL_OFFSET:
	case CFA_VAL_OFFSET_SF:
	case CFA_RESTORE_EXTENDED:
	case CFA_UNDEFINED:
	case CFA_SAME_VALUE:
	case CFA_REGISTER:
		step_register(machine, code);
		break;
	default:
		cursor->bad = true;
	}
}

static bool run(struct machine *machine, const uint8_t *start, const uint8_t *end)
{
	if (end - start > CFI_INSTRUCTIONS_LIMIT)
		return false;
	machine->cursor = (struct cursor){start, end, false};
	machine->remembered_count = 0;
	while (machine->cursor.at < end && !machine->cursor.bad && !machine->done) {
		unsigned code = *machine->cursor.at++;
		unsigned low = code & 0x3f;
		if (code >> 6 == 1)
			advance(machine, low);
		else if (code >> 6 == 2)
			set_offset(machine, low, CFI_OFFSET, (int64_t)read_uleb(&machine->cursor));
		else if (code >> 6 == 3)
			restore(machine, low);
		else
			step_extended(machine, code);
	}
	return !machine->cursor.bad;
}

bool cfi_run(const struct cfi_fde *fde, uint64_t pc, struct cfi_row *ret)
{
	struct cfi_row remembered[CFI_REMEMBER_LIMIT];
	struct machine machine = {
		.fde = fde, .location = fde->start, .target = pc, .remembered = remembered};
	machine.row.cfa_register = UINT32_MAX;
	if (!run(&machine, fde->initial, fde->initial_end))
		return false;
	const struct cfi_row initial = machine.row;
	machine.initial = &initial;
	machine.done = false;
	machine.location = fde->start;
	if (!run(&machine, fde->instructions, fde->instructions_end))
		return false;
	machine.row.signal_frame = fde->signal_frame;
	*ret = machine.row;
	return fde->return_register == CFI_REGISTER_COUNT - 1 &&
	       (ret->cfa_is_expression || ret->cfa_register < CFI_REGISTER_COUNT);
}

bool cfi_read_header(const uint8_t *data, size_t size, uint64_t address, struct cfi_header *ret)
{
	struct cursor cursor = {data, data + size, false};
	*ret = (struct cfi_header){.address = address};
	if (read_fixed(&cursor, 1) != 1)
		return false;
	unsigned frame = (unsigned)read_fixed(&cursor, 1);
	unsigned count = (unsigned)read_fixed(&cursor, 1);
	unsigned table = (unsigned)read_fixed(&cursor, 1);
	ret->frame = read_pointer(&cursor, frame, address + 4, address);
	if (cursor.bad || frame & PE_INDIRECT)
		return false;
	uint64_t entries = count == PE_OMIT ? 0 : read_format(&cursor, count);
	if (table == (PE_DATAREL | 0x0b) && !cursor.bad) { // as every linker writes it
		ret->table = cursor.at;
		size_t room = (size_t)(cursor.end - cursor.at) / 8;
		ret->count = entries < room ? (size_t)entries : room;
	}
	return true;
}

static uint64_t header_word(const struct cfi_header *header, size_t index, size_t half)
{
	int32_t offset;
	memcpy(&offset, header->table + index * 8 + half * 4, sizeof(offset));
	return header->address + (uint64_t)(int64_t)offset;
}

bool cfi_search_header(const struct cfi_header *header, uint64_t pc, uint64_t *ret)
{
	size_t low = 0, high = header->count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (header_word(header, middle, 0) <= pc)
			low = middle + 1;
		else
			high = middle;
	}
	if (!low)
		return false;
	*ret = header_word(header, low - 1, 1);
	return true;
}
