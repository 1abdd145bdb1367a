// SPDX-License-Identifier: Apache-2.0
// Blocks too large for one window, and streams that grow.

#include "check.h"
#include "fixture.h"
#include "generator.h"

enum { LONG = 700000, GROWING = 60000, STEPS = 23 };

static struct program program;
static struct walk walk;

/** A walk of `count` instructions; a PSB every `psb_bytes`. */
static const uint8_t *walk_far(unsigned count, uint32_t psb_bytes, size_t *size)
{
	const struct walk_options options = {.seed = 7,
					     .follow_returns = 100,
					     .timed = true,
					     .clock = 1000000,
					     .clock_step = 1,
					     .writer.psb_bytes = psb_bytes};
	program_make(&program, 11, 0x400000, 300, &program_mix_usual);
	walk_begin(&walk, &program, &options);
	walk_enable(&walk);
	walk_run(&walk, count);
	return walk_end(&walk, size);
}

static void forget(void)
{
	walk_done(&walk);
	program_fini(&program);
}

static void check_instructions(const struct items *items)
{
	size_t at = 0;
	for (size_t i = 0; i < walk.items.count; i++) {
		const struct expected_item *expected = &walk.items.items[i];
		if (expected->is_event || expected->is_error)
			continue;
		while (at < items->items.count &&
		       items->items.items[at].kind != STROBE_ITEM_INSTRUCTION)
			at++;
		CHECK(at < items->items.count);
		CHECK_EQUAL(items->items.items[at++].address, expected->address);
	}
	CHECK_EQUAL(items->errors, 0);
}

static void test_parts(void)
{
	size_t size = 0;
	const uint8_t *bytes = walk_far(LONG, 1u << 30, &size);
	struct trace_source source;
	struct pt_input input;
	struct items items = {0}, part = {0};
	struct window window;
	struct code_map *map = NULL;
	void *decoder = NULL;
	input_make(&input, program.base, program.code.items, program.code.count);
	input_add_thread(&input, 1, bytes, size, 0);
	CHECK_OK(pt_source_open(&input, &source));
	CHECK_EQUAL(source.ops->block_count(source.context, 0), 1);
	items_read(&items, &source, 0);
	check_instructions(&items);
	// A part that is asked for at once is what it was when they came in a row.
	window_init(&window);
	CHECK_OK(source.ops->decoder_new(source.context, &decoder, &map));
	struct source_want want = {.part = 1, .enough = UINT32_MAX};
	CHECK_OK(source.ops->decode(decoder, 0, 0, &want, &window));
	items_add(&part, &window, map);
	CHECK(window.parts.count <= WINDOW_MAX_PARTS);
	size_t first = 0;
	want.part = 0;
	CHECK_OK(source.ops->decode(decoder, 0, 0, &want, &window));
	CHECK(window.more && window.complete);
	first = window.item_count;
	for (size_t i = 0; i < part.items.count; i++)
		CHECK_EQUAL(part.items.items[i].address, items.items.items[first + i].address);
	want.part = 1000;
	CHECK_OK(source.ops->decode(decoder, 0, 0, &want, &window));
	CHECK(window.item_count == 0 && !window.more && window.complete);
	source.ops->decoder_free(decoder);
	source.ops->close(source.context);
	window_fini(&window);
	items_fini(&items);
	items_fini(&part);
	forget();
}

/** Bytes that come by and by. */
struct growth {
	const uint8_t *bytes;
	size_t size, given;
};

static struct strobe_error *grow(void *context, struct pt_input *input, bool *ret_grew)
{
	struct growth *growth = context;
	struct pt_stream *stream = &input->streams.items[0];
	size_t more = growth->size / STEPS;
	if (more > growth->size - growth->given || growth->size - growth->given < 2 * more)
		more = growth->size - growth->given;
	struct pt_piece piece = {.data = growth->bytes + growth->given, .size = more};
	if (!array_push(&stream->pieces, piece))
		abort();
	growth->given += more;
	stream->finished = input->finished = growth->given == growth->size;
	*ret_grew = more > 0;
	return NULL;
}

static void test_growth(void)
{
	struct growth growth = {0};
	struct trace_source source;
	struct pt_input input;
	struct items before = {0}, after = {0};
	growth.bytes = walk_far(GROWING, 256, &growth.size);
	input_make(&input, program.base, program.code.items, program.code.count);
	input_add_thread(&input, 1, growth.bytes, 0, 0);
	input.finished = input.streams.items[0].finished = false;
	input.refresh = grow;
	input.context = &growth;
	CHECK_OK(pt_source_open(&input, &source));
	CHECK_EQUAL(source.ops->block_count(source.context, 0), 0);
	struct source_info first, info;
	source.ops->info(source.context, &first);
	for (unsigned i = 0; i < STEPS + 2; i++) {
		bool grew = false;
		CHECK_OK(source.ops->refresh(source.context, &grew));
		items_read(&after, &source, 0);
		// What was there is as it was; new items are behind it.
		CHECK(after.items.count >= before.items.count);
		size_t all = after.items.count;
		after.items.count = before.items.count;
		CHECK(items_equal(&before, &after));
		after.items.count = all;
		CHECK_EQUAL(after.errors, 0);
		items_fini(&before);
		before = after;
		memset(&after, 0, sizeof(after));
		source.ops->info(source.context, &info);
	}
	CHECK(info.finished && !first.finished);
	CHECK_EQUAL(info.raw_bytes, growth.size);
	check_instructions(&before);
	source.ops->close(source.context);
	items_fini(&before);
	forget();
}

static void test_sideband(void)
{
	enum { EVENTS = 200 };
	size_t size = 0;
	const uint8_t *bytes = walk_far(GROWING, 256, &size);
	struct trace_source source;
	struct pt_input input;
	struct items items = {0};
	input_make(&input, program.base, program.code.items, program.code.count);
	input_add_thread(&input, 1, bytes, size, 0);
	for (uint64_t i = 0; i < EVENTS; i++) {
		struct pt_sideband_event event = {
			.clock = 1000000 + i * (GROWING + 5000) / EVENTS,
			.tid = i % 3   ? -1
			       : i % 2 ? 1
				       : 2,
			.cpu = -1,
			.note = {.type = STROBE_EVENT_EXEC, .value = i},
		};
		CHECK(array_push(&input.events, event));
	}
	CHECK_OK(pt_source_open(&input, &source));
	CHECK(source.ops->block_count(source.context, 0) > 3);
	items_read(&items, &source, 0);
	check_instructions(&items);
	// Each once, in order, and not before its time.
	uint64_t next = 0, last = 0;
	for (size_t i = 0; i < items.items.count; i++) {
		const struct item *item = &items.items.items[i];
		if (item->kind == STROBE_ITEM_EVENT && item->note.type == STROBE_EVENT_EXEC) {
			while (next % 3 == 0 && next % 2 == 0)
				next++;
			CHECK_EQUAL(item->note.value, next);
			CHECK(last <= 1000000 + next * (GROWING + 5000) / EVENTS);
			next++;
		}
		last = item->clock;
	}
	CHECK_EQUAL(next, EVENTS);
	source.ops->close(source.context);
	items_fini(&items);
	forget();
}

CHECK_MAIN({"events of the sideband come in their time", test_sideband},
	   {"a block too large for a window goes on in the next ones", test_parts},
	   {"a stream grows, and what was there stays", test_growth}, )
