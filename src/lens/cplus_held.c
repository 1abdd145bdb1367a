// SPDX-License-Identifier: Apache-2.0
// Values whose type only the function that handles them tells: what std::function, std::move_only_function and std::any hold,
// in themselves if it is small, else behind a pointer. The handler is an instance of a template, and an argument of that is the
// type; libc++'s function holds an object with a virtual table.
#include <inttypes.h>
#include <string.h>
#include <strobe/memory.h>
#include <strobe/symbols.h>

#include "base/text.h"
#include "lens/cplus.h"
#include "lens/table.h"

/** Where a class has them, by members. */
struct holder {
	const char *name;
	const char
		*handler; // the word that tells; NULL: the virtual table of what `pointer` leads to
	const char *storage; // the value, or a pointer to it
	const char *pointer; // leads to the value, in `storage` or elsewhere; NULL: none
	bool wrapper;	     // what it is of has a row of its own, with its plan
	const char *called;  // the value's place
};

static const struct holder holders[] = {
	{"_Function_base", "_M_manager", "_M_functor", NULL, false, "[target]"},
	{"function", "_M_manager", "_M_functor", NULL, true, "[target]"},
	{"_Mofunc_base", "_M_manage", "_M_storage", NULL, false, "[target]"},
	{"move_only_function", "_M_manage", "_M_storage", NULL, true, "[target]"},
	{"any", "_M_manager", "_M_storage", NULL, false, ".value"},
	{"any", "__h", "__s", NULL, false, ".value"},
	{"any", "__h_", "__s_", NULL, false, ".value"},
	{"__value_func", NULL, "__buf_", "__f_", false, "[target]"},
	{"function", NULL, "__f_.__buf_", "__f_.__f_", true, "[target]"},
};

/** Offsets in the class. */
struct held {
	uint64_t handler, storage, size, pointer;
	uint32_t base; // the type that `pointer` is declared to lead to
	bool by_table;
};

static bool find_places(struct strobe_symbols *symbols, struct type *type,
			const struct holder *holder, struct held *ret, struct type **base)
{
	struct cplus_member member;
	*ret = (struct held){.by_table = holder->pointer};
	*base = NULL;
	if (!cplus_find(symbols, type, holder->storage, &member))
		return false;
	ret->storage = member.offset;
	ret->size = cplus_size(symbols, member.type);
	if (ret->size < 8 ||
	    !cplus_find(symbols, type, ret->by_table ? holder->pointer : holder->handler,
			&member) ||
	    member.type->kind != TYPE_POINTER)
		return false;
	ret->handler = ret->pointer = member.offset;
	*base = member.type->target;
	return true;
}

static const struct holder *find_holder(struct strobe_symbols *symbols, struct type *type,
					struct held *ret, struct type **base)
{
	const char *name;
	size_t size = cplus_template_name(type, &name);
	for (size_t i = 0; size && i < sizeof(holders) / sizeof(holders[0]); i++)
		if (strncmp(holders[i].name, name, size) == 0 && !holders[i].name[size] &&
		    find_places(symbols, type, &holders[i], ret, base))
			return &holders[i];
	return NULL;
}

// Handlers.

/** Whether `_Base_manager<F>`, a base of libstdc++'s handlers or the handler's class itself, keeps F in place; false if it does
 *  not say. */
static bool is_kept_in_place(struct strobe_symbols *symbols, struct type *class, bool *ret)
{
	enum { BASE_LIMIT = 4 };
	for (unsigned depth = 0; class && depth < BASE_LIMIT; depth++) {
		struct type *base = NULL;
		class = type_strip(symbols, class);
		for (size_t i = 0; i < class->member_count; i++) {
			const struct type_member *member = &class->members[i];
			int64_t value;
			if (member->base)
				base = member->type;
			if (!member->name || strcmp(member->name, "__stored_locally") != 0 ||
			    !type_member_constant(member, &value))
				continue;
			*ret = value;
			return true;
		}
		class = base;
	}
	return false;
}

/** Whether a class of the library has values of its arguments in itself; others of it move without throwing. */
static bool has_arguments_inside(const char *name, size_t size)
{
	static const char *const names[] = {"pair",  "tuple", "optional",     "variant",
					    "array", "_Bind", "_Bind_result", "_Not_fn"};
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strncmp(names[i], name, size) == 0 && !names[i][size])
			return true;
	return false;
}

enum { MOVE_DEPTH_LIMIT = 8, MOVE_ARGUMENT_LIMIT = 32 };

/** Whether values of the type are surely moved by what throws nothing: nobody wrote a constructor for them, or the library
 *  did. */
static bool moves_plainly(struct strobe_symbols *symbols, struct type *type, unsigned depth)
{
	const char *name;
	struct type *argument;
	type = type_strip(symbols, type);
	if (depth == MOVE_DEPTH_LIMIT || type->kind == TYPE_UNION || type->kind == TYPE_UNKNOWN)
		return false;
	if (type->kind == TYPE_ARRAY && type->target)
		return moves_plainly(symbols, type->target, depth + 1);
	if (type->kind != TYPE_STRUCT && type->kind != TYPE_CLASS)
		return true;
	size_t size = cplus_template_name(type, &name);
	if (size) {
		bool plain = true, inside = has_arguments_inside(name, size);
		for (size_t i = 0; inside && plain && i < MOVE_ARGUMENT_LIMIT &&
				   (argument = cplus_argument(symbols, type, i));
		     i++)
			plain = moves_plainly(symbols, argument, depth + 1);
		return plain;
	}
	bool plain = !type->name || !type_declares_constructor(symbols, type);
	for (size_t i = 0; plain && i < type->member_count; i++)
		if (!type->members[i].static_member && type->members[i].type)
			plain = moves_plainly(symbols, type->members[i].type, depth + 1);
	return plain;
}

/** The same of std::_Mofunc_base, whose __stored_locally<F> are not told apart. Small ones that may throw are not. */
static bool is_moved_in_place(struct strobe_symbols *symbols, struct type *class,
			      struct type *value, bool *ret)
{
	struct cplus_member storage;
	bool some = false, all = true;
	if (!cplus_find(symbols, class, "_M_storage", &storage))
		return false;
	*ret = cplus_size(symbols, value) <= cplus_size(symbols, storage.type);
	for (size_t i = 0; i < class->member_count; i++) {
		const struct type_member *member = &class->members[i];
		int64_t constant;
		if (!member->name || strncmp(member->name, "__stored_locally", 16) != 0 ||
		    !type_member_constant(member, &constant))
			continue;
		some = true;
		all &= constant;
	}
	return !*ret || (some && all) || moves_plainly(symbols, value, 0);
}

/** The class of a handler, and what it says. */
struct handler {
	const char *class, *method;
	size_t argument; // of the class; of the method if that is a template
	bool of_method;
	bool inside; // by the class
	bool told;   // by __stored_locally
};

static const struct handler handlers[] = {
	{"_Function_handler", "_M_manager", 1, .told = true},
	{"_Base_manager", "_M_manager", 0, .told = true}, // of GCC 5 to 9
	{"_Manager_internal", "_S_manage", 0, .inside = true},
	{"_Manager_external", "_S_manage", 0, .inside = false},
	{"_Mofunc_base", "_S_manage", 0, .of_method = true, .told = true},
	{"_SmallHandler", "__handle", 0, .inside = true},
	{"_LargeHandler", "__handle", 0, .inside = false},
};

static const struct handler *find_handler(const struct type_code *code)
{
	const char *name;
	size_t size = cplus_template_name(code->class, &name);
	size_t method = strcspn(code->name, "<");
	for (size_t i = 0; size && i < sizeof(handlers) / sizeof(handlers[0]); i++)
		if (strncmp(handlers[i].class, name, size) == 0 && !handlers[i].class[size] &&
		    strncmp(handlers[i].method, code->name, method) == 0 &&
		    !handlers[i].method[method])
			return &handlers[i];
	return NULL;
}

void cplus_held_look_up(struct lens *lens, uint64_t handler, struct known_held *ret)
{
	struct strobe_symbols *symbols = lens->symbols;
	struct type_code code;
	*ret = (struct known_held){0};
	if (!type_code_at(symbols, handler, &code))
		return;
	const struct handler *found = find_handler(&code);
	ret->empty = !found && strcmp(code.name, "_S_empty") == 0;
	struct type *of = found && found->of_method ? code.function : code.class;
	struct type *value = found && of ? cplus_argument(symbols, of, found->argument) : NULL;
	if (!value)
		return;
	ret->inside = found->inside;
	if (found->told &&
	    !(found->of_method ? is_moved_in_place(symbols, code.class, value, &ret->inside)
			       : is_kept_in_place(symbols, code.class, &ret->inside)))
		return;
	ret->type = lens_type_id(lens, value);
}

// Walks.

/** Visits what a walk of a part finds, from the whole on. */
struct shifted {
	lens_visit visit;
	void *context;
	uint64_t offset;
	bool stopped;
};

static bool visit_shifted(void *context, const struct lens_reference *reference)
{
	struct shifted *shifted = context;
	struct lens_reference copy = *reference;
	copy.offset += shifted->offset;
	shifted->stopped = !shifted->visit(shifted->context, &copy);
	return !shifted->stopped;
}

/** What the word at `handler` tells of what is held. */
enum outcome { OUTCOME_NOTHING, OUTCOME_UNKNOWN, OUTCOME_GUESS, OUTCOME_INSIDE, OUTCOME_ELSEWHERE };

struct found {
	uint32_t type;
	uint64_t start;	  // where the value begins, or the word that leads to it
	uint64_t unknown; // to be looked up
};

static enum outcome look_at_table(const struct lens *lens, const struct lens_memory *memory,
				  const struct held *held, uint64_t at, struct found *ret)
{
	uint64_t pointer, vtable, above;
	if (!cplus_read(memory, at + held->pointer, &pointer, 8))
		return OUTCOME_GUESS;
	ret->start = held->pointer;
	ret->type = held->base;
	if (pointer - (at + held->storage) >= held->size)
		return pointer ? OUTCOME_ELSEWHERE : OUTCOME_NOTHING;
	ret->start = pointer - at;
	if (!cplus_read(memory, pointer, &vtable, 8) || !lens_may_be_vtable(lens, vtable))
		return OUTCOME_GUESS;
	ret->unknown = vtable;
	if (!lens_vtable_type(lens, vtable, &ret->type, &above))
		return OUTCOME_UNKNOWN;
	return ret->type && above == 0 ? OUTCOME_INSIDE : OUTCOME_GUESS;
}

static enum outcome look_at_handler(const struct lens *lens, const struct lens_memory *memory,
				    const struct held *held, uint64_t at, struct found *ret)
{
	uint64_t handler;
	if (!cplus_read(memory, at + held->handler, &handler, 8))
		return OUTCOME_GUESS;
	if (handler == 0)
		return OUTCOME_NOTHING;
	if (!lens_may_be_code(lens, handler))
		return OUTCOME_GUESS;
	const struct known_held *known = hash_get(&lens->held, handler);
	ret->unknown = handler;
	if (!known)
		return OUTCOME_UNKNOWN;
	ret->type = known->type;
	ret->start = held->storage;
	if (known->empty)
		return OUTCOME_NOTHING;
	return !known->type ? OUTCOME_GUESS : known->inside ? OUTCOME_INSIDE : OUTCOME_ELSEWHERE;
}

/** What is held at `at`: a value that stands inside fits there. */
static enum outcome look_at(const struct lens *lens, const struct lens_memory *memory,
			    const struct held *held, uint64_t at, struct found *ret)
{
	enum outcome outcome = held->by_table ? look_at_table(lens, memory, held, at, ret)
					      : look_at_handler(lens, memory, held, at, ret);
	if (outcome == OUTCOME_INSIDE &&
	    lens_type(lens, ret->type)->size_bytes > held->size - (ret->start - held->storage))
		return OUTCOME_GUESS;
	return outcome;
}

static void guess(const struct lens_memory *memory, const struct held *held, uint64_t at,
		  struct shifted *shifted)
{
	enum { PAGE_BYTES = 4096 };
	for (uint64_t i = 0; i + 8 <= held->size && !shifted->stopped; i += 8) {
		struct lens_reference reference = {.offset = held->storage + i, .guessed = true};
		if (cplus_read(memory, at + reference.offset, &reference.target, 8) &&
		    reference.target - PAGE_BYTES < (UINT64_C(1) << 47) - PAGE_BYTES)
			visit_shifted(shifted, &reference);
	}
}

void cplus_held_walk(const struct lens *lens, const struct lens_memory *memory,
		     const struct plan_step *step, uint64_t address, const uint8_t *bytes,
		     uint64_t size_bytes,
		     bool (*visit)(void *context, const struct lens_reference *reference),
		     void *context)
{
	const struct held *held = step->data;
	uint64_t at = address + step->offset;
	struct shifted shifted = {visit, context, step->offset, false};
	struct found found = {0};
	struct lens_reference reference = {.evidence = EVIDENCE_POINTER, .maybe = step->maybe};
	(void)bytes;
	(void)size_bytes;
	switch (look_at(lens, memory, held, at, &found)) {
	case OUTCOME_NOTHING:
		break;
	case OUTCOME_UNKNOWN:
		reference = (struct lens_reference){
			.target = found.unknown, .code = true, .unknown = true};
		visit_shifted(&shifted, &reference);
		break;
	case OUTCOME_GUESS:
		guess(memory, held, at, &shifted);
		break;
	case OUTCOME_INSIDE:
		shifted.offset += found.start;
		lens_walk(lens, memory, found.type, at + found.start,
			  lens_type(lens, found.type)->size_bytes, 1, false, visit_shifted,
			  &shifted, NULL);
		break;
	case OUTCOME_ELSEWHERE:
		reference.offset = found.start;
		reference.type = found.type;
		reference.count = held->by_table ? 0 : 1;
		if (cplus_read(memory, at + found.start, &reference.target, 8) && reference.target)
			visit_shifted(&shifted, &reference);
		break;
	}
}

bool cplus_held_plan(struct plan_builder *builder, struct type *type, uint64_t offset, bool maybe)
{
	struct type *base;
	struct held places;
	const struct holder *holder = find_holder(plan_symbols(builder), type, &places, &base);
	if (!holder || holder->wrapper)
		return false;
	struct held *held = plan_memory(builder, sizeof(*held));
	if (!held)
		return false;
	if (places.by_table && base)
		places.base = plan_type(builder, base);
	*held = places;
	plan_add(builder, &(struct plan_step){.kind = PLAN_CALL,
					      .offset = (uint32_t)offset,
					      .call = cplus_held_walk,
					      .data = held,
					      .maybe = maybe});
	if (!places.by_table)
		plan_add(builder, &(struct plan_step){.kind = PLAN_CODE,
						      .offset = (uint32_t)(offset + places.handler),
						      .maybe = maybe});
	return true;
}

// Names, and what stands there. The view is read as an object's memory is.

struct view_reader {
	const struct strobe_view *view;
	uint8_t bytes[8];
};

static const uint8_t *view_at(void *context, uint64_t address, size_t *available)
{
	struct view_reader *reader = context;
	*available =
		strobe_memory_read(reader->view, address, reader->bytes, sizeof(reader->bytes));
	return *available ? reader->bytes : NULL;
}

bool cplus_held_content(struct lens *lens, struct type *type, uint64_t address,
			struct cplus_content *ret)
{
	struct type *base;
	struct held held;
	struct found found = {0};
	const struct holder *holder = find_holder(lens->symbols, type, &held, &base);
	if (!holder || holder->wrapper)
		return false;
	struct view_reader reader = {.view = strobe_symbols_view(lens->symbols)};
	const struct lens_memory memory = {.at = view_at, .reader = &reader};
	enum outcome outcome = look_at(lens, &memory, &held, address, &found);
	if (outcome == OUTCOME_UNKNOWN) {
		struct strobe_error *error = lens_learn(lens, &found.unknown, 1);
		lens->failed |= error != NULL;
		strobe_error_free(error);
		outcome = error ? OUTCOME_NOTHING : look_at(lens, &memory, &held, address, &found);
	}
	bool inside = outcome == OUTCOME_INSIDE;
	*ret = (struct cplus_content){.type = inside ? lens_type(lens, found.type)->type : NULL,
				      .offset = found.start,
				      .called = holder->called};
	return true;
}

bool cplus_held_possible(struct lens *lens, struct type *type)
{
	struct type *base;
	struct held held;
	const struct holder *holder = find_holder(lens->symbols, type, &held, &base);
	return holder && !holder->wrapper;
}

bool cplus_held_place_name(struct lens *lens, struct type *type, uint64_t address, uint64_t offset,
			   struct text *ret)
{
	struct type *base;
	struct held held;
	struct found found = {0};
	const struct holder *holder = find_holder(lens->symbols, type, &held, &base);
	if (!holder ||
	    (offset - held.storage >= held.size && !(held.by_table && offset == held.pointer)))
		return false;
	struct view_reader reader = {.view = strobe_symbols_view(lens->symbols)};
	const struct lens_memory memory = {.at = view_at, .reader = &reader};
	enum outcome outcome = look_at(lens, &memory, &held, address, &found);
	text_append(ret, holder->called);
	if (outcome == OUTCOME_INSIDE)
		lens_place_name(lens, found.type, address + found.start, offset - found.start, ret);
	else if (outcome != OUTCOME_ELSEWHERE && offset != held.storage)
		text_printf(ret, "+0x%" PRIx64, offset - held.storage);
	return true;
}
