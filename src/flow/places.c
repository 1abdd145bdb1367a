// SPDX-License-Identifier: Apache-2.0
#include "flow/places.h"

#include <string.h>

#include "base/error.h"
#include "symbols/function.h"

struct strobe_error *places_check(const struct strobe_trace *trace, size_t thread_index,
				  const struct strobe_symbols *symbols)
{
	if (thread_index >= strobe_trace_thread_count(trace))
		return error_new(STROBE_ERROR_INVALID, "the trace has no thread number %zu",
				 thread_index);
	if (strobe_symbols_view(symbols) != strobe_trace_view(trace))
		return error_new(STROBE_ERROR_INVALID, "the symbols are not of this trace");
	return NULL;
}

void places_init(struct places *places, struct strobe_symbols *symbols, bool no_inlined)
{
	*places = (struct places){.symbols = symbols, .no_inlined = no_inlined};
}

void places_fini(struct places *places)
{
	array_fini(&places->by_code);
	array_fini(&places->scopes);
	hash_fini(&places->by_die);
	hash_fini(&places->by_start);
	hash_fini(&places->by_declaration);
	hash_fini(&places->by_address);
	arena_fini(&places->arena);
}

/** A function that returns a second time, when somebody jumps back. */
static bool saves_context(const char *name)
{
	static const char *const known[] = {"_setjmp",	    "setjmp",	     "__sigsetjmp",
					    "sigsetjmp",    "__sigjmp_save", "getcontext",
					    "__getcontext", "vfork",	     "__vfork"};
	size_t size = name ? strcspn(name, "@") : 0;
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (strlen(known[i]) == size && memcmp(known[i], name, size) == 0)
			return true;
	return false;
}

/** One number for all scopes of one function: those of one declaration. */
static uint32_t number_function(struct places *places, const struct scope *scope)
{
	if (!scope->name)
		return places->function_count++;
	uint64_t key = hash_bytes(scope->name, strlen(scope->name));
	key = (key ^ (scope->module + 1)) * UINT64_C(0x9e3779b97f4a7c15);
	key ^= scope->file ? hash_bytes(scope->file, strlen(scope->file)) + scope->line
			   : scope->start;
	const void *known = hash_get(&places->by_declaration, key);
	if (known)
		return (uint32_t)((uintptr_t)known - 1);
	if (!hash_put(&places->by_declaration, key,
		      (void *)(uintptr_t)(places->function_count + 1)))
		places->no_memory = true;
	return places->function_count++;
}

static uint32_t add_scope(struct places *places, struct hash *hash, uint64_t key,
			  const struct scope *scope)
{
	uint32_t index = (uint32_t)places->scopes.count;
	if (!array_push(&places->scopes, *scope) ||
	    !hash_put(hash, key, (void *)(uintptr_t)(index + 1))) {
		places->no_memory = true;
		return 0;
	}
	struct scope *added = &places->scopes.items[index];
	added->function_id = number_function(places, added);
	if (added->parent == SCOPE_NONE) {
		added->function = index;
		added->saves = saves_context(added->name);
	} else {
		const struct scope *parent = &places->scopes.items[added->parent];
		added->function = parent->function;
		added->depth = parent->depth + 1;
	}
	return index;
}

static uint32_t add_dwarf_scope(struct places *places, const struct code_position *position,
				const struct code_scope *from, uint32_t parent)
{
	struct scope scope = {.parent = parent,
			      .name = from->function,
			      .module = position->module->index,
			      .start = from->start};
	Dwarf_Die die = from->die;
	struct strobe_function function;
	function_describe(from->unit, &die, &function);
	scope.file = function.file;
	scope.line = function.line;
	return add_scope(places, &places->by_die, (uintptr_t)from->die.addr, &scope);
}

static uint32_t dwarf_scope(struct places *places, const struct code_position *position)
{
	uint32_t parent = SCOPE_NONE;
	for (size_t i = position->scope_count; i-- > 0;) {
		const struct code_scope *scope = &position->scopes[i];
		const void *known = hash_get(&places->by_die, (uintptr_t)scope->die.addr);
		parent = known ? (uint32_t)((uintptr_t)known - 1)
			       : add_dwarf_scope(places, position, scope, parent);
		if (places->no_inlined || places->no_memory)
			break;
	}
	return parent;
}

struct part_search {
	struct strobe_symbol found;
	bool is_found;
};

static bool take_symbol(void *context, const struct strobe_symbol *symbol)
{
	struct part_search *search = context;
	if (strcmp(symbol->type, "function") != 0)
		return true;
	search->found = *symbol;
	search->is_found = true;
	return false;
}

/** Of "f.cold", which is a part of f that the compiler moved away: f's start. */
static uint64_t whole_start(struct places *places, uint64_t start)
{
	struct strobe_symbol symbol;
	if (!strobe_symbol_at(places->symbols, start, &symbol) || !symbol.linkage_name)
		return start;
	const char *cold = strstr(symbol.linkage_name, ".cold");
	if (!cold || cold == symbol.linkage_name || (cold[5] && cold[5] != '.'))
		return start;
	char *name = arena_copy_string(&places->arena, symbol.linkage_name,
				       (size_t)(cold - symbol.linkage_name));
	struct part_search search = {0};
	if (name)
		strobe_error_free(strobe_symbols_find(places->symbols, STROBE_MATCH_EXACT, name,
						      symbol.module, take_symbol, &search));
	return search.is_found ? search.found.address : start;
}

static uint32_t symbol_scope(struct places *places, const struct code_position *position)
{
	size_t module = position->module ? position->module->index : SIZE_MAX;
	bool named = position->function != NULL;
	// Code without a name is one function a module.
	uint64_t key = named ? position->start : UINT64_C(1) << 63 | (module + 1);
	const void *known = hash_get(&places->by_start, key);
	if (known)
		return (uint32_t)((uintptr_t)known - 1);
	uint64_t whole = named ? whole_start(places, position->start) : 0;
	if (named && whole != position->start) {
		uint32_t scope = places_at(places, whole)->shadow.place;
		if (!hash_put(&places->by_start, key, (void *)(uintptr_t)(scope + 1)))
			places->no_memory = true;
		return scope;
	}
	return add_scope(places, &places->by_start, key,
			 &(struct scope){.parent = SCOPE_NONE,
					 .name = position->function,
					 .module = module,
					 .start = named ? position->start : 0});
}

static uint32_t scope_of(struct places *places, const struct code_position *position)
{
	return position->scope_count ? dwarf_scope(places, position)
				     : symbol_scope(places, position);
}

/** Appends the segments of `count` instructions; false if memory is short. */
static bool divide(struct places *places, uint64_t address, uint32_t count, const uint8_t *lengths,
		   struct place *ret)
{
	ARRAY(struct place_segment) segments = {0};
	uint64_t before = 0;
	bool done = true;
	for (uint32_t i = 0; i < count && done; i++) {
		const struct code_position *position = code_position_at(places->symbols, address);
		done = position != NULL;
		if (!done)
			break;
		uint32_t scope = scope_of(places, position);
		if (!segments.count || segments.items[segments.count - 1].scope != scope)
			done = array_push(&segments,
					  (struct place_segment){i, scope, address, before});
		before = address;
		if (lengths)
			address += lengths[i];
	}
	size_t size = segments.count * sizeof(*segments.items);
	struct place_segment *copy = done && size ? arena_alloc(&places->arena, size) : NULL;
	if (copy) {
		memcpy(copy, segments.items, size);
		ret->segments = copy;
		ret->segment_count = (uint32_t)segments.count;
		ret->count = count;
	}
	for (size_t i = 1; copy && i < segments.count; i++)
		ret->crosses |= places->scopes.items[segments.items[i].scope].function !=
				places->scopes.items[segments.items[0].scope].function;
	array_fini(&segments);
	return copy != NULL;
}

static void describe(const struct places *places, uint64_t address, struct place *place)
{
	const struct scope *inner = &places->scopes.items[place->segments[0].scope];
	const struct scope *function = &places->scopes.items[inner->function];
	place->shadow = (struct shadow_place){
		.function = function->name ? inner->function : SHADOW_UNKNOWN,
		.place = place->segments[0].scope,
		.is_entry = function->name && function->start == address,
		.is_kernel = address >> 63,
		.saves = function->saves,
	};
}

/** What is used when memory is short: the walk ends soon. */
static const struct place *give_up(struct places *places)
{
	static const struct place_segment segment = {.scope = 0};
	static const struct place nowhere = {.shadow = {.function = SHADOW_UNKNOWN},
					     .count = 1,
					     .segment_count = 1,
					     .segments = &segment};
	places->no_memory = true;
	return &nowhere;
}

const struct place *places_work_out(struct places *places, const struct strobe_run *run)
{
	size_t needed = (size_t)run->code_index + 1, had = places->by_code.count;
	if (needed > had) {
		if (!array_reserve(&places->by_code, needed))
			return give_up(places);
		memset(&places->by_code.items[had], 0, (needed - had) * sizeof(struct place));
		places->by_code.count = needed;
	}
	struct place place = {0};
	if (!divide(places, run->address, run->count, run->lengths, &place))
		return give_up(places);
	describe(places, run->address, &place);
	places->by_code.items[run->code_index] = place;
	return &places->by_code.items[run->code_index];
}

const struct place *places_at(struct places *places, uint64_t address)
{
	struct place *place = hash_get(&places->by_address, address);
	if (place)
		return place;
	place = arena_alloc(&places->arena, sizeof(*place));
	if (!place || !divide(places, address, 1, NULL, place) ||
	    !hash_put(&places->by_address, address, place))
		return give_up(places);
	describe(places, address, place);
	return place;
}

bool places_line(struct places *places, uint32_t scope, uint64_t address, struct strobe_line *ret)
{
	const struct code_position *position = code_position_at(places->symbols, address);
	uint32_t depth = places->scopes.items[scope].depth;
	*ret = (struct strobe_line){0};
	if (!position || depth >= position->scope_count)
		return false;
	const struct code_scope *found = &position->scopes[position->scope_count - 1 - depth];
	*ret = (struct strobe_line){
		.file = found->file, .line = found->line, .column = found->column};
	return found->line != 0;
}
