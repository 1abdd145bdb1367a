// SPDX-License-Identifier: Apache-2.0
// CPUs' streams are cut where a thread went off and another came on: each thread has what it has when it is traced alone.

#include <inttypes.h>

#include "bundle/bundle.h"
#include "check.h"
#include "fixture.h"

static const char *path_of(const char *name)
{
	static char path[512];
	snprintf(path, sizeof(path), "%s/%s", TRACES, name);
	return path;
}

static void open_bundle(const char *name, struct trace_source *ret)
{
	struct pt_input input;
	CHECK_OK(bundle_open(path_of(name), NULL, &input));
	CHECK_OK(pt_source_open(&input, ret));
}

/** A thread's addresses, each with the clock of its cut. */
struct timed {
	uint64_t clock, order, address;
};

static int compare_times(const void *a, const void *b)
{
	const struct timed *x = a, *y = b;
	if (x->clock != y->clock)
		return x->clock < y->clock ? -1 : 1;
	return x->order < y->order ? -1 : x->order > y->order;
}

struct history {
	ARRAY(struct timed) instructions;
};

static void add_window(struct history histories[2], const struct window *window,
		       const struct code_map *map)
{
	size_t cut = 0;
	for (size_t i = 0; i < window->parts.count; i++) {
		const struct window_part *part = &window->parts.items[i];
		uint32_t end =
			i + 1 < window->parts.count ? part[1].first_item : window->item_count;
		while (cut + 1 < window->cuts.count &&
		       window->cuts.items[cut + 1].first_item <= part->first_item)
			cut++;
		const struct window_cut *at = &window->cuts.items[cut];
		if (part->what & WINDOW_NOTE || at->thread >= 2)
			continue;
		const struct code_stretch *stretch = code_map_stretch(map, part->what);
		struct history *history = &histories[at->thread];
		for (uint32_t n = 0; n < end - part->first_item; n++) {
			struct timed timed = {at->clock, history->instructions.count,
					      code_map_address(map, stretch, n)};
			CHECK(array_push(&history->instructions, timed));
		}
	}
}

static void read_histories(const struct trace_source *source, struct history histories[2])
{
	static const struct source_want want = {.enough = UINT32_MAX};
	struct window window;
	window_init(&window);
	for (size_t stream = 0; stream < source->ops->stream_count(source->context); stream++) {
		struct code_map *map = NULL;
		void *decoder = NULL;
		CHECK_OK(source->ops->decoder_new(source->context, &decoder, &map));
		uint64_t count = source->ops->block_count(source->context, stream);
		// Any order will do.
		for (uint64_t block = count; block-- > 0;) {
			CHECK_OK(source->ops->decode(decoder, stream, block, &want, &window));
			window_check(&window);
			add_window(histories, &window, map);
		}
		source->ops->decoder_free(decoder);
	}
	window_fini(&window);
	for (unsigned i = 0; i < 2; i++)
		qsort(histories[i].instructions.items, histories[i].instructions.count,
		      sizeof(struct timed), compare_times);
}

static void check_bundle(const char *name)
{
	static const size_t counts[] = {306791, 306129};
	struct history histories[2] = {{{0}}};
	struct trace_source cpus, alone;
	open_bundle(name, &cpus);
	open_bundle("threads2/trace.json", &alone);
	read_histories(&cpus, histories);
	for (unsigned i = 0; i < 2; i++) {
		struct items items = {0};
		struct source_thread thread;
		size_t at = 0;
		cpus.ops->thread(cpus.context, i, &thread);
		CHECK_EQUAL(thread.tid, 5001 + i);
		CHECK_EQUAL(histories[i].instructions.count, counts[i]);
		items_read(&items, &alone, i);
		for (size_t n = 0; n < items.items.count; n++)
			if (items.items.items[n].kind == STROBE_ITEM_INSTRUCTION)
				CHECK_EQUAL(histories[i].instructions.items[at++].address,
					    items.items.items[n].address);
		items_fini(&items);
		array_fini(&histories[i].instructions);
	}
	cpus.ops->close(cpus.context);
	alone.ops->close(alone.context);
}

static void test_threads(void)
{
	check_bundle("mcpu/trace.json");
	check_bundle("mcpu/trace_missing_threads.json");
}

static void test_kernel(void)
{
	static const size_t counts[] = {316129, 296791};
	struct trace_source source;
	open_bundle("mcpu/trace_kernel.json", &source);
	for (unsigned i = 0; i < 2; i++) {
		struct items items = {0};
		uint32_t thread = 9;
		items_read(&items, &source, i);
		struct items slow = {0};
		items_read_slowly(&slow, &source, i);
		CHECK(items_equal(&items, &slow));
		items_fini(&slow);
		CHECK_EQUAL(items.instructions, counts[i]);
		CHECK_EQUAL(items.errors, 0);
		CHECK(source.ops->stream_thread(source.context, i, &thread));
		CHECK_EQUAL(thread, i);
		items_fini(&items);
	}
	source.ops->close(source.context);
}

CHECK_MAIN({"each thread has all of its instructions, in order", test_threads},
	   {"in a kernel trace each CPU has its own", test_kernel}, )
