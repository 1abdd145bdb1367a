// SPDX-License-Identifier: Apache-2.0
// Plans made by hand, run over made-up memory; and random ones, run by the simplest interpreter there is besides.
#include "base/error.h"
#include "check.h"
#include "fake_memory.h"

static struct fake_memory memory;
static struct fake_list list, expected;
static const struct lens_memory reader = {fake_at, &memory};

/** A lens without symbols: its types are its own. */
static struct lens *lens;

static void begin(void)
{
	memset(&memory, 0, sizeof(memory));
	memory.window = FAKE_PAGE;
	list = (struct fake_list){0};
	lens_free(lens);
	lens = calloc(1, sizeof(*lens));
	CHECK(lens != NULL);
}

static uint32_t add_type(const char *name, uint64_t size, const struct plan_step *steps,
			 size_t count)
{
	struct lens_entry *entry = lens_add(lens, name, hash_bytes(name, strlen(name)));
	CHECK(entry != NULL);
	entry->type.size_bytes = size;
	entry->plan = (struct plan){(uint32_t)count, count == 0, steps};
	entry->type.plan = &entry->plan;
	lens->compiled = lens->count;
	return entry->id;
}

static uint64_t walk(uint32_t type, uint64_t offset, uint64_t size, uint64_t count, bool precise)
{
	uint64_t unreadable;
	list.count = 0;
	lens_walk(lens, &reader, type, FAKE_START + offset, size, count, precise, fake_visit, &list,
		  &unreadable);
	return unreadable;
}

static void check_reference(size_t index, uint64_t offset, uint64_t target, uint64_t count)
{
	CHECK(index < list.count);
	CHECK_EQUAL(list.items[index].offset, offset);
	CHECK_EQUAL(list.items[index].target, target);
	CHECK_EQUAL(list.items[index].count, count);
}

static void counts(void)
{
	static const struct plan_step steps[] = {
		{.kind = PLAN_COUNTED, .type = 1, .offset = 0, .b = 8, .stride = 16},
		{.kind = PLAN_COUNTED,
		 .count_kind = PLAN_COUNT_INTEGER,
		 .type = 1,
		 .offset = 16,
		 .b = 24,
		 .width = 4,
		 .self = true},
	};
	begin();
	uint32_t type = add_type("counted", 48, steps, 2);
	fake_put(&memory, 0, 0x100000);
	fake_put(&memory, 8, 0x100030);
	fake_put(&memory, 16, 0x200000);
	fake_put(&memory, 24, UINT64_C(0xffffffff00000005));
	walk(type, 0, 48, 0, false);
	CHECK_EQUAL(list.count, 2);
	check_reference(0, 0, 0x100000, 3);
	check_reference(1, 16, 0x200000, 5);
	CHECK_EQUAL(list.items[0].evidence, EVIDENCE_POINTER);
	// Empty, but with space; and a short string in the object itself.
	fake_put(&memory, 8, 0x100000);
	fake_put(&memory, 16, FAKE_START + 32);
	walk(type, 0, 48, 0, false);
	CHECK_EQUAL(list.count, 1);
	check_reference(0, 0, 0x100000, LENS_COUNT_NONE);
	// An end that makes no sense: as many as the block holds.
	fake_put(&memory, 8, 0xff000);
	walk(type, 0, 48, 0, false);
	check_reference(0, 0, 0x100000, 0);
	fake_put(&memory, 8, 0x100031);
	walk(type, 0, 48, 0, false);
	check_reference(0, 0, 0x100000, 0);
}

static void conditions(void)
{
	static const struct plan_step steps[] = {
		{.kind = PLAN_REPEAT, .offset = 8, .a = 3, .b = 16, .span = 2},
		{.kind = PLAN_IF, .width = 1, .mask = 0x7f, .a = 2, .b = 3, .span = 1},
		{.kind = PLAN_POINTER, .offset = 8, .type = 1},
		{.kind = PLAN_POINTER, .offset = 56, .type = 1},
	};
	begin();
	uint32_t type = add_type("variants", 64, steps, 4);
	for (unsigned i = 0; i < 3; i++) {
		memory.bytes[8 + 16 * i] = (uint8_t)(0x80 + i + 1); // 1, 2, 3
		fake_put(&memory, 16 + 16 * i, 0x100000 + i);
	}
	fake_put(&memory, 56, 0x300000);
	walk(type, 0, 64, 0, false);
	CHECK_EQUAL(list.count, 3);
	check_reference(0, 32, 0x100001, 0);
	check_reference(1, 48, 0x100002, 0);
	check_reference(2, 56, 0x300000, 0);
}

static void elements(void)
{
	static const struct plan_step steps[] = {{.kind = PLAN_POINTER, .offset = 8, .type = 1}};
	begin();
	uint32_t type = add_type("element", 16, steps, 1);
	for (unsigned i = 0; i < 6; i++)
		fake_put(&memory, 8 * i, 0x100000 + i);
	fake_put(&memory, 40, 77);   // no address
	walk(type, 0, 40, 0, false); // what is behind them is less than allocators round up by
	CHECK_EQUAL(list.count, 2);
	check_reference(0, 8, 0x100001, 0);
	check_reference(1, 24, 0x100003, 0);
	walk(type, 0, 40, 1, false);
	CHECK_EQUAL(list.count, 4);
	check_reference(1, 16, 0x100002, 0);
	check_reference(3, 32, 0x100004, 0);
	CHECK(!list.items[0].guessed && list.items[1].guessed && list.items[1].type == 0);
	walk(type, 0, 40, 1, true);
	CHECK_EQUAL(list.count, 1);
	walk(type, 0, 48, 1, false); // one element, then words
	CHECK_EQUAL(list.count, 4);
	check_reference(1, 16, 0x100002, 0);
	walk(type, 0, 48, LENS_COUNT_NONE, false);
	CHECK_EQUAL(list.count, 0);
	walk(type, 0, 12, 0, false); // too short for its word
	CHECK_EQUAL(list.count, 0);
	walk(LENS_TYPE_NONE, 0, 48, 0, false);
	CHECK_EQUAL(list.count, 5);
	walk(LENS_TYPE_NONE, 0, 48, 0, true);
	CHECK_EQUAL(list.count, 0);
	walk(LENS_TYPE_NONE, 4, 44, 0, false); // words are aligned in memory, not in the object
	check_reference(0, 4, 0x100001, 0);
}

static void holes(void)
{
	static const struct plan_step steps[] = {{.kind = PLAN_POINTER, .type = 1},
						 {.kind = PLAN_POINTER, .offset = 8, .type = 1}};
	begin();
	uint32_t type = add_type("pair", 16, steps, 2);
	for (unsigned i = 0; i < FAKE_SIZE / 8; i++)
		fake_put(&memory, 8 * i, 0x100000 + i);
	memory.holes[1] = memory.holes[3] = true;
	for (unsigned i = 0; i < 6; i++) {
		lens_entry(lens, type)->plain = i & 1; // read in a row or word by word
		memory.window = FAKE_PAGE >> i;
		CHECK_EQUAL(walk(type, 8, 5 * FAKE_PAGE, 0, false), 2 * FAKE_PAGE);
		CHECK_EQUAL(list.count, 3 * FAKE_PAGE / 8);
		check_reference(0, 0, 0x100001, 0);
		check_reference(250, 2000, 0x100001 + 250, 0);
		check_reference(600, 8 * 600 + FAKE_PAGE, 0x100001 + 600 + FAKE_PAGE / 8, 0);
	}
	memory.window = FAKE_PAGE;
	CHECK_EQUAL(walk(LENS_TYPE_NONE, 0, 5 * FAKE_PAGE, 0, false), 2 * FAKE_PAGE);
	CHECK_EQUAL(list.count, 3 * FAKE_PAGE / 8);
	check_reference(FAKE_PAGE / 8, 2 * FAKE_PAGE, 0x100000 + 2 * FAKE_PAGE / 8, 0);
	// What is behind the end of memory.
	CHECK_EQUAL(walk(type, FAKE_SIZE - 16, 64, 0, false), 48);
	CHECK_EQUAL(list.count, 2);
	// A size that nobody has, and one that wraps: no more than is there, in no time.
	walk(LENS_TYPE_NONE, FAKE_SIZE - 16, UINT64_C(1) << 30, 0, false);
	CHECK_EQUAL(list.count, 2);
	walk(LENS_TYPE_NONE, 0, UINT64_MAX - 16, 0, false);
	CHECK_EQUAL(list.count, 0);
}

static void tags(void)
{
	static const struct plan_step steps[] = {
		{.kind = PLAN_POINTER, .type = 1, .mask = 7},
		{.kind = PLAN_CODE, .offset = 8},
	};
	begin();
	uint32_t type = add_type("tagged", 16, steps, 2);
	fake_put(&memory, 0, 0x100003);
	fake_put(&memory, 8, 17); // an entry of a virtual table
	walk(type, 0, 16, 0, false);
	CHECK_EQUAL(list.count, 1);
	check_reference(0, 0, 0x100000, 0);
	CHECK(list.items[0].tagged);
	fake_put(&memory, 0, 5); // no address without its tag, either
	fake_put(&memory, 8, 0x401001);
	walk(type, 0, 16, 0, false);
	check_reference(0, 0, 5, 0);
	check_reference(1, 8, 0x401001, 0);
	CHECK(!list.items[0].tagged && list.items[1].code);
}

/** Visits the first three words at the address that the object holds, twice. */
static void visit_words(const struct lens *of, const struct lens_memory *target,
			const struct plan_step *step, uint64_t address, const uint8_t *bytes,
			uint64_t size_bytes,
			bool (*visit)(void *context, const struct lens_reference *reference),
			void *context)
{
	uint64_t at, word;
	size_t available;
	CHECK(of == lens && bytes && step->data == &list && size_bytes >= 8);
	memcpy(&at, bytes, 8);
	for (unsigned i = 0; i < 3; i++) {
		const uint8_t *there = target->at(target->reader, at + 8 * i, &available);
		CHECK(there != NULL && available >= 8);
		memcpy(&word, there, 8);
		struct lens_reference reference = {.target = word, .outside = true};
		visit(context, &reference);
	}
}

static void calls(void)
{
	static const struct plan_step steps[] = {
		{.kind = PLAN_CALL, .call = visit_words, .data = &list},
		{.kind = PLAN_POINTER, .offset = 8, .type = 1}};
	begin();
	uint32_t type = add_type("called", 16, steps, 2);
	fake_put(&memory, 0, FAKE_START + 0x800);
	fake_put(&memory, 8, 0x300000);
	for (unsigned i = 0; i < 3; i++)
		fake_put(&memory, 0x800 + 8 * i, 0x100000 + i);
	walk(type, 0, 16, 0, false);
	CHECK_EQUAL(list.count, 4);
	check_reference(2, 0, 0x100002, 0);
	check_reference(3, 8, 0x300000, 0);
	list.limit = 2; // a visitor that stops is not called again, whatever the call does
	walk(type, 0, 16, 0, false);
	CHECK_EQUAL(list.count, 2);
}

static void wild_bases(void)
{
	static const struct plan_step steps[] = {{.kind = PLAN_BASE, .a = 24, .span = 1},
						 {.kind = PLAN_POINTER, .offset = 8, .type = 1}};
	static const uint64_t offsets[] = {16, 0, 40, UINT64_MAX - 8, UINT64_C(1) << 62};
	static const size_t counts_there[] = {1, 1, 0, 0, 0};
	begin();
	uint32_t type = add_type("derived", 40, steps, 2);
	fake_put(&memory, 0, FAKE_START + 0x1000);
	fake_put(&memory, 8, 0x100008);
	fake_put(&memory, 24, 0x100024);
	for (unsigned i = 0; i < 5; i++) {
		fake_put(&memory, 0x1000 - 24, offsets[i]);
		walk(type, 0, 40, 0, true);
		CHECK_EQUAL(list.count, counts_there[i]);
		if (i < 2)
			check_reference(0, offsets[i] + 8, i == 0 ? 0x100024 : 0x100008, 0);
	}
	fake_put(&memory, 0, 8); // no virtual table
	walk(type, 0, 40, 0, true);
	CHECK_EQUAL(list.count, 0);
}

// Random plans.

static uint64_t state = 1;

static uint64_t random_below(uint64_t limit)
{
	state = state * UINT64_C(6364136223846793005) + 1442695040888963407;
	return (state >> 33) % limit;
}

static size_t make_steps(struct plan_step *steps, size_t room, unsigned depth)
{
	size_t count = 0;
	while (count < room && random_below(5) > 0) {
		struct plan_step *step = &steps[count++];
		*step = (struct plan_step){.kind = (uint8_t)random_below(PLAN_CALL),
					   .offset = (uint32_t)random_below(12) * 4,
					   .type = (uint32_t)random_below(2),
					   .maybe = random_below(2),
					   .self = random_below(2),
					   .count_kind = (uint8_t)random_below(2),
					   .width = (uint8_t)random_below(9),
					   .mask = random_below(2) ? 7 : 0,
					   .stride = (uint32_t)random_below(3) * 8,
					   .a = random_below(5),
					   .b = 1 + random_below(5) * 8};
		if (step->kind == PLAN_SCAN || step->kind == PLAN_BASE)
			step->a = random_below(40);
		if (step->kind == PLAN_IF)
			step->b = step->a + random_below(100);
		if (step->kind == PLAN_REPEAT || step->kind == PLAN_FLEXIBLE ||
		    step->kind == PLAN_IF || step->kind == PLAN_BASE) {
			if (depth < 4)
				step->span =
					(uint32_t)make_steps(step + 1, room - count, depth + 1);
			if (step->span == 0)
				step->kind = PLAN_POINTER;
			count += step->span;
		}
	}
	return count;
}

/** The object as the simple interpreter sees it. */
struct simple {
	uint64_t offset, size, limit; // in memory.bytes
	bool precise;
};

static bool simple_read(const struct simple *object, uint64_t offset, unsigned width, uint64_t *ret)
{
	*ret = 0;
	if (width == 0 || width > 8)
		return false;
	for (unsigned i = 0; i < width; i++) {
		if (offset + i >= object->size || object->offset + offset + i >= FAKE_SIZE ||
		    memory.holes[(object->offset + offset + i) / FAKE_PAGE])
			return false;
		*ret |= (uint64_t)memory.bytes[object->offset + offset + i] << 8 * i;
	}
	return true;
}

static bool plausible(uint64_t word)
{
	return word >= 4096 && word < UINT64_C(1) << 47;
}

static void simple_scan(const struct simple *object, uint64_t from, uint64_t to, bool maybe)
{
	uint64_t word;
	for (uint64_t at = from; at + 8 <= to && at + 8 <= object->size; at++)
		if ((FAKE_START + object->offset + at) % 8 == 0 &&
		    simple_read(object, at, 8, &word) && plausible(word))
			fake_visit(&expected, &(struct lens_reference){.offset = at,
								       .target = word,
								       .guessed = true,
								       .maybe = maybe});
}

static uint64_t simple_count(const struct simple *object, const struct plan_step *step,
			     uint64_t base, uint64_t word)
{
	uint64_t value, stride = step->stride ? step->stride : 1;
	if (step->count_kind == PLAN_COUNT_INTEGER) {
		if (!simple_read(object, base + step->b, step->width, &value))
			return 0;
	} else if (!simple_read(object, base + step->b, 8, &value) || value < word ||
		   (value - word) % stride) {
		return 0;
	} else {
		value = (value - word) / stride;
	}
	return value == 0 ? LENS_COUNT_NONE : value > PLAN_ELEMENT_LIMIT ? 0 : value;
}

static void simple_word(const struct simple *object, const struct plan_step *step, uint64_t base)
{
	uint64_t word, at = base + step->offset;
	if (!simple_read(object, at, 8, &word) || word == 0)
		return;
	struct lens_reference reference = {.offset = at, .target = word, .maybe = step->maybe};
	if (step->kind == PLAN_CODE) {
		reference.code = true;
		if (word >= 4096)
			fake_visit(&expected, &reference);
		return;
	}
	reference.type = step->type;
	reference.evidence = step->type ? EVIDENCE_POINTER : EVIDENCE_NONE;
	if (step->kind == PLAN_COUNTED) {
		reference.count = simple_count(object, step, base, word);
	} else if (word & step->mask && plausible(word & ~step->mask)) {
		reference.target &= ~step->mask;
		reference.tagged = true;
	}
	uint64_t own = reference.target - FAKE_START - object->offset;
	if (!step->self || own >= object->size)
		fake_visit(&expected, &reference);
}

static void simple_run(const struct simple *object, const struct plan_step *steps, size_t count,
		       uint64_t base)
{
	for (size_t i = 0; i < count; i += 1 + steps[i].span) {
		const struct plan_step *step = &steps[i];
		uint64_t word, at = base + step->offset, stride = step->b ? step->b : 1;
		switch (step->kind) {
		case PLAN_REPEAT:
			for (uint64_t n = 0; n < step->a && at < object->size; n++, at += stride)
				simple_run(object, step + 1, step->span, at);
			break;
		case PLAN_FLEXIBLE:
			for (; at + stride <= object->limit; at += stride)
				simple_run(object, step + 1, step->span, at);
			break;
		case PLAN_IF:
			if (simple_read(object, at, step->width, &word) &&
			    (word & step->mask) >= step->a && (word & step->mask) <= step->b)
				simple_run(object, step + 1, step->span, base);
			break;
		case PLAN_BASE: {
			struct simple all = {.size = FAKE_SIZE};
			if (simple_read(object, at, 8, &word) && plausible(word - step->a) &&
			    simple_read(&all, word - step->a - FAKE_START, 8, &word) &&
			    at + word < object->size)
				simple_run(object, step + 1, step->span, at + word);
			break;
		}
		case PLAN_SCAN:
			if (!object->precise && at < object->size)
				simple_scan(object, at,
					    at + step->a < object->limit ? at + step->a
									 : object->limit,
					    step->maybe);
			break;
		default:
			simple_word(object, step, base);
			break;
		}
	}
}

static void simple_walk(uint32_t type, uint64_t offset, uint64_t size, uint64_t count, bool precise)
{
	const struct lens_entry *entry = lens_entry(lens, type);
	struct simple object = {.offset = offset, .size = size, .precise = precise};
	uint64_t each = entry->type.size_bytes, fit = each < size ? size / each : 1;
	count = count == 0 || count > fit ? fit : count;
	for (uint64_t i = 0; i < count; i++) {
		object.limit = (i + 1) * each < size ? (i + 1) * each : size;
		simple_run(&object, entry->plan.steps, entry->plan.step_count, i * each);
	}
	if (!precise && count * each + 15 < size) // less is the allocator's rounding
		simple_scan(&object, count * each, size, false);
}

static void fill_memory(void)
{
	for (unsigned i = 0; i < FAKE_SIZE / 4; i++) {
		uint64_t word =
			random_below(4) ? random_below(12) : FAKE_START + random_below(FAKE_SIZE);
		memcpy(memory.bytes + 4 * i, &word, 4);
		if (i % 2)
			memset(memory.bytes + 4 * i, random_below(8) ? 0 : 1, 4);
	}
	for (unsigned i = 0; i < FAKE_SIZE / FAKE_PAGE; i++)
		memory.holes[i] = random_below(6) == 0;
	memory.window = 1u << random_below(13);
}

static void random_plans(void)
{
	static struct plan_step steps[60];
	size_t total = 0;
	for (unsigned round = 0; round < 30000; round++) {
		if (round % 64 == 0) {
			begin();
			fill_memory();
		}
		char name[16];
		snprintf(name, sizeof(name), "t%u", round);
		size_t step_count = make_steps(steps, 40, 0);
		uint32_t type = add_type(name, 1 + random_below(80), steps, step_count);
		bool precise = random_below(2);
		uint64_t offset = random_below(FAKE_SIZE / 4) * 4, size = 1 + random_below(600);
		uint64_t count = random_below(3);
		expected.count = 0;
		simple_walk(type, offset, size, count, precise);
		walk(type, offset, size, count, precise);
		total += list.count;
		CHECK_EQUAL(list.count, expected.count);
		for (size_t i = 0; i < list.count && i < 20000; i++) {
			const struct lens_reference *a = &list.items[i], *b = &expected.items[i];
			CHECK(a->offset == b->offset && a->target == b->target &&
			      a->type == b->type && a->count == b->count && a->maybe == b->maybe &&
			      a->guessed == b->guessed && a->code == b->code &&
			      a->tagged == b->tagged && a->evidence == b->evidence);
		}
	}
	CHECK(total > 100000);
}

static void build_many(struct plan_builder *builder, const void *data)
{
	for (uint32_t i = 0; i < PLAN_STEP_LIMIT + 5; i++)
		plan_add(builder,
			 &(struct plan_step){.kind = PLAN_POINTER, .offset = 8 * i, .type = 1});
}

static void build_deep(struct plan_builder *builder, const void *data)
{
	size_t numbers[PLAN_NESTING_LIMIT + 5];
	for (unsigned i = 0; i < PLAN_NESTING_LIMIT + 5; i++)
		numbers[i] =
			plan_add(builder, &(struct plan_step){.kind = PLAN_REPEAT, .a = 2, .b = 8});
	for (unsigned i = PLAN_NESTING_LIMIT + 5; i-- > 0;)
		plan_end(builder, numbers[i]);
}

static void build_nothing(struct plan_builder *builder, const void *data)
{
	size_t number = plan_add(builder, &(struct plan_step){.kind = PLAN_REPEAT, .a = 9, .b = 8});
	plan_end(builder, number);
	*(void **)(uintptr_t)data = plan_memory(builder, 100);
}

static void build_types(struct plan_builder *builder, const void *data)
{
	static const void *kept;
	CHECK(plan_lens(builder) == lens);
	plan_own_type(builder, "many", 8 * PLAN_STEP_LIMIT + 80, build_many, NULL);
	plan_own_type(builder, "deep", 8, build_deep, NULL);
	uint32_t nothing = plan_own_type(builder, "nothing", 8, build_nothing, &kept);
	CHECK_EQUAL(plan_own_type(builder, "nothing", 8, build_nothing, &kept), nothing);
}

static void limits(void)
{
	begin();
	struct lens_entry *entry = lens_add(lens, "first", 1);
	entry->build = build_types;
	entry->type.size_bytes = 8;
	CHECK_OK(lens_compile(lens));
	CHECK_EQUAL(lens_type_count(lens), 4);
	CHECK(lens_type(lens, 1)->plan->leaf);
	const struct plan *many = lens_type(lens, 2)->plan, *deep = lens_type(lens, 3)->plan;
	// What is not told by steps is scanned.
	CHECK_EQUAL(many->step_count, 1);
	CHECK_EQUAL(many->steps[0].kind, PLAN_SCAN);
	CHECK_EQUAL(many->steps[0].a, 8 * PLAN_STEP_LIMIT + 80);
	CHECK_EQUAL(deep->step_count, 1);
	CHECK_EQUAL(deep->steps[0].kind, PLAN_SCAN);
	CHECK(lens_type(lens, 4)->plan->leaf);
	CHECK(lens_type(lens, 5) == NULL && lens_type(lens, 0) == NULL);
	CHECK_STRING(lens_type(lens, 3)->name, "deep");
	lens = lens_free(lens);
}

/** What another language would add: lists whose words are objects of a kind that they tell themselves. */
struct kind {
	uint64_t tag;
	uint32_t type;
};

static void visit_kinds(const struct lens *of, const struct lens_memory *target,
			const struct plan_step *step, uint64_t address, const uint8_t *bytes,
			uint64_t size_bytes,
			bool (*visit)(void *context, const struct lens_reference *reference),
			void *context)
{
	const struct kind *kinds = step->data;
	for (uint64_t at = 0; at + 8 <= size_bytes && bytes; at += 8) {
		struct lens_reference reference = {.offset = at, .evidence = EVIDENCE_POINTER};
		memcpy(&reference.target, bytes + at, 8);
		for (unsigned i = 0; i < 2; i++)
			if (reference.target >> 60 == kinds[i].tag)
				reference.type = kinds[i].type;
		if (reference.type && !visit(context, &reference))
			return;
	}
}

static void build_list(struct plan_builder *builder, const void *data)
{
	plan_add(builder,
		 &(struct plan_step){.kind = PLAN_CALL, .call = visit_kinds, .data = data});
}

static void name_item(struct lens *of, const void *data, uint64_t offset, struct text *ret)
{
	text_printf(ret, "[item %u]", (unsigned)offset / 8);
}

static void other_languages(void)
{
	static struct kind kinds[2] = {{1}, {2}};
	static void *kept;
	begin();
	const struct lens_own_type text = {
		.name = "str", .language = "Python", .build = build_nothing, .data = &kept};
	const struct lens_own_type all = {.name = "list",
					  .language = "Python",
					  .build = build_list,
					  .place_name = name_item,
					  .data = kinds};
	kinds[0].type = lens_own_type(lens, &text);
	kinds[1].type = lens_own_type(lens, &all);
	CHECK(kinds[0].type && kinds[1].type && lens_own_type(lens, &all) == kinds[1].type);
	CHECK_OK(lens_compile(lens));
	CHECK_STRING(lens_type(lens, kinds[1].type)->language, "Python");
	fake_put(&memory, 0, UINT64_C(1) << 60);
	fake_put(&memory, 8, UINT64_C(3) << 60);
	fake_put(&memory, 16, UINT64_C(2) << 60);
	walk(kinds[1].type, 0, 24, 0, true);
	CHECK_EQUAL(list.count, 2);
	CHECK_EQUAL(list.items[0].type, kinds[0].type);
	check_reference(1, 16, UINT64_C(2) << 60, 0);
	struct text name cleanup_text = {0};
	lens_place_name(lens, kinds[1].type, 0, 16, &name);
	lens_place_name(lens, kinds[0].type, 0, 16, &name);
	CHECK_STRING(text_string(&name), "[item 2]+0x10");
	lens = lens_free(lens);
}

CHECK_MAIN({"counts come from an end or an integer", counts},
	   {"steps under a condition, repeated", conditions},
	   {"elements by count or by size, and words behind them", elements},
	   {"what cannot be read is skipped and counted", holes},
	   {"tags come off, small numbers stay", tags},
	   {"a call reads elsewhere and is stopped", calls},
	   {"virtual bases where there can be none", wild_bases},
	   {"random plans tell what the simplest interpreter tells", random_plans},
	   {"a lens's own types, and plans past their limits", limits},
	   {"types of another language", other_languages})
