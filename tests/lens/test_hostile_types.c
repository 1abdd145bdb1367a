// SPDX-License-Identifier: Apache-2.0
// Types that no compiler writes: plans of them end, and so do walks, in bounded time and memory.
#include <time.h>

#include "check.h"
#include "fake_memory.h"
#include "symbols/module.h"
#include "view/build.h"

static struct strobe_view *view;
static struct strobe_symbols *symbols;
static struct lens *lens;
static struct fake_memory memory;
static struct fake_list list;
static const struct lens_memory reader = {fake_at, &memory};

static void begin(void)
{
	lens_free(lens);
	strobe_symbols_close(symbols);
	strobe_view_close(view);
	static const struct strobe_view_options options = {.size = sizeof(options),
							   .no_debuginfod = true};
	CHECK_OK(view_new(&options, &view));
	CHECK_OK(view_finish(view));
	CHECK_OK(strobe_symbols_open(view, &symbols));
	CHECK_OK(lens_new(symbols, &lens));
	memset(&memory, 0, sizeof(memory));
	memory.window = FAKE_PAGE;
	for (unsigned i = 0; i < FAKE_SIZE / 8; i++)
		fake_put(&memory, 8 * i, 0x100000 + i);
	list = (struct fake_list){0};
}

static struct type *structure(const char *name, uint64_t size, size_t member_count)
{
	struct type *type = type_make(symbols, TYPE_STRUCT);
	CHECK(type != NULL);
	type->name = name;
	type->language = 0x0c; // C99
	type->size = size;
	type->size_known = true;
	type->member_count = member_count;
	type->members = arena_alloc(&symbols->arena, member_count * sizeof(struct type_member));
	CHECK(type->members != NULL);
	return type;
}

static void member(struct type *type, size_t index, const char *name, struct type *of,
		   uint64_t offset)
{
	type->members[index] =
		(struct type_member){.name = name, .type = of, .offset_bits = offset * 8};
}

static struct type *pointer(struct type *target)
{
	return type_pointer_to(symbols, target);
}

/** Compiles and walks; within a second, whatever it is. */
static uint32_t run(struct type *type)
{
	struct timespec before, after;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &before);
	uint32_t id = lens_type_id(lens, type);
	CHECK_OK(lens_compile(lens));
	list.count = 0;
	lens_walk(lens, &reader, id, FAKE_START, FAKE_SIZE, 0, false, fake_visit, &list, NULL);
	for (uint32_t i = 1; i <= lens_type_count(lens); i++) {
		struct text name cleanup_text = {0};
		lens_place_name(lens, i, 0, 8, &name);
		lens_place_name(lens, i, 0, 1 << 20, &name);
		CHECK(!name.failed && name.size < 10000);
		CHECK(lens_type(lens, i)->plan->step_count <= PLAN_STEP_LIMIT);
	}
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &after);
	double seconds = (double)(after.tv_sec - before.tv_sec) +
			 (double)(after.tv_nsec - before.tv_nsec) / 1e9;
	if (seconds > 1)
		printf("# %.2f s\n", seconds);
	CHECK(seconds < 5); // sanitizers take their time
	return id;
}

static void itself(void)
{
	begin();
	struct type *type = structure("ouroboros", 16, 3);
	member(type, 0, "next", pointer(type), 0);
	member(type, 1, "me", type, 0);
	member(type, 2, "again", type, 0);
	uint32_t id = run(type);
	CHECK(id != 0 && list.count > 0);
	// By a base, by an array, by a union.
	type = structure("own_base", 16, 2);
	member(type, 0, NULL, type, 0);
	type->members[0].base = true;
	type->vtable = true;
	member(type, 1, "next", pointer(type), 8);
	run(type);
	type = structure("own_array", 16, 2);
	member(type, 0, "all", type_array_of(symbols, type, 1), 0);
	member(type, 1, "next", pointer(type), 8);
	run(type);
	type = structure("own_union", 16, 2);
	type->kind = TYPE_UNION;
	member(type, 0, "me", type, 0);
	member(type, 1, "me_too", type, 0);
	run(type);
	type = type_make(symbols, TYPE_POINTER);
	type->size = 8;
	type->size_known = true;
	type->target = type;
	run(type);
	type = type_make(symbols, TYPE_ARRAY);
	type->target = type;
	type->dimension.count = 3;
	run(type);
	type = type_make(symbols, TYPE_TYPEDEF);
	type->target = type;
	run(type);
}

/** A thousand members of its own type, in each way that there is. */
static void legions(void)
{
	for (unsigned i = 0; i < 8; i++) {
		begin();
		struct type *type = structure(i & 1 ? "legion" : NULL, 4096, 1000);
		type->kind = i & 4 ? TYPE_UNION : TYPE_STRUCT;
		type->vtable = i & 2;
		for (size_t n = 0; n < 1000; n++) {
			member(type, n, i & 1 ? "m" : NULL, type, 0);
			type->members[n].base = i & 2;
		}
		run(type);
		run(pointer(type));
		run(type_array_of(symbols, type, 10));
	}
}

/** Each of two members of the next kind: 2^40 of the last. */
static struct type *tower(bool with_pointers)
{
	struct type *inner =
		with_pointers ? pointer(structure("leaf", 8, 0)) : type_builtin(symbols, "long");
	uint64_t size = 8;
	for (unsigned i = 0; i < 40; i++) {
		struct type *type =
			structure(arena_printf(&symbols->arena, "floor%u", i), size * 2, 2);
		member(type, 0, "a", inner, 0);
		member(type, 1, "b", inner, size);
		size *= 2;
		inner = type;
	}
	return inner;
}

static void towers(void)
{
	begin();
	run(tower(false));
	begin();
	run(tower(true));
	CHECK(list.count > 0);
}

static void deep(void)
{
	begin();
	struct type *inner = pointer(type_builtin(symbols, "int"));
	for (unsigned i = 0; i < 500; i++) {
		struct type *type = structure(arena_printf(&symbols->arena, "deep%u", i), 8, 1);
		member(type, 0, "inner", inner, 0);
		inner = type;
	}
	run(inner);
	CHECK_EQUAL(list.count, FAKE_SIZE / 8); // scanned
	CHECK(list.items[0].guessed);
	for (unsigned i = 0; i < 500; i++)
		inner = pointer(inner);
	run(inner);
	for (unsigned i = 0; i < 500; i++)
		inner = type_array_of(symbols, inner, 1);
	run(inner);
}

static void large(void)
{
	begin();
	struct type *leaf = pointer(structure("leaf", 8, 0));
	struct type *type = structure("large", UINT64_MAX, 4);
	member(type, 0, "grid",
	       type_array_of(symbols, type_array_of(symbols, leaf, UINT32_MAX), 16), 0);
	member(type, 1, "far", leaf, UINT64_C(1) << 40);
	member(type, 2, "wide", type_array_of(symbols, leaf, UINT64_MAX / 16), 0);
	member(type, 3, "wraps", leaf, UINT64_MAX / 8);
	CHECK(run(type) != 0);
	CHECK(list.count > 0);
	// Elements without a size.
	type = structure("no_size", 16, 2);
	member(type, 0, "none", type_array_of(symbols, structure("nothing", 0, 0), 1 << 30), 0);
	member(type, 1, "open", type_array_of(symbols, structure("nothing", 0, 0), 0), 16);
	run(type);
	// What is not within its structure is not there.
	type = structure("outside", 16, 3);
	member(type, 0, "in", leaf, 8);
	member(type, 1, "half", leaf, 12);
	member(type, 2, "out", leaf, 16);
	uint32_t id = lens_type_id(lens, type);
	CHECK_OK(lens_compile(lens));
	CHECK_EQUAL(lens_type(lens, id)->plan->step_count, 1);
}

static void many_members(void)
{
	enum { COUNT = 3 * PLAN_STEP_LIMIT };
	begin();
	struct type *leaf = pointer(structure("leaf", 8, 0));
	struct type *type = structure("many", 8 * COUNT, COUNT);
	for (size_t i = 0; i < COUNT; i++)
		member(type, i, "m", leaf, 8 * i);
	uint32_t id = run(type);
	const struct plan *plan = lens_type(lens, id)->plan;
	// The first by type, what is left as guesses: every word once.
	CHECK_EQUAL(plan->step_count, PLAN_STEP_LIMIT);
	CHECK_EQUAL(plan->steps[PLAN_STEP_LIMIT - 2].kind, PLAN_POINTER);
	CHECK_EQUAL(plan->steps[PLAN_STEP_LIMIT - 1].kind, PLAN_SCAN);
	CHECK_EQUAL(plan->steps[PLAN_STEP_LIMIT - 1].offset, 8 * (PLAN_STEP_LIMIT - 1));
	CHECK_EQUAL(list.count, FAKE_SIZE / 8);
	// All in one place, as a structure and as a union.
	for (size_t i = 0; i < COUNT; i++)
		member(type, i, "m",
		       pointer(structure(arena_printf(&symbols->arena, "s%zu", i), 8, 0)), 0);
	type->name = "crowd";
	run(type);
	struct type *copy = type_copy(symbols, type);
	copy->kind = TYPE_UNION;
	copy->size = 8;
	copy->name = "choice";
	run(copy);
}

static void same_names(void)
{
	begin();
	// Two of one name are two types if they are laid out differently, one if not.
	struct type *a = structure("twin", 16, 1), *b = structure("twin", 16, 1),
		    *c = structure("twin", 16, 1);
	member(a, 0, "p", pointer(a), 0);
	member(b, 0, "p", pointer(b), 8);
	member(c, 0, "p", pointer(a), 0);
	CHECK(lens_type_id(lens, a) != 0);
	CHECK(lens_type_id(lens, a) != lens_type_id(lens, b));
	CHECK_EQUAL(lens_type_id(lens, a), lens_type_id(lens, c));
	CHECK_EQUAL(lens_type_id(lens, pointer(a)), lens_type_id(lens, pointer(c)));
	CHECK_STRING(lens_type(lens, lens_type_id(lens, pointer(pointer(a))))->name,
		     "struct twin **");
	CHECK_STRING(lens_type(lens, lens_type_id(lens, type_array_of(symbols,
								      type_array_of(symbols,
										    pointer(a), 4),
								      3)))
			     ->name,
		     "struct twin * [3][4]");
	CHECK_EQUAL(lens_type_id(lens, type_builtin(symbols, "void")), 0);
	CHECK_EQUAL(lens_type_id(lens, NULL), 0);
}

CHECK_MAIN({"types that have themselves as a part", itself},
	   {"types that have themselves as a thousand parts", legions},
	   {"types that have two of the next as parts, forty times", towers},
	   {"structures, pointers and arrays 500 deep", deep},
	   {"arrays, members and offsets beyond all memory", large},
	   {"a structure of 60,000 pointers", many_members}, {"types of one name", same_names})
