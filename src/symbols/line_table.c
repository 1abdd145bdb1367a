// SPDX-License-Identifier: Apache-2.0
#include "symbols/line_table.h"

#include <dwarf.h>
#include <stdlib.h>

#include "base/guard.h"
#include "symbols/bytes.h"
#include "symbols/sections.h"

/** Named limits. */
enum {
	LINE_ROW_LIMIT = 64 << 20,
	LINE_FILE_LIMIT = 1 << 20,
	LINE_FORMAT_LIMIT = 64,
	LINE_COLUMN_LIMIT = (1 << 30) - 1,
};

struct file_entry {
	const char *name;
	uint64_t directory;
	const char *path; // absolute; NULL until asked for
};

struct line_table {
	uint16_t version;
	uint8_t offset_size, address_size;
	uint8_t minimum_length, maximum_operations, line_range, opcode_base;
	int8_t line_base;
	bool default_statement;
	const uint8_t *opcode_lengths;
	struct bytes program;
	ARRAY(const char *) directories;
	ARRAY(struct file_entry) files;
	ARRAY(struct line_row) rows;
	bool run;
	struct line_rows every; // all rows, those that gdb leaves out, too; made when first needed
	bool run_every, keeps_every;
};

/** An entry's value in a DWARF 5 file or directory table. */
struct entry_value {
	const char *string;
	uint64_t number;
};

static const char *string_at(const struct section_bytes *section, uint64_t offset)
{
	struct bytes bytes = bytes_of(section->data, section->size, offset);
	return bytes_string(&bytes);
}

/** A string by index, through libdw's view of the unit's string offsets. */
static const char *indexed_string(struct unit *unit, uint64_t index)
{
	const struct section_bytes *of = unit->plain->sections->of;
	Dwarf_Attribute attribute;
	Dwarf_Word base = unit->offset_size == 8 ? 16 : 8;
	if (dwarf_attr(&unit->skeleton, DW_AT_str_offsets_base, &attribute))
		dwarf_formudata(&attribute, &base);
	if (index > of[SECTION_STR_OFFSETS].size)
		return "";
	struct bytes bytes = bytes_of(of[SECTION_STR_OFFSETS].data, of[SECTION_STR_OFFSETS].size,
				      base + index * unit->offset_size);
	return string_at(&of[SECTION_STR], bytes_unsigned(&bytes, unit->offset_size));
}

static bool read_form(struct unit *unit, const struct line_table *table, struct bytes *bytes,
		      uint64_t form, struct entry_value *ret)
{
	const struct section_bytes *of = unit->plain->sections->of;
	*ret = (struct entry_value){.string = ""};
	switch (form) {
	case DW_FORM_string:
		ret->string = bytes_string(bytes);
		break;
	case DW_FORM_line_strp:
		ret->string =
			string_at(&of[SECTION_LINE_STR], bytes_unsigned(bytes, table->offset_size));
		break;
	case DW_FORM_strp:
		ret->string =
			string_at(&of[SECTION_STR], bytes_unsigned(bytes, table->offset_size));
		break;
	case DW_FORM_strx:
		ret->string = indexed_string(unit, bytes_uleb(bytes));
		break;
	case DW_FORM_strx1:
	case DW_FORM_strx2:
	case DW_FORM_strx3:
	case DW_FORM_strx4:
		ret->string = indexed_string(
			unit, bytes_unsigned(bytes, (unsigned)(form - DW_FORM_strx1 + 1)));
		break;
	case DW_FORM_udata:
		ret->number = bytes_uleb(bytes);
		break;
	case DW_FORM_data1:
		ret->number = bytes_unsigned(bytes, 1);
		break;
	case DW_FORM_data2:
		ret->number = bytes_unsigned(bytes, 2);
		break;
	case DW_FORM_data4:
		ret->number = bytes_unsigned(bytes, 4);
		break;
	case DW_FORM_data8:
		ret->number = bytes_unsigned(bytes, 8);
		break;
	case DW_FORM_data16:
		bytes_skip(bytes, 16);
		break;
	case DW_FORM_block:
		bytes_skip(bytes, bytes_uleb(bytes));
		break;
	case DW_FORM_block1:
		bytes_skip(bytes, bytes_unsigned(bytes, 1));
		break;
	default:
		return false;
	}
	return !bytes->bad;
}

/** A DWARF 5 table of directories or files. */
static bool read_entries(struct unit *unit, struct line_table *table, struct bytes *bytes,
			 bool files)
{
	uint64_t types[LINE_FORMAT_LIMIT], forms[LINE_FORMAT_LIMIT];
	size_t formats = bytes_unsigned(bytes, 1);
	if (formats > LINE_FORMAT_LIMIT)
		return false;
	for (size_t i = 0; i < formats; i++) {
		types[i] = bytes_uleb(bytes);
		forms[i] = bytes_uleb(bytes);
	}
	uint64_t count = bytes_uleb(bytes);
	if (bytes->bad || count > LINE_FILE_LIMIT || (count && !formats))
		return false;
	for (uint64_t i = 0; i < count; i++) {
		struct file_entry entry = {.name = ""};
		for (size_t j = 0; j < formats; j++) {
			struct entry_value value;
			if (!read_form(unit, table, bytes, forms[j], &value))
				return false;
			if (types[j] == DW_LNCT_path)
				entry.name = value.string;
			else if (types[j] == DW_LNCT_directory_index)
				entry.directory = value.number;
		}
		if (files ? !array_push(&table->files, entry)
			  : !array_push(&table->directories, entry.name))
			return false;
	}
	return true;
}

/** The tables of DWARF 2 to 4: directory 0 is the compilation's, files count from 1. */
static bool read_old_entries(struct unit *unit, struct line_table *table, struct bytes *bytes)
{
	const char *directory = unit->plain->directory;
	if (!array_push(&table->directories, directory ? directory : ""))
		return false;
	while (!bytes->bad && table->directories.count < LINE_FILE_LIMIT) {
		const char *name = bytes_string(bytes);
		if (!*name)
			break;
		if (!array_push(&table->directories, name))
			return false;
	}
	struct file_entry none = {.name = ""};
	if (!array_push(&table->files, none))
		return false;
	while (!bytes->bad && table->files.count < LINE_FILE_LIMIT) {
		struct file_entry entry = {.name = bytes_string(bytes)};
		if (!*entry.name)
			break;
		entry.directory = bytes_uleb(bytes);
		bytes_uleb(bytes); // time
		bytes_uleb(bytes); // size
		if (!array_push(&table->files, entry))
			return false;
	}
	return !bytes->bad;
}

static bool read_header(struct unit *unit, struct line_table *table, struct bytes *bytes)
{
	uint64_t length = bytes_initial_length(bytes, &table->offset_size);
	if (bytes->bad || length > (uint64_t)(bytes->end - bytes->at))
		return false;
	bytes->end = bytes->at + length;
	table->version = (uint16_t)bytes_unsigned(bytes, 2);
	table->address_size = unit->address_size;
	if (table->version < 2 || table->version > 5)
		return false;
	if (table->version >= 5) {
		table->address_size = (uint8_t)bytes_unsigned(bytes, 1);
		bytes_unsigned(bytes, 1); // segment selectors
	}
	uint64_t header = bytes_unsigned(bytes, table->offset_size);
	if (bytes->bad || header > (uint64_t)(bytes->end - bytes->at))
		return false;
	table->program = (struct bytes){.at = bytes->at + header, .end = bytes->end};
	table->minimum_length = (uint8_t)bytes_unsigned(bytes, 1);
	table->maximum_operations = table->version >= 4 ? (uint8_t)bytes_unsigned(bytes, 1) : 1;
	table->default_statement = bytes_unsigned(bytes, 1) != 0;
	table->line_base = (int8_t)bytes_unsigned(bytes, 1);
	table->line_range = (uint8_t)bytes_unsigned(bytes, 1);
	table->opcode_base = (uint8_t)bytes_unsigned(bytes, 1);
	table->opcode_lengths = bytes->at;
	bytes_skip(bytes, table->opcode_base ? table->opcode_base - 1u : 0);
	if (bytes->bad || !table->opcode_base)
		return false;
	if (table->version < 5)
		return read_old_entries(unit, table, bytes);
	return read_entries(unit, table, bytes, false) && read_entries(unit, table, bytes, true);
}

static struct line_table *table_of(struct unit *unit)
{
	if (unit->lines)
		return unit->lines;
	struct line_table *table = calloc(1, sizeof(*table));
	if (!table)
		return NULL;
	unit->lines = table;
	// A split compile unit shares its skeleton's table; a split type unit has one of its own.
	bool own = unit->split && dwarf_tag(&unit->die) == DW_TAG_type_unit;
	Dwarf_Die die = own ? unit->die : unit->skeleton;
	const struct sections *sections = own ? unit->sections : unit->plain->sections;
	Dwarf_Attribute attribute;
	Dwarf_Word offset;
	if (!dwarf_attr(&die, DW_AT_stmt_list, &attribute) ||
	    dwarf_formudata(&attribute, &offset) != 0)
		return table;
	const struct section_bytes *section = &sections->of[SECTION_LINE];
	struct bytes bytes = bytes_of(section->data, section->size, offset);
	if (bytes.bad || !read_header(unit, table, &bytes)) {
		table->program = (struct bytes){.bad = true};
		module_problem(unit->module,
			       arena_printf(&unit->module->symbols->arena,
					    "%s: damaged line table at 0x%llx",
					    unit->module->debug_path, (unsigned long long)offset));
	}
	return table;
}

/** The registers of the line number machine. */
struct machine {
	uint64_t address;
	uint64_t file, line, column;
	unsigned operation;
	bool statement;
	size_t sequence; // first row of the sequence
	uint64_t discriminator;
	bool discriminated; // the line has had a discriminator
	bool any;	    // a row of `last_file` and `last_line` came before
	uint64_t last_file, last_line, last_address;
	bool has_statement; // a row of `last_address` was one
};

/**
 * True for rows that gdb leaves out, for with them another line would be shown: further blocks of
 * a line that has discriminators, and, at an address that has a statement, other files' rows that
 * are none.
 */
static bool is_left_out(struct machine *machine)
{
	bool file_changed = !machine->any || machine->file != machine->last_file;
	bool same_address = machine->any && machine->address == machine->last_address;
	bool left_out = !(uint32_t)machine->line || (file_changed && same_address &&
						     !machine->statement && machine->has_statement);
	machine->has_statement = (same_address && machine->has_statement) || machine->statement;
	machine->last_address = machine->address;
	machine->discriminator = 0;
	if (left_out)
		return true;
	bool further =
		!file_changed && machine->discriminated && machine->line == machine->last_line;
	machine->any = true;
	machine->last_file = machine->file;
	machine->last_line = machine->line;
	return further;
}

static void add_line(struct machine *machine, int64_t delta)
{
	machine->line += (uint64_t)delta;
	if (delta)
		machine->discriminated = machine->discriminator != 0;
}

static bool emit(struct line_table *table, struct machine *machine, bool end)
{
	// Line 0 marks code of no line: as with gdb, it belongs to the line before.
	if (!end && !table->keeps_every && is_left_out(machine))
		return true;
	// Rows without an instruction before the end would run on behind it.
	while (end && table->rows.count > machine->sequence &&
	       table->rows.items[table->rows.count - 1].address == machine->address)
		table->rows.count--;
	if (end && table->rows.count == machine->sequence)
		return true;
	struct line_row row = {
		.address = machine->address,
		.line = end ? 0 : (uint32_t)machine->line,
		.file = (uint32_t)machine->file,
		.column = machine->column > LINE_COLUMN_LIMIT ? 0 : (uint32_t)machine->column,
		.statement = machine->statement,
		.end = end};
	return table->rows.count < LINE_ROW_LIMIT && array_push(&table->rows, row);
}

static void advance(const struct line_table *table, struct machine *machine, uint64_t operations)
{
	if (table->maximum_operations <= 1) {
		machine->address += operations * table->minimum_length;
		return;
	}
	operations += machine->operation;
	machine->address += operations / table->maximum_operations * table->minimum_length;
	machine->operation = (unsigned)(operations % table->maximum_operations);
}

static void reset(const struct line_table *table, struct machine *machine)
{
	*machine = (struct machine){.file = 1,
				    .line = 1,
				    .statement = table->default_statement,
				    .sequence = table->rows.count};
}

/** Drops a sequence of code that the linker threw away. */
static void end_sequence(struct unit *unit, struct line_table *table, struct machine *machine)
{
	if (machine->sequence < table->rows.count &&
	    !module_is_code(unit->module, table->rows.items[machine->sequence].address))
		table->rows.count = machine->sequence;
	reset(table, machine);
}

static bool extended(struct unit *unit, struct line_table *table, struct machine *machine)
{
	struct bytes *program = &table->program;
	uint64_t size = bytes_uleb(program);
	if (!bytes_need(program, size) || !size)
		return !program->bad;
	const uint8_t *next = program->at + size;
	switch (bytes_unsigned(program, 1)) {
	case DW_LNE_end_sequence:
		if (!emit(table, machine, true))
			return false;
		end_sequence(unit, table, machine);
		break;
	case DW_LNE_set_address:
		machine->address = bytes_unsigned(program, size - 1 <= 8 ? (unsigned)size - 1 : 0);
		machine->operation = 0;
		break;
	case DW_LNE_define_file: {
		struct file_entry entry = {.name = bytes_string(program)};
		entry.directory = bytes_uleb(program);
		if (table->files.count < LINE_FILE_LIMIT && !array_push(&table->files, entry))
			return false;
		break;
	}
	case DW_LNE_set_discriminator:
		machine->discriminator = bytes_uleb(program);
		machine->discriminated |= machine->discriminator != 0;
		break;
	default:
		break; // what vendors add
	}
	program->at = next;
	return true;
}

static bool standard(struct line_table *table, struct machine *machine, unsigned opcode)
{
	struct bytes *program = &table->program;
	switch (opcode) {
	case DW_LNS_copy:
		return emit(table, machine, false);
	case DW_LNS_advance_pc:
		advance(table, machine, bytes_uleb(program));
		break;
	case DW_LNS_advance_line:
		add_line(machine, bytes_sleb(program));
		break;
	case DW_LNS_set_file:
		machine->file = bytes_uleb(program);
		break;
	case DW_LNS_set_column:
		machine->column = bytes_uleb(program);
		break;
	case DW_LNS_negate_stmt:
		machine->statement = !machine->statement;
		break;
	case DW_LNS_set_basic_block:
	case DW_LNS_set_prologue_end:
	case DW_LNS_set_epilogue_begin:
		break;
	case DW_LNS_const_add_pc:
		if (table->line_range)
			advance(table, machine, (255u - table->opcode_base) / table->line_range);
		break;
	case DW_LNS_fixed_advance_pc:
		machine->address += bytes_unsigned(program, 2);
		machine->operation = 0;
		break;
	default:
		for (unsigned i = 0; i < table->opcode_lengths[opcode - 1]; i++)
			bytes_uleb(program);
	}
	return true;
}

static int compare(const void *a, const void *b)
{
	const struct line_row *x = a, *y = b;
	if (x->address != y->address)
		return x->address < y->address ? -1 : 1;
	// A sequence may start where another one ends.
	if (x->end != y->end)
		return x->end ? -1 : 1;
	return 0;
}

/** Stable, as the order of rows at one address counts. */
static void sort(struct line_table *table)
{
	struct line_row *rows = table->rows.items;
	size_t count = table->rows.count;
	bool sorted = true;
	for (size_t i = 1; i < count && sorted; i++)
		sorted = compare(&rows[i - 1], &rows[i]) <= 0;
	struct line_row *other = sorted ? NULL : malloc(count * sizeof(*other));
	if (!other)
		return;
	for (size_t width = 1; width < count; width *= 2) {
		for (size_t start = 0; start < count; start += 2 * width) {
			size_t middle = start + width < count ? start + width : count;
			size_t end = middle + width < count ? middle + width : count;
			size_t a = start, b = middle;
			for (size_t i = start; i < end; i++) {
				bool first = b == end ||
					     (a < middle && compare(&rows[a], &rows[b]) <= 0);
				other[i] = first ? rows[a++] : rows[b++];
			}
		}
		struct line_row *swap = rows;
		rows = other;
		other = swap;
	}
	if (rows != table->rows.items) {
		table->rows.capacity = count;
		table->rows.items = rows;
	}
	free(other);
}

static void run(struct unit *unit, struct line_table *table)
{
	struct machine machine;
	struct bytes whole = table->program, *program = &table->program;
	reset(table, &machine);
	while (!program->bad && program->at < program->end) {
		unsigned opcode = (unsigned)bytes_unsigned(program, 1);
		bool going = true;
		if (opcode >= table->opcode_base) {
			if (!table->line_range)
				break;
			opcode -= table->opcode_base;
			advance(table, &machine, opcode / table->line_range);
			add_line(&machine, table->line_base + (int)(opcode % table->line_range));
			going = emit(table, &machine, false);
		} else {
			going = opcode ? standard(table, &machine, opcode)
				       : extended(unit, table, &machine);
		}
		if (!going)
			break;
	}
	// A sequence without its end says nothing about where it ends.
	if (machine.sequence < table->rows.count)
		table->rows.count = machine.sequence;
	sort(table);
	table->program = whole;
}

struct line_rows line_table_rows(struct unit *unit)
{
	struct line_table *table = table_of(unit);
	if (!table)
		return (struct line_rows){0};
	if (!table->run)
		run(unit, table);
	table->run = true;
	return (struct line_rows){table->rows.items, table->rows.count};
}

/** As line_table_rows(), with the rows that gdb leaves out. */
static struct line_rows every_row(struct unit *unit)
{
	struct line_rows rows = line_table_rows(unit);
	struct line_table *table = unit->lines;
	if (!table || table->run_every)
		return table ? table->every : rows;
	size_t files = table->files.count, capacity = table->rows.capacity;
	table->run_every = table->keeps_every = true;
	table->rows.items = NULL;
	table->rows.count = table->rows.capacity = 0;
	run(unit, table);
	table->keeps_every = false;
	table->every = (struct line_rows){table->rows.items, table->rows.count};
	table->files.count = files; // it defines the same ones again
	table->rows.items = (struct line_row *)rows.items;
	table->rows.count = rows.count;
	table->rows.capacity = capacity;
	return table->every;
}

void line_table_free(struct unit *unit)
{
	if (!unit->lines)
		return;
	array_fini(&unit->lines->directories);
	array_fini(&unit->lines->files);
	array_fini(&unit->lines->rows);
	free((void *)unit->lines->every.items);
	free(unit->lines);
	unit->lines = NULL;
}

size_t line_table_file_count(struct unit *unit)
{
	struct line_table *table = table_of(unit);
	return table ? table->files.count : 0;
}

unsigned line_table_first_file(const struct unit *unit)
{
	return unit->lines && unit->lines->version >= 5 ? 0 : 1;
}

/** Without the "." and ".." that compilers leave in: gdb keeps them, and so do we, but "./". */
static const char *join(struct arena *arena, const char *directory, const char *name)
{
	if (*name == '/' || !directory || !*directory)
		return name;
	size_t size = strlen(directory);
	return arena_printf(arena, directory[size - 1] == '/' ? "%s%s" : "%s/%s", directory, name);
}

const char *unit_file(struct unit *unit, uint64_t number)
{
	struct line_table *table = table_of(unit);
	if (!table || number >= table->files.count)
		return NULL;
	struct file_entry *entry = &table->files.items[number];
	if (entry->path || !*entry->name)
		return entry->path;
	struct arena *arena = &unit->module->symbols->arena;
	const char *directory = entry->directory < table->directories.count
					? table->directories.items[entry->directory]
					: "";
	const char *path = join(arena, directory, entry->name);
	if (path && *path != '/')
		path = join(arena, unit->plain->directory, path);
	entry->path = path;
	return path;
}

static const char *last_component(const char *path)
{
	const char *slash = strrchr(path, '/');
	return slash ? slash + 1 : path;
}

bool line_table_may_match(struct unit *unit, uint64_t number, const char *file)
{
	struct line_table *table = table_of(unit);
	return table && number < table->files.count &&
	       !strcmp(last_component(table->files.items[number].name), last_component(file));
}

/** The last row at or before `pc`'s address, of an address group. */
// The last row at or before `pc`; NULL if none.
static const struct line_row *find_row(struct line_rows rows, uint64_t pc, uint64_t *end)
{
	size_t low = 0, high = rows.count;
	while (low < high) { // the first row behind `pc`
		size_t middle = low + (high - low) / 2;
		if (rows.items[middle].address <= pc)
			low = middle + 1;
		else
			high = middle;
	}
	if (!low || rows.items[low - 1].end)
		return NULL;
	*end = low < rows.count ? rows.items[low].address : rows.items[low - 1].address;
	return &rows.items[low - 1];
}

const struct line_row *line_table_row(struct unit *unit, uint64_t pc, uint64_t *end)
{
	return find_row(every_row(unit), pc, end);
}

const struct line_row *line_table_find(struct unit *unit, uint64_t pc, uint64_t *end)
{
	struct line_rows rows = line_table_rows(unit);
	const struct line_row *first = rows.items, *best = find_row(rows, pc, end);
	// gdb: if the row is no statement, an earlier one of the same address that is counts.
	for (const struct line_row *row = best; row && !best->statement; row--) {
		if (row == first || row[-1].address != best->address || row[-1].end)
			break;
		if (row[-1].statement)
			return &row[-1];
	}
	return best;
}
