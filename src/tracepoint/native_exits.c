// SPDX-License-Identifier: Apache-2.0
#include "tracepoint/native_exits.h"

#include <string.h>
#include <strobe/memory.h>

#include "base/error.h"
#include "base/hash.h"
#include "code/code_map.h"
#include "symbols/code_lines.h"
#include "symbols/function.h"
#include "tracepoint/native.h"

/** Named limits: exits of one; functions that one goes on in by jumps; stretches of code looked at; ranges of a function. */
enum { EXIT_LIMIT = 2000, FOLLOW_LIMIT = 64, STRETCH_LIMIT = 100000, RANGE_LIMIT = 1000 };

struct range {
	uint64_t start, end;
};
/** The code that is walked. */
struct walk {
	struct native_program *program;
	struct native_exits *exits;
	ARRAY(struct range) ranges; // of the function
	struct hash seen;	    // addresses that were walked from
	ARRAY(uint64_t) todo;
	uint64_t start;
	// Of a line, or an inlined call:
	const void *entity;
	uint32_t line; // 0 = all of the inlined call
	const char *file;
	bool no_memory;
	unsigned stretches;
};

void native_exits_fini(struct native_exits *exits)
{
	array_fini(&exits->items);
}

static void add_exit(struct walk *walk, uint64_t address, enum native_leave leave)
{
	struct native_exits *exits = walk->exits;
	for (size_t i = 0; i < exits->items.count; i++)
		if (exits->items.items[i].address == address)
			return;
	if (exits->items.count == EXIT_LIMIT)
		exits->why = "it has more ends than are looked for";
	else if (!array_push(&exits->items, (struct native_exit){address, leave}))
		walk->no_memory = true;
}

static bool in_function(const struct walk *walk, uint64_t address)
{
	for (size_t i = 0; i < walk->ranges.count; i++)
		if (address >= walk->ranges.items[i].start && address < walk->ranges.items[i].end)
			return true;
	return false;
}

struct range_visit {
	struct walk *walk;
	uint64_t bias;
};

static bool take_range(void *context, uint64_t start, uint64_t end)
{
	struct range_visit *visit = context;
	struct range range = {start + visit->bias, end + visit->bias};
	if (start < end && visit->walk->ranges.count < RANGE_LIMIT &&
	    !array_push(&visit->walk->ranges, range))
		visit->walk->no_memory = true;
	return !visit->walk->no_memory;
}

/** The ranges of the function that holds `address`, inlined calls not looked at. False if where it ends is not known. */
static bool find_ranges(struct walk *walk, uint64_t address)
{
	struct strobe_symbols *symbols = walk->program->symbols;
	const struct code_position *position = code_position_at(symbols, address);
	struct strobe_symbol symbol;
	walk->ranges.count = 0;
	if (position && position->scope_count) {
		const struct code_scope *scope = &position->scopes[position->scope_count - 1];
		struct range_visit visit = {walk, scope->unit->module->module->bias};
		Dwarf_Die die = scope->die;
		die_ranges(scope->unit, &die, take_range, &visit);
		if (walk->ranges.count)
			return true;
	}
	if (!strobe_symbol_at(symbols, address, &symbol) || !symbol.size_bytes)
		return false;
	struct range range = {symbol.address, symbol.address + symbol.size_bytes};
	walk->no_memory |= !array_push(&walk->ranges, range);
	return !walk->no_memory;
}

/** The stretch of code at an address; NULL if there is none that can be decoded. */
static const struct code_stretch *stretch_at(struct walk *walk, uint64_t address)
{
	struct native_program *program = walk->program;
	struct strobe_error *error = NULL;
	uint32_t index = CODE_NONE;
	if (++walk->stretches > STRETCH_LIMIT)
		return NULL;
	if (!program->code)
		error = code_map_new(program->view, NULL, NULL, &program->code);
	if (!error)
		error = code_map_find(program->code, address, 64, &index);
	walk->no_memory |= error != NULL;
	strobe_error_free(error);
	return index == CODE_NONE ? NULL : code_map_stretch(program->code, index);
}

static uint64_t last_of(const struct walk *walk, const struct code_stretch *stretch)
{
	return code_map_address(walk->program->code, stretch, stretch->count - 1u);
}

/** Where a jump through memory that is constant leads (PLT, -fno-plt, once the linker has filled it in); 0: it is none. */
static uint64_t through_memory(const struct walk *walk, uint64_t address)
{
	uint8_t bytes[16] = {0};
	int32_t displacement;
	uint64_t target = 0, at = 0;
	strobe_memory_read(walk->program->view, address, bytes, sizeof(bytes));
	if (memcmp(bytes, "\xf3\x0f\x1e\xfa", 4) == 0)
		at = 4;		 // endbr64
	at += bytes[at] == 0xf2; // bnd
	if (bytes[at] != 0xff || bytes[at + 1] != 0x25)
		return 0;
	memcpy(&displacement, bytes + at + 2, sizeof(displacement));
	uint64_t slot = address + at + 6 + (uint64_t)(int64_t)displacement;
	const struct strobe_mapping *mapping = strobe_view_mapping_at(walk->program->view, slot);
	if (!mapping || mapping->permissions & STROBE_PERMISSION_WRITE ||
	    strobe_memory_read(walk->program->view, slot, &target, sizeof(target)) !=
		    sizeof(target))
		return 0;
	return target;
}

/** Is it an entry of a PLT, a jump through memory? */
static bool is_stub(const struct walk *walk, uint64_t address)
{
	uint8_t bytes[8] = {0};
	strobe_memory_read(walk->program->view, address, bytes, sizeof(bytes));
	unsigned at = memcmp(bytes, "\xf3\x0f\x1e\xfa", 4) == 0 ? 4 : 0;
	at += bytes[at] == 0xf2;
	return bytes[at] == 0xff && bytes[at + 1] == 0x25;
}

/** Where a jump out of the function leads, PLT entries looked through; 0: not known now. */
static uint64_t tail_target(const struct walk *walk, const struct code_stretch *stretch)
{
	uint64_t target = stretch->has_target ? stretch->target
					      : through_memory(walk, last_of(walk, stretch));
	return target && is_stub(walk, target) ? through_memory(walk, target) : target;
}

/** Returns of the ranges at hand, one instruction behind the other; jumps out of them go on elsewhere: `next` gets where, or they are exits. */
static void sweep(struct walk *walk, bool follow)
{
	for (size_t i = 0; i < walk->ranges.count; i++) {
		struct range range = walk->ranges.items[i];
		for (uint64_t at = range.start; at < range.end && !walk->no_memory;) {
			const struct code_stretch *stretch = stretch_at(walk, at);
			if (!stretch) {
				walk->exits->why = "some of its code cannot be decoded";
				break;
			}
			at = stretch->end;
			if (stretch->flow == STROBE_FLOW_RETURN)
				add_exit(walk, last_of(walk, stretch), LEAVE_RETURN);
			bool jump = stretch->flow == STROBE_FLOW_JUMP,
			     branch = stretch->flow == STROBE_FLOW_COND_JUMP;
			if ((!jump && !branch) ||
			    (stretch->has_target && in_function(walk, stretch->target)))
				continue;
			uint64_t target = follow ? tail_target(walk, stretch) : 0;
			if (target && !in_function(walk, target) &&
			    walk->seen.count < FOLLOW_LIMIT && array_push(&walk->todo, target))
				continue;
			add_exit(walk, last_of(walk, stretch), LEAVE_JUMP);
		}
	}
}

static struct strobe_error *finish(struct walk *walk)
{
	bool no_memory = walk->no_memory;
	hash_fini(&walk->seen);
	array_fini(&walk->todo);
	array_fini(&walk->ranges);
	return no_memory ? error_no_memory() : NULL;
}

struct strobe_error *native_function_exits(struct native_program *program, uint64_t entry,
					   struct native_exits *ret)
{
	struct walk walk = {.program = program, .exits = ret, .start = entry};
	walk.no_memory = !array_push(&walk.todo, entry);
	while (walk.todo.count && !walk.no_memory) {
		uint64_t address = walk.todo.items[--walk.todo.count];
		if (hash_get(&walk.seen, address))
			continue;
		walk.no_memory |= !hash_put(&walk.seen, address, &walk);
		if (find_ranges(&walk, address))
			sweep(&walk, true);
		else
			ret->why = "where its code ends is not known";
	}
	return finish(&walk);
}

// Lines.

enum place { INSIDE, BETWEEN, OUTSIDE }; // BETWEEN: of no statement

/** Where code is: of the line, of another, or of none. `*until` is where that may change. */
static enum place judge(struct walk *walk, uint64_t address, uint64_t *until)
{
	struct strobe_symbols *symbols = walk->program->symbols;
	struct code_line row;
	*until = address + 1;
	if (!code_line_at(symbols, address, &row))
		return BETWEEN;
	*until = row.end > address ? row.end : address + 1;
	const struct code_position *position = code_position_at(symbols, address);
	for (size_t i = 0; position && i < position->scope_count; i++) {
		const struct code_scope *scope = &position->scopes[i];
		if (scope->die.addr != walk->entity)
			continue;
		bool same = !walk->line ||
			    (scope->line == walk->line &&
			     (!scope->file || !walk->file || strcmp(scope->file, walk->file) == 0));
		return same ? INSIDE : row.statement ? OUTSIDE : BETWEEN;
	}
	return row.statement ? OUTSIDE : BETWEEN;
}

/** setjmp() and its like return once more, when nobody sees it. */
static bool returns_twice(const struct walk *walk, const struct code_stretch *stretch)
{
	struct strobe_symbol symbol;
	return stretch->has_target &&
	       strobe_symbol_at(walk->program->symbols, stretch->target, &symbol) && symbol.name &&
	       strstr(symbol.name, "setjmp") != NULL;
}

static void go_to(struct walk *walk, uint64_t address)
{
	walk->exits->repeats |= address == walk->start;
	if (in_function(walk, address) && !array_push(&walk->todo, address))
		walk->no_memory = true;
}

/** Up to the stretch's end or the first instruction of another line; true if the end was reached. */
static bool walk_stretch(struct walk *walk, const struct code_stretch *stretch)
{
	const uint8_t *lengths = code_map_lengths(walk->program->code, stretch);
	uint64_t address = stretch->address, until = address;
	for (unsigned i = 0; i < stretch->count; address += lengths[i++]) {
		if (address < until)
			continue;
		if (i && address == walk->start) {
			walk->exits->repeats = true;
			return false;
		}
		if (judge(walk, address, &until) == OUTSIDE) {
			add_exit(walk, address, LEAVE_STATEMENT);
			return false;
		}
	}
	return true;
}

static void walk_from(struct walk *walk, uint64_t address)
{
	const struct code_stretch *stretch;
	while (!hash_get(&walk->seen, address) && in_function(walk, address) && !walk->no_memory &&
	       (stretch = stretch_at(walk, address)) != NULL) {
		walk->no_memory |= !hash_put(&walk->seen, address, walk);
		if (!walk_stretch(walk, stretch))
			return;
		address = stretch->end;
		bool known = stretch->has_target && in_function(walk, stretch->target);
		switch (stretch->flow) {
		case STROBE_FLOW_RETURN:
			add_exit(walk, last_of(walk, stretch), LEAVE_RETURN);
			return;
		case STROBE_FLOW_JUMP:
			if (known)
				go_to(walk, stretch->target);
			else // a switch, or on in another function
				add_exit(walk, last_of(walk, stretch), LEAVE_STATEMENT);
			return;
		case STROBE_FLOW_COND_JUMP:
			if (known)
				go_to(walk, stretch->target);
			break;
		case STROBE_FLOW_FAR_RETURN:
		case STROBE_FLOW_FAR_JUMP:
			return;
		default:
			break;
		}
		walk->exits->repeats |= address == walk->start;
	}
}

/** Where the function goes on after a longjmp(). */
static void add_second_returns(struct walk *walk)
{
	for (size_t i = 0; i < walk->ranges.count; i++)
		for (uint64_t at = walk->ranges.items[i].start;
		     at < walk->ranges.items[i].end && !walk->no_memory;) {
			const struct code_stretch *stretch = stretch_at(walk, at);
			uint64_t until;
			if (!stretch)
				break;
			at = stretch->end;
			if (stretch->flow == STROBE_FLOW_CALL && returns_twice(walk, stretch) &&
			    in_function(walk, at) && judge(walk, at, &until) != INSIDE)
				add_exit(walk, at, LEAVE_STATEMENT);
		}
}

struct strobe_error *native_line_exits(struct native_program *program, uint64_t start, bool whole,
				       struct native_exits *ret)
{
	struct walk walk = {.program = program, .exits = ret, .start = start};
	const struct code_position *position = code_position_at(program->symbols, start);
	if (!position || !position->scope_count || !find_ranges(&walk, start)) {
		ret->why = "the function that it is in is not described";
		return finish(&walk);
	}
	walk.entity = position->scopes[0].die.addr;
	walk.line = whole ? 0 : position->scopes[0].line;
	walk.file = position->scopes[0].file;
	walk.no_memory |= !array_push(&walk.todo, start);
	while (walk.todo.count && !walk.no_memory)
		walk_from(&walk, walk.todo.items[--walk.todo.count]);
	// However it is left, with the function it ends.
	add_second_returns(&walk);
	sweep(&walk, false);
	return finish(&walk);
}
