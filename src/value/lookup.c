// SPDX-License-Identifier: Apache-2.0
// What names mean: members of the object that is asked about, locals, members of this, statics of the frame's unit, globals of its module, of
// all modules, and at last ELF symbols.
#include <dwarf.h>
#include <string.h>

#include "base/error.h"
#include "symbols/children.h"
#include "symbols/module.h"
#include "symbols/type_die.h"
#include "value/class.h"
#include "value/format.h"

/** Named limits of searches. */
enum { MEMBER_DEPTH_LIMIT = 32, STATIC_DIE_LIMIT = 100000, STATIC_DEPTH_LIMIT = 64 };

enum { NAME_ANY_VALUE = NAME_VARIABLE | NAME_FUNCTION | NAME_ENUMERATOR };

struct local_search {
	const char *name;
	struct variable argument, local;
	bool has_argument, has_local;
};

static bool match_local(void *context, const struct variable *variable)
{
	struct local_search *s = context;
	if (!variable->name || strcmp(variable->name, s->name) != 0)
		return true;
	if (variable->argument && !s->has_argument) {
		s->argument = *variable;
		s->has_argument = true;
	} else if (!variable->argument) {
		s->local = *variable; // innermost blocks come first
		s->has_local = true;
	}
	return !s->has_local;
}

static bool find_local(struct evaluator *e, const char *name, struct variable *ret)
{
	struct local_search s = {.name = name};
	if (!e->frame.scope)
		return false;
	uint64_t bias = e->frame.scope->unit->module->module->bias;
	scope_variables(e->frame.scope, e->frame.physical->lookup_pc - bias, match_local, &s);
	*ret = s.has_local ? s.local : s.argument;
	return s.has_local || s.has_argument;
}

static bool find_member(struct evaluator *e, const struct strobe_value *object, const char *name,
			unsigned depth, struct strobe_value *ret)
{
	struct type *type = value_stripped(object);
	if (depth > MEMBER_DEPTH_LIMIT)
		return false;
	if (type->kind == TYPE_VARIANT) {
		const struct type_member *variant = NULL;
		if (!rust_variant(object, &variant) || !variant)
			return false;
		struct strobe_value part = value_member(object, variant);
		return find_member(e, &part, name, depth + 1, ret);
	}
	for (size_t i = 0; i < type->member_count; i++) {
		const struct type_member *m = &type->members[i];
		if (m->base || !m->name || strcmp(m->name, name) != 0)
			continue;
		struct strobe_value part = value_member(object, m);
		*ret = m->static_member ? part : value_copy(&part);
		ret->language = e->language;
		return true;
	}
	for (size_t i = 0; i < type->member_count; i++) {
		const struct type_member *m = &type->members[i];
		if (m->static_member || (!m->base && m->name && *m->name))
			continue;
		struct strobe_value part = value_member(object, m);
		if (m->base && type_strip(e->symbols, m->type)->name &&
		    strcmp(type_strip(e->symbols, m->type)->name, name) == 0) {
			*ret = value_copy(&part);
			return true;
		}
		if (find_member(e, &part, name, depth + 1, ret))
			return true;
	}
	return false;
}

bool lookup_member(struct evaluator *e, const struct strobe_value *object, const char *name,
		   struct strobe_value *ret)
{
	const char *last = strstr(name, "::"); // Base::member
	while (last && strstr(last + 2, "::"))
		last = strstr(last + 2, "::");
	return find_member(e, object, last ? last + 2 : name, 0, ret);
}

static bool member_of_this(struct evaluator *e, const char *name, struct strobe_value *ret)
{
	struct variable variable;
	if (!evaluator_is_cpp(e) || !find_local(e, "this", &variable))
		return false;
	struct strobe_value self = place_variable(&e->frame, &variable);
	struct type *type = value_stripped(&self);
	uint64_t address;
	bool found =
		type->kind == TYPE_POINTER && type->target && strobe_value_integer(&self, &address);
	value_fini(&self);
	if (!found)
		return false;
	struct strobe_value object = value_in_memory(e->symbols, type->target, address);
	return lookup_member(e, &object, name, ret) || class_method(e, type->target, name, ret);
}

/** Turns what the name index has into a value. */
struct global_search {
	struct evaluator *e;
	bool found;
	bool external_only;
	struct type *declared; // of a variable that is only declared: its symbol has the address
	struct strobe_value value;
};

static bool take_enumerator(struct global_search *s, const struct name_entry *entry)
{
	Dwarf_Die die = entry->die, parent = entry->parent;
	Dwarf_Attribute attribute;
	Dwarf_Sword number;
	struct type *type = type_from_die(entry->unit, &parent);
	if (!type || !dwarf_attr(&die, DW_AT_const_value, &attribute) ||
	    dwarf_formsdata(&attribute, &number) != 0)
		return false;
	s->value = value_from_integer(s->e->symbols, type, (uint64_t)number);
	return true;
}

static bool take_function(struct global_search *s, const struct name_entry *entry)
{
	Dwarf_Die die = entry->die;
	uint64_t pc;
	struct type *type = type_from_die(entry->unit, &die);
	if (!type || !die_entry_pc(entry->unit, &die, &pc) ||
	    !module_is_code(entry->unit->module, pc))
		return false;
	s->value = value_in_memory(s->e->symbols, type, pc + entry->unit->module->module->bias);
	return true;
}

/** Linkers leave the address zero for variables that they dropped. */
static bool is_dropped(const struct strobe_value *value, const struct symbols_module *module)
{
	return value->place == PLACE_MEMORY && value->address == module->module->bias;
}

static bool take_entry(void *context, const struct name_entry *entry)
{
	struct global_search *s = context;
	Dwarf_Die die = entry->die;
	struct variable variable;
	if (s->external_only && !entry->external)
		return true;
	if (entry->kind == NAME_ENUMERATOR) {
		s->found = take_enumerator(s, entry);
	} else if (entry->kind == NAME_FUNCTION) {
		s->found = take_function(s, entry);
	} else if (entry->kind == NAME_VARIABLE &&
		   variable_from_die(entry->unit, &die, &variable)) {
		if (entry->declaration) {
			s->declared = variable.type;
			return true;
		}
		s->value = place_variable(&s->e->frame, &variable);
		s->found = !is_dropped(&s->value, entry->unit->module);
	}
	return !s->found;
}

static bool search_module(struct global_search *s, struct symbols_module *module, const char *name,
			  struct unit *only)
{
	if (module && !s->found)
		names_find(module, name, NAME_ANY_VALUE, only, take_entry, s);
	return s->found;
}

static void search_modules(struct global_search *s, const char *name)
{
	for (size_t i = 0; i < s->e->symbols->module_count && !s->found; i++)
		search_module(s, symbols_module(s->e->symbols, i), name, NULL);
}

// The frame's own file first, then what has external linkage as the linker sees it, then statics of
// other files: a global of the program comes before a static that a library happens to have.
static bool find_global(struct evaluator *e, const char *name, struct strobe_value *ret,
			struct type **declared)
{
	struct global_search s = {.e = e};
	struct unit *unit = e->frame.scope ? e->frame.scope->unit : NULL;
	if (unit)
		search_module(&s, unit->module, name, unit);
	s.external_only = true;
	search_modules(&s, name);
	s.external_only = false;
	if (unit)
		search_module(&s, unit->module, name, NULL);
	search_modules(&s, name);
	*ret = s.value;
	*declared = s.declared;
	return s.found;
}

static bool find_in_file(struct evaluator *e, const char *file, const char *name,
			 struct strobe_value *ret, bool *file_known)
{
	struct global_search s = {.e = e};
	for (size_t i = 0; i < e->symbols->module_count && !s.found; i++) {
		struct symbols_module *module = symbols_module(e->symbols, i);
		struct unit *unit;
		for (size_t n = 0; module && !s.found && (unit = names_unit(module, file, n));
		     n++) {
			*file_known = true;
			search_module(&s, module, name, unit);
		}
	}
	*ret = s.value;
	return s.found;
}

/** A static local, anywhere in a function's tree. */
struct static_search {
	struct evaluator *e;
	const char *name;
	size_t visited;
	bool found;
	struct strobe_value value;
};

static bool walk_statics(struct static_search *s, struct unit *unit, Dwarf_Die *parent,
			 unsigned depth)
{
	Dwarf_Die die;
	if (depth > STATIC_DEPTH_LIMIT || dwarf_child(parent, &die) != 0)
		return false;
	do {
		struct variable variable;
		int tag = dwarf_tag(&die);
		if (++s->visited > STATIC_DIE_LIMIT)
			return false;
		if (tag == DW_TAG_lexical_block && walk_statics(s, unit, &die, depth + 1))
			return true;
		const char *name = tag == DW_TAG_variable ? die_name(&die) : NULL;
		if (name && strcmp(name, s->name) == 0 &&
		    variable_from_die(unit, &die, &variable)) {
			s->value = place_variable(&s->e->frame, &variable);
			return true;
		}
	} while (dwarf_siblingof(&die, &die) == 0);
	return false;
}

static bool take_static(void *context, const struct name_entry *entry)
{
	struct static_search *s = context;
	Dwarf_Die die = entry->die;
	s->found = walk_statics(s, entry->unit, &die, 0);
	return !s->found;
}

/** A constant of an enumeration that the frame's function declares. */
static bool walk_enumerators(struct evaluator *e, Dwarf_Die *parent, const char *name,
			     unsigned depth, struct strobe_value *ret)
{
	Dwarf_Die die;
	bool more = depth <= STATIC_DEPTH_LIMIT && children_first(parent, &die);
	for (; more; more = children_next(&die)) {
		int tag = dwarf_tag(&die);
		const char *called = tag == DW_TAG_enumerator ? die_name(&die) : NULL;
		if (called && strcmp(called, name) == 0) {
			struct global_search s = {.e = e};
			struct name_entry entry = {
				.unit = e->frame.scope->unit, .die = die, .parent = *parent};
			if (take_enumerator(&s, &entry)) {
				*ret = s.value;
				return true;
			}
		}
		bool inside = tag == DW_TAG_lexical_block || tag == DW_TAG_enumeration_type;
		if (inside && walk_enumerators(e, &die, name, depth + 1, ret))
			return true;
	}
	return false;
}

static bool find_local_enumerator(struct evaluator *e, const char *name, struct strobe_value *ret)
{
	if (!e->frame.scope)
		return false;
	Dwarf_Die function = e->frame.scope->die;
	return walk_enumerators(e, &function, name, 0, ret);
}

/** function::x */
static bool find_static_local(struct evaluator *e, const char *name, struct strobe_value *ret)
{
	const char *last = name;
	for (const char *at; (at = strstr(last, "::"));)
		last = at + 2;
	if (last == name || last - name < 3)
		return false;
	struct static_search s = {.e = e, .name = last};
	char *function = arena_copy_string(&e->arena, name, (size_t)(last - name) - 2);
	for (size_t i = 0; function && i < e->symbols->module_count && !s.found; i++) {
		struct symbols_module *module = symbols_module(e->symbols, i);
		if (module)
			names_find(module, function, NAME_FUNCTION, NULL, take_static, &s);
	}
	*ret = s.value;
	return s.found;
}

struct symbol_search {
	bool found, is_function;
	uint64_t address;
};

static bool take_symbol(void *context, const struct strobe_symbol *symbol)
{
	struct symbol_search *s = context;
	bool function = strcmp(symbol->type, "function") == 0 || strcmp(symbol->type, "ifunc") == 0;
	if (strcmp(symbol->type, "tls") == 0)
		return true;
	s->found = true;
	s->is_function = function;
	s->address = symbol->address;
	return false;
}

bool lookup_is_unknown(const struct type *type)
{
	return type->kind == TYPE_UNKNOWN && type->spelled &&
	       strcmp(type->spelled, "<data variable, no debug info>") == 0;
}

/** The type of the function that starts at `address`, where debug information knows it. */
static struct type *function_type(struct evaluator *e, uint64_t address)
{
	const struct code_position *position = code_position_at(e->symbols, address);
	if (!position || !position->scope_count)
		return NULL;
	struct code_scope *scope = &position->scopes[position->scope_count - 1];
	return scope->start == address ? type_from_die(scope->unit, &scope->die) : NULL;
}

static struct strobe_error *find_symbol(struct evaluator *e, const struct node *node,
					struct strobe_value *ret, bool *found)
{
	struct symbol_search s = {0};
	struct strobe_error *error = strobe_symbols_find(e->symbols, STROBE_MATCH_EXACT, node->name,
							 NULL, take_symbol, &s);
	*found = !error && s.found;
	if (error || !s.found)
		return error;
	struct type *type = s.is_function ? function_type(e, s.address) : NULL;
	if (type) {
		*ret = value_in_memory(e->symbols, type, s.address);
		return NULL;
	}
	type = arena_alloc(&e->symbols->arena, sizeof(*type));
	if (!type)
		return error_no_memory();
	type->kind = s.is_function ? TYPE_FUNCTION : TYPE_UNKNOWN;
	type->completed = true;
	type->spelled =
		s.is_function ? "<text variable, no debug info>" : "<data variable, no debug info>";
	type->target = s.is_function ? type_builtin(e->symbols, "int") : NULL;
	*ret = value_in_memory(e->symbols, type, s.address);
	return NULL;
}

static struct strobe_error *missing(const struct node *node, bool file_known)
{
	if (node->file && !file_known)
		return error_column(STROBE_ERROR_NOT_FOUND, node->column,
				    "no source file named \"%s\"", node->file);
	return error_column(STROBE_ERROR_NOT_FOUND, node->column, "no symbol \"%s\"%s%s",
			    node->name, node->file ? " in " : "", node->file ? node->file : "");
}

/** Words that are values in all languages but C. */
static bool find_constant(struct evaluator *e, const char *name, struct strobe_value *ret)
{
	if (language_is_c(e->language))
		return false;
	bool yes = strcmp(name, "true") == 0;
	if (yes || strcmp(name, "false") == 0) {
		*ret = value_from_integer(e->symbols, type_builtin(e->symbols, "bool"), yes);
		return true;
	}
	struct type *pointer = type_pointer_to(e->symbols, type_builtin(e->symbols, "void"));
	if (strcmp(name, "nullptr") != 0 || !pointer)
		return false;
	*ret = value_from_integer(e->symbols, pointer, 0);
	return true;
}

struct strobe_error *lookup_name(struct evaluator *e, const struct node *node,
				 struct strobe_value *ret)
{
	const char *name = node->name;
	struct variable variable;
	struct type *declared = NULL;
	bool known = false, found = false;
	if (node->file) {
		if (find_in_file(e, node->file, name, ret, &known))
			return NULL;
		return missing(node, known);
	}
	bool global = strncmp(name, "::", 2) == 0;
	if (global)
		name += 2;
	if (!global && e->object && lookup_member(e, e->object, name, ret))
		return NULL;
	if (!global && find_local(e, name, &variable)) {
		*ret = place_variable(&e->frame, &variable);
		return NULL;
	}
	if ((!global && (member_of_this(e, name, ret) || find_local_enumerator(e, name, ret))) ||
	    find_global(e, name, ret, &declared) || find_static_local(e, name, ret) ||
	    class_scope_name(e, name, ret) || find_constant(e, name, ret))
		return NULL;
	struct strobe_error *error = find_symbol(e, node, ret, &found);
	if (!error && found && declared && lookup_is_unknown(ret->type))
		ret->type = declared;
	return error || found ? error : missing(node, known);
}

static bool is_member(struct evaluator *e, const char *name)
{
	struct strobe_value member = {.place = PLACE_OPTIMIZED_OUT};
	bool found = e->object && lookup_member(e, e->object, name, &member);
	if (found)
		value_fini(&member);
	return found;
}

bool lookup_is_type(void *data, const char *name)
{
	struct evaluator *e = data;
	struct variable variable;
	if (strncmp(name, "::", 2) == 0)
		name += 2;
	else if (find_local(e, name, &variable) || is_member(e, name))
		return false;
	struct unit *near = e->frame.scope ? e->frame.scope->unit : NULL;
	return type_find(e->symbols, near, name) != NULL;
}

bool lookup_is_instance(void *data, const char *name)
{
	struct strobe_value value = {.place = PLACE_OPTIMIZED_OUT};
	struct type *declared = NULL;
	struct symbol_search s = {0};
	struct evaluator *e = data;
	bool found = find_global(e, name, &value, &declared);
	value_fini(&value);
	if (!found)
		strobe_error_free(strobe_symbols_find(e->symbols, STROBE_MATCH_EXACT, name, NULL,
						      take_symbol, &s));
	return found || s.found;
}
