// SPDX-License-Identifier: Apache-2.0
#include "symbols/globals.h"

#include <dwarf.h>
#include <stdlib.h>
#include <string.h>

#include "base/guard.h"
#include "symbols/qualify.h"
#include "symbols/skim.h"

typedef ARRAY(struct global) global_array;

struct globals {
	global_array plain, thread_local_ones;
};

struct scan {
	struct globals *globals;
	struct unit *unit;
	uint32_t slot;
	uint32_t functions[SKIM_DEPTH_LIMIT]; // around each level, from the unit's start; 0 = none
	unsigned depth;
};

struct globals *globals_free(struct globals *globals)
{
	if (!globals)
		return NULL;
	array_fini(&globals->plain);
	array_fini(&globals->thread_local_ones);
	free(globals);
	return NULL;
}

/** The expression of DW_AT_location; `bad` if it is none (a list belongs to a local). */
static struct bytes location_of(const struct skim *skim, const struct skim_die *die)
{
	const struct skim_value *value = &die->values[SKIM_LOCATION];
	struct bytes bytes = {.bad = true};
	uint64_t size = 0;
	if (!skim_has(die, SKIM_LOCATION))
		return bytes;
	bytes = bytes_of(skim->section, skim->section_size, (uint64_t)(value->at - skim->section));
	switch (value->form) {
	case DW_FORM_exprloc:
	case DW_FORM_block:
		size = bytes_uleb(&bytes);
		break;
	case DW_FORM_block1:
		size = bytes_unsigned(&bytes, 1);
		break;
	case DW_FORM_block2:
		size = bytes_unsigned(&bytes, 2);
		break;
	case DW_FORM_block4:
		size = bytes_unsigned(&bytes, 4);
		break;
	default:
		bytes.bad = true;
	}
	if (!bytes_need(&bytes, size))
		return bytes;
	bytes.end = bytes.at + size;
	return bytes;
}

/** What a location begins with: an address, or a number that may be an offset. */
static bool first_operand(const struct scan *scan, struct bytes *bytes, uint64_t *ret)
{
	switch (bytes_unsigned(bytes, 1)) {
	case DW_OP_addr:
		*ret = bytes_unsigned(bytes, scan->unit->address_size);
		return !bytes->bad;
	case DW_OP_addrx:
	case DW_OP_constx:
	case DW_OP_GNU_addr_index:
	case DW_OP_GNU_const_index:
		return unit_address(scan->unit, bytes_uleb(bytes), ret) && !bytes->bad;
	case DW_OP_const4u:
		*ret = bytes_unsigned(bytes, 4);
		return !bytes->bad;
	case DW_OP_const8u:
		*ret = bytes_unsigned(bytes, 8);
		return !bytes->bad;
	case DW_OP_constu:
		*ret = bytes_uleb(bytes);
		return !bytes->bad;
	default:
		return false;
	}
}

/** Takes a variable whose location is an address or an offset in the thread's block, nothing else.
 *  False when memory is short. */
static bool take(struct scan *scan, const struct skim *skim, const struct skim_die *die)
{
	struct bytes bytes = location_of(skim, die);
	uint64_t offset = die->offset - scan->unit->offset;
	if (bytes.bad || bytes.at == bytes.end || offset > UINT32_MAX)
		return true;
	struct global global = {.unit = scan->slot,
				.offset = (uint32_t)offset,
				.scope = scan->functions[scan->depth]};
	uint8_t operation = *bytes.at;
	if (!first_operand(scan, &bytes, &global.address))
		return true;
	if (bytes.at == bytes.end) {
		bool is_address = operation == DW_OP_addr || operation == DW_OP_addrx ||
				  operation == DW_OP_GNU_addr_index;
		return !is_address || array_push(&scan->globals->plain, global);
	}
	uint64_t next = bytes_unsigned(&bytes, 1);
	if (bytes.at == bytes.end &&
	    (next == DW_OP_form_tls_address || next == DW_OP_GNU_push_tls_address))
		return array_push(&scan->globals->thread_local_ones, global);
	return true;
}

static bool enters(const struct scan *scan, const struct skim_die *die)
{
	if (!die->children || scan->depth + 1 >= SKIM_DEPTH_LIMIT)
		return false;
	switch (die->tag) {
	case DW_TAG_namespace:
	case DW_TAG_module:
	case DW_TAG_subprogram:
	case DW_TAG_inlined_subroutine:
	case DW_TAG_lexical_block:
	case DW_TAG_try_block:
	case DW_TAG_catch_block:
	case DW_TAG_common_block:
		return true;
	default:
		return false;
	}
}

/** False when memory is short. */
static bool scan_unit(struct scan *scan)
{
	struct skim skim;
	struct skim_die die;
	const struct unit *unit = scan->unit;
	scan->depth = 0;
	scan->functions[0] = 0;
	if (!skim_init(&skim, scan->unit, unit->offset + unit->header_size))
		return true;
	bool done = true;
	bool going = skim_next(&skim, &die) && die.children;
	while (going && done && skim_next(&skim, &die)) {
		if (!die.tag) {
			going = scan->depth != 0;
			scan->depth -= going;
			continue;
		}
		if (die.tag == DW_TAG_variable || die.tag == DW_TAG_member)
			done = take(scan, &skim, &die);
		if (!enters(scan, &die)) {
			going = skim_over(&skim, &die);
			continue;
		}
		bool function =
			die.tag == DW_TAG_subprogram || die.tag == DW_TAG_inlined_subroutine;
		uint64_t offset = die.offset - unit->offset;
		uint32_t outer = scan->functions[scan->depth];
		scan->functions[++scan->depth] =
			function && offset <= UINT32_MAX ? (uint32_t)offset : outer;
	}
	skim_fini(&skim);
	return done;
}

static int compare_globals(const void *a, const void *b)
{
	const struct global *left = a, *right = b;
	if (left->address != right->address)
		return left->address < right->address ? -1 : 1;
	if (left->unit != right->unit)
		return left->unit < right->unit ? -1 : 1;
	return left->offset < right->offset ? -1 : left->offset > right->offset;
}

/** Sorts, and keeps one of those at an address: inlined copies of a function repeat its statics. */
static void settle(global_array *list)
{
	size_t kept = 0;
	if (list->count > 1)
		qsort(list->items, list->count, sizeof(*list->items), compare_globals);
	for (size_t i = 0; i < list->count; i++)
		if (!kept || list->items[kept - 1].address != list->items[i].address)
			list->items[kept++] = list->items[i];
	list->count = kept;
}

static struct globals *globals_of(struct symbols_module *module)
{
	if (module->globals || !module->dwarf)
		return module->globals;
	struct globals *globals = calloc(1, sizeof(*globals));
	struct scan *scan = calloc(1, sizeof(*scan));
	bool done = globals && scan;
	GUARD(module->debug_path);
	size_t count = unit_slot_count(module);
	for (size_t i = 0; done && i < count; i++) {
		scan->globals = globals;
		scan->slot = (uint32_t)i;
		scan->unit = unit_slot(module, i);
		done = !scan->unit || scan_unit(scan);
	}
	free(scan);
	if (!done)
		return globals_free(globals);
	settle(&globals->plain);
	settle(&globals->thread_local_ones);
	module->globals = globals;
	return globals;
}

const struct global *globals_plain(struct symbols_module *module, size_t *count)
{
	const struct globals *globals = globals_of(module);
	*count = globals ? globals->plain.count : 0;
	return globals ? globals->plain.items : NULL;
}

const struct global *globals_thread_local(struct symbols_module *module, size_t *count)
{
	const struct globals *globals = globals_of(module);
	*count = globals ? globals->thread_local_ones.count : 0;
	return globals ? globals->thread_local_ones.items : NULL;
}

size_t globals_before(const struct global *table, size_t count, uint64_t address)
{
	size_t low = 0, high = count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (table[middle].address <= address)
			low = middle + 1;
		else
			high = middle;
	}
	return low - 1;
}

bool globals_variable(struct symbols_module *module, const struct global *global,
		      struct variable *ret)
{
	if (!module->dwarf || global->unit >= unit_slot_count(module))
		return false;
	GUARD(module->debug_path);
	struct unit *unit = unit_slot(module, global->unit);
	Dwarf_Die die;
	return unit && global->offset < unit->end - unit->offset &&
	       skim_libdw(unit, unit->offset + global->offset, &die) &&
	       variable_from_die(unit, &die, ret);
}

const char *globals_name(struct symbols_module *module, const struct global *global)
{
	struct unit *unit = unit_slot(module, global->unit);
	Dwarf_Die die, scope;
	GUARD(module->debug_path);
	if (!unit || !skim_libdw(unit, unit->offset + global->offset, &die))
		return NULL;
	if (!global->scope || !skim_libdw(unit, unit->offset + global->scope, &scope))
		return die_qualified_name(unit, &die);
	const char *function = die_qualified_name(unit, &scope), *name = die_name(&die);
	if (!function || !name)
		return name;
	const char *full = arena_printf(&module->symbols->arena, "%s::%s", function, name);
	return full ? full : name;
}

const char *globals_file(struct variable *variable)
{
	GUARD(variable->unit->module->debug_path);
	return die_flag(&variable->die, DW_AT_external) ? NULL : variable->unit->name;
}

uint64_t globals_thread_block(struct symbols_module *module)
{
	size_t count;
	GElf_Phdr header;
	if (!module->main_elf || elf_getphdrnum(module->main_elf, &count) != 0)
		return 0;
	GUARD(module->path);
	for (size_t i = 0; i < count; i++)
		if (gelf_getphdr(module->main_elf, (int)i, &header) && header.p_type == PT_TLS)
			return header.p_memsz;
	return 0;
}
