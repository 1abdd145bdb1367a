// SPDX-License-Identifier: Apache-2.0
#include "fake_source.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "code/code_map.h"

enum { CODE_BASE = 0x400000, MAX_STRETCH = 12, MAX_NOPS = 9, TICKS = 40 };

static const uint8_t nops[MAX_NOPS][MAX_NOPS] = {
	{0x90},
	{0x66, 0x90},
	{0x0f, 0x1f, 0x00},
	{0x0f, 0x1f, 0x40, 0x00},
	{0x0f, 0x1f, 0x44, 0x00, 0x00},
	{0x66, 0x0f, 0x1f, 0x44, 0x00, 0x00},
	{0x0f, 0x1f, 0x80, 0x00, 0x00, 0x00, 0x00},
	{0x0f, 0x1f, 0x84, 0x00, 0x00, 0x00, 0x00, 0x00},
	{0x66, 0x0f, 0x1f, 0x84, 0x00, 0x00, 0x00, 0x00, 0x00},
};
static const struct fake_branch {
	uint8_t size, bytes[6];
	enum strobe_flow flow;
} branches[] = {
	{5, {0xe9, 0, 0, 0, 0}, STROBE_FLOW_JUMP},
	{5, {0xe8, 0, 0, 0, 0}, STROBE_FLOW_CALL},
	{1, {0xc3}, STROBE_FLOW_RETURN},
	{6, {0x0f, 0x84, 0, 0, 0, 0}, STROBE_FLOW_COND_JUMP},
	{2, {0x0f, 0x05}, STROBE_FLOW_FAR_CALL},
	{2, {0xff, 0xe0}, STROBE_FLOW_JUMP},
	{2, {0xff, 0xd0}, STROBE_FLOW_CALL},
};
enum { BRANCHES = sizeof(branches) / sizeof(branches[0]) };

/** A stretch of the made-up program. */
struct stretch {
	uint64_t address;
	uint8_t lengths[MAX_STRETCH];
	uint32_t count;
	enum strobe_flow flow;
};

enum what { RUN, NOTE, CLOCK, CUT };
struct element {
	enum what what;
	uint32_t stretch, count; // RUN
	struct window_note note; // NOTE
	uint64_t value;		 // CLOCK, CUT
	uint32_t thread;	 // CUT
	uint64_t order;		 // CUT: among all of the trace
};

struct script_window {
	ARRAY(struct element) elements;
	int cpu;
};
struct script_block {
	ARRAY(struct script_window) windows;
};
struct script_stream {
	ARRAY(struct script_block) blocks;
	uint32_t thread; // that runs now
	uint64_t clock;
};

struct fake {
	struct fake_options options;
	uint64_t random;
	uint8_t fingerprint;
	const char *path;
	uint8_t *code;
	size_t code_size, code_capacity;
	ARRAY(struct stretch) stretches;
	ARRAY(struct script_stream) streams;
	uint64_t order, clock;
	unsigned visible, next_visible;
	unsigned open_count;
	atomic_ulong decoded, fail_at;
};

static uint64_t draw(struct fake *fake, uint64_t below)
{
	fake->random ^= fake->random << 13;
	fake->random ^= fake->random >> 7;
	fake->random ^= fake->random << 17;
	return below ? (fake->random >> 11) % below : 0;
}

static void need(bool done)
{
	if (!done)
		abort();
}

static void put_code(struct fake *fake, const uint8_t *bytes, size_t size)
{
	while (fake->code_size + size > fake->code_capacity) {
		fake->code_capacity = fake->code_capacity ? fake->code_capacity * 2 : 4096;
		need((fake->code = realloc(fake->code, fake->code_capacity)) != NULL);
	}
	memcpy(fake->code + fake->code_size, bytes, size);
	fake->code_size += size;
}

static void make_stretch(struct fake *fake)
{
	struct stretch stretch = {.address = CODE_BASE + fake->code_size,
				  .count = (uint32_t)draw(fake, MAX_STRETCH) + 1};
	for (uint32_t i = 0; i + 1 < stretch.count; i++) {
		stretch.lengths[i] = (uint8_t)(draw(fake, MAX_NOPS) + 1);
		put_code(fake, nops[stretch.lengths[i] - 1], stretch.lengths[i]);
	}
	const struct fake_branch *branch = &branches[draw(fake, BRANCHES)];
	stretch.lengths[stretch.count - 1] = branch->size;
	stretch.flow = branch->flow;
	put_code(fake, branch->bytes, branch->size);
	need(array_push(&fake->stretches, stretch));
}

static uint64_t tick(struct fake *fake)
{
	fake->clock += draw(fake, TICKS) + 1;
	if (fake->options.falling_clocks && draw(fake, 8) == 0)
		return fake->clock - draw(fake, fake->clock / 2);
	return fake->clock;
}

static struct element make_note(struct fake *fake)
{
	static const char *const errors[] = {"no memory mapped at this address: 0x1234",
					     "no memory mapped at this address: 0x99",
					     "overflow: packets were lost", "plain"};
	static const uint8_t types[] = {STROBE_EVENT_DISABLED_SOFTWARE, STROBE_EVENT_CLOCK_TICK,
					STROBE_EVENT_SYNC_POINT, STROBE_EVENT_ENABLED,
					STROBE_EVENT_PTWRITE};
	struct element element = {.what = NOTE};
	if (draw(fake, 4) == 0) {
		element.note.is_error = true;
		element.note.text = errors[draw(fake, 4)];
	} else {
		element.note.type = types[draw(fake, sizeof(types))];
		element.note.value = draw(fake, 1 << 20);
	}
	return element;
}

static struct element make_element(struct fake *fake)
{
	uint64_t kind = draw(fake, 16);
	if (kind == 0 && !fake->options.no_notes)
		return make_note(fake);
	if (kind == 1 && !fake->options.no_clocks)
		return (struct element){.what = CLOCK, .value = tick(fake)};
	struct element run = {.what = RUN, .stretch = (uint32_t)draw(fake, fake->stretches.count)};
	uint32_t count = fake->stretches.items[run.stretch].count;
	run.count = draw(fake, 10) == 0 ? (uint32_t)draw(fake, count) + 1 : count;
	return run;
}

static struct element make_cut(struct fake *fake, uint32_t thread, uint64_t clock)
{
	return (struct element){
		.what = CUT, .thread = thread, .value = clock, .order = fake->order++};
}

static struct script_window *last_window(struct script_stream *stream)
{
	struct script_block *block = &stream->blocks.items[stream->blocks.count - 1];
	return &block->windows.items[block->windows.count - 1];
}

static void begin_window(struct fake *fake, uint32_t index, bool block)
{
	struct script_stream *stream = &fake->streams.items[index];
	struct script_window window = {.cpu = fake->options.per_cpu ? (int)index : -1};
	if (block)
		need(array_push(&stream->blocks, (struct script_block){0}));
	bool date = !fake->options.no_clocks && draw(fake, 2);
	uint64_t clock = date ? tick(fake) : 0;
	need(array_push(&window.elements, make_cut(fake, stream->thread, clock)));
	struct script_block *last = &stream->blocks.items[stream->blocks.count - 1];
	need(array_push(&last->windows, window));
}

static bool is_running(const struct fake *fake, uint32_t thread)
{
	for (size_t i = 0; i < fake->streams.count; i++)
		if (fake->streams.items[i].thread == thread)
			return true;
	return false;
}

/** Another thread, or none, runs on a CPU. */
static void reschedule(struct fake *fake, struct script_stream *stream)
{
	uint32_t thread = (uint32_t)draw(fake, fake->options.threads);
	stream->thread = is_running(fake, thread) ? WINDOW_NOBODY : thread;
	need(array_push(&last_window(stream)->elements,
			make_cut(fake, stream->thread, tick(fake))));
}

/** One more element, window, block or slice of a stream; false when it has all its blocks. */
static bool extend(struct fake *fake, uint32_t index)
{
	const struct fake_options *options = &fake->options;
	struct script_stream *stream = &fake->streams.items[index];
	struct script_block *block =
		stream->blocks.count ? &stream->blocks.items[stream->blocks.count - 1] : NULL;
	size_t size = block ? last_window(stream)->elements.count : 0;
	if (!block || draw(fake, options->elements) + 1 < size) {
		bool another = !block || block->windows.count >= options->windows || draw(fake, 2);
		if (another && stream->blocks.count == options->blocks)
			return false;
		begin_window(fake, index, another);
	} else if (options->per_cpu && draw(fake, 8) == 0) {
		reschedule(fake, stream);
	} else {
		need(array_push(&last_window(stream)->elements, make_element(fake)));
	}
	return true;
}

static void write_script(struct fake *fake)
{
	const struct fake_options *options = &fake->options;
	for (uint32_t i = 0; i < options->streams; i++) {
		struct script_stream stream = {.thread = options->per_cpu ? WINDOW_NOBODY
									  : i % options->threads};
		need(array_push(&fake->streams, stream));
	}
	for (uint32_t i = 0; !options->per_cpu && i < options->streams; i++)
		while (extend(fake, i))
			;
	bool more = options->per_cpu;
	while (more) { // all CPUs at once, so that time goes on in all
		more = false;
		for (uint32_t i = 0; i < options->streams; i++)
			more |= extend(fake, i);
	}
}

struct fake *fake_new(const struct fake_options *options)
{
	struct fake *fake = calloc(1, sizeof(*fake));
	need(fake != NULL);
	fake->options = *options;
	fake->random = options->seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
	fake->clock = 1000;
	for (unsigned i = 0; i < (options->stretches ? options->stretches : 200); i++)
		make_stretch(fake);
	write_script(fake);
	fake->visible = fake->next_visible = options->visible ? options->visible : options->blocks;
	return fake;
}

struct fake *fake_free(struct fake *fake)
{
	for (size_t s = 0; s < fake->streams.count; s++) {
		struct script_stream *stream = &fake->streams.items[s];
		for (size_t b = 0; b < stream->blocks.count; b++) {
			struct script_block *block = &stream->blocks.items[b];
			for (size_t w = 0; w < block->windows.count; w++)
				array_fini(&block->windows.items[w].elements);
			array_fini(&block->windows);
		}
		array_fini(&stream->blocks);
	}
	array_fini(&fake->streams);
	array_fini(&fake->stretches);
	free(fake->code);
	free(fake);
	return NULL;
}

// The source.

struct decoder {
	struct fake *fake;
	struct code_map *map;
};

static void close_source(void *context)
{
	((struct fake *)context)->open_count--;
}

static void tell_info(void *context, struct source_info *ret)
{
	const struct fake *fake = context;
	*ret = (struct source_info){.path = fake->path ? fake->path : "fake",
				    .format = "fake",
				    .technology = "imagination",
				    .per_cpu = fake->options.per_cpu,
				    .has_clock = !fake->options.no_conversion,
				    .clock_multiplier = 3,
				    .clock_shift = 2,
				    .clock_zero = 5000,
				    .finished = fake->visible == fake->options.blocks};
	for (size_t i = 0; i < fake->streams.count; i++) // as tell_block() has them
		ret->raw_bytes += 100 * (fake->streams.items[i].blocks.count < fake->visible
						 ? fake->streams.items[i].blocks.count
						 : fake->visible);
	for (size_t i = 0; i < sizeof(ret->fingerprint); i++)
		ret->fingerprint[i] = (uint8_t)(fake->options.seed * 7 + i + fake->fingerprint);
}

static size_t count_threads(void *context)
{
	return ((struct fake *)context)->options.threads;
}

static void tell_thread(void *context, size_t index, struct source_thread *ret)
{
	*ret = (struct source_thread){.pid = 100, .tid = 101 + (int)index, .name = "fake"};
}

static size_t count_streams(void *context)
{
	return ((struct fake *)context)->streams.count;
}

static uint64_t count_blocks(void *context, size_t stream)
{
	const struct fake *fake = context;
	uint64_t all = fake->streams.items[stream].blocks.count;
	return all < fake->visible ? all : fake->visible;
}

static void tell_block(void *context, size_t stream, uint64_t index, struct source_block *ret)
{
	*ret = (struct source_block){.offset = index * 100, .size_bytes = 100};
}

static bool tell_stream_thread(void *context, size_t stream, uint32_t *ret_thread)
{
	const struct fake *fake = context;
	*ret_thread = (uint32_t)stream % fake->options.threads;
	return !fake->options.per_cpu;
}

static struct strobe_error *refresh(void *context, bool *ret_grew)
{
	struct fake *fake = context;
	*ret_grew = fake->visible != fake->next_visible;
	fake->visible = fake->next_visible;
	return NULL;
}

static size_t read_code(void *context, uint64_t address, void *buffer, size_t size)
{
	const struct fake *fake = context;
	if (address < CODE_BASE || address - CODE_BASE >= fake->code_size)
		return 0;
	uint64_t left = fake->code_size - (address - CODE_BASE);
	size = left < size ? (size_t)left : size;
	memcpy(buffer, fake->code + (address - CODE_BASE), size);
	return size;
}

static void free_decoder(void *context)
{
	struct decoder *decoder = context;
	code_map_free(decoder->map);
	free(decoder);
}

static struct strobe_error *new_decoder(void *context, void **ret, struct code_map **ret_map)
{
	struct decoder *decoder = calloc(1, sizeof(*decoder));
	if (!decoder)
		return error_no_memory();
	decoder->fake = context;
	struct strobe_error *error = code_map_new(NULL, read_code, context, &decoder->map);
	if (error) {
		free(decoder);
		return error;
	}
	*ret = decoder;
	*ret_map = decoder->map;
	return NULL;
}

static struct strobe_error *add_element(const struct decoder *decoder,
					const struct element *element, struct window *window)
{
	uint32_t stretch;
	struct strobe_error *error;
	switch (element->what) {
	case CLOCK:
		return window_add_clock(window, element->value);
	case CUT:
		return window_add_cut(window, element->thread, element->value);
	case NOTE:
		return window_add_note(window, &element->note);
	case RUN:
		break;
	}
	error = code_map_find(decoder->map,
			      decoder->fake->stretches.items[element->stretch].address, 64,
			      &stretch);
	return error ? error : window_add_run(window, stretch, element->count);
}

static struct strobe_error *decode(void *context, size_t stream, uint64_t index,
				   const struct source_want *want, struct window *window)
{
	const struct decoder *decoder = context;
	struct fake *fake = decoder->fake;
	const struct script_block *block = &fake->streams.items[stream].blocks.items[index];
	need(index < count_blocks(fake, stream));
	window_clear(window);
	atomic_fetch_add(&fake->decoded, 1);
	if (atomic_load(&fake->fail_at) && atomic_fetch_sub(&fake->fail_at, 1) == 1)
		return error_no_memory();
	if (want->part >= block->windows.count) {
		window->complete = true;
		return NULL;
	}
	const struct script_window *script = &block->windows.items[want->part];
	struct strobe_error *error = NULL;
	window->cpu = script->cpu;
	window->more = want->part + 1 < block->windows.count;
	for (size_t i = 0; i < script->elements.count && !error; i++) {
		if (window->item_count > want->enough)
			return NULL;
		error = add_element(decoder, &script->elements.items[i], window);
	}
	window->complete = true;
	window_check(window);
	return error;
}

static const struct strobe_view *no_view(void *context)
{
	return NULL;
}

static const char *no_warning(void *context, size_t index)
{
	return NULL;
}

static const struct trace_source_ops ops = {
	.close = close_source,
	.info = tell_info,
	.thread_count = count_threads,
	.thread = tell_thread,
	.stream_count = count_streams,
	.block_count = count_blocks,
	.block = tell_block,
	.stream_thread = tell_stream_thread,
	.refresh = refresh,
	.decoder_new = new_decoder,
	.decoder_free = free_decoder,
	.decode = decode,
	.view = no_view,
	.warning = no_warning,
};

struct trace_source fake_open(struct fake *fake)
{
	fake->open_count++;
	return (struct trace_source){.ops = &ops, .context = fake};
}

void fake_grow(struct fake *fake, unsigned blocks)
{
	fake->next_visible = fake->visible + blocks;
	if (fake->next_visible > fake->options.blocks)
		fake->next_visible = fake->options.blocks;
}

unsigned fake_open_count(const struct fake *fake)
{
	return fake->open_count;
}

unsigned long fake_decoded(const struct fake *fake)
{
	return atomic_load(&((struct fake *)fake)->decoded);
}

void fake_fail_decode(struct fake *fake, unsigned long n)
{
	atomic_store(&fake->fail_at, n);
}

void fake_set_path(struct fake *fake, const char *path)
{
	fake->path = path;
}

void fake_set_fingerprint(struct fake *fake, uint8_t byte)
{
	fake->fingerprint = byte;
}

// The truth.

/** Elements of one cut, and what stands around them. */
struct slice {
	const struct script_window *window;
	size_t first, end; // elements behind the cut
	uint64_t order;
	uint64_t start, stop; // clocks; 0 = none
};

struct telling {
	const struct fake *fake;
	ARRAY(struct slice) slices;
	ARRAY(struct fake_item) items;
	ARRAY(struct fake_point) points;
	size_t slice_points; // points when the slice began
	int cpu;
};

static void tell_slices(struct telling *telling, const struct script_window *window,
			uint32_t thread)
{
	uint64_t clock = 0; // the window's last
	for (size_t i = 0; i < window->elements.count; i++) {
		const struct element *element = &window->elements.items[i];
		if (element->what == CLOCK && element->value > clock)
			clock = element->value;
		if (element->what != CUT)
			continue;
		struct slice slice = {.window = window,
				      .first = i + 1,
				      .end = i + 1,
				      .order = element->order,
				      .start = clock > element->value ? clock : element->value};
		while (slice.end < window->elements.count &&
		       window->elements.items[slice.end].what != CUT)
			slice.end++;
		// Of cuts with nothing between them the last one counts.
		for (size_t j = slice.end; j < window->elements.count; j++) {
			const struct element *behind = &window->elements.items[j];
			if (behind->what == CUT)
				slice.stop = behind->value;
			else if (behind->what != CLOCK)
				break;
		}
		if (element->thread == thread)
			need(array_push(&telling->slices, slice));
	}
}

static void tell_point(struct telling *telling, uint64_t index, uint64_t value)
{
	size_t count = telling->points.count;
	struct fake_point *last = count ? &telling->points.items[count - 1] : NULL;
	if (!value || (last && value <= last->value))
		return;
	if (last && last->index == index && count > telling->slice_points)
		last->value = value; // a slice has one value at an item
	else
		need(array_push(&telling->points,
				(struct fake_point){.index = index, .value = value}));
}

static void tell_item(struct telling *telling, struct fake_item item)
{
	item.cpu = telling->cpu;
	need(array_push(&telling->items, item));
}

static void tell_run(struct telling *telling, const struct element *element)
{
	const struct stretch *stretch = &telling->fake->stretches.items[element->stretch];
	uint64_t address = stretch->address, first = telling->items.count;
	for (uint32_t i = 0; i < element->count; i++) {
		tell_item(telling,
			  (struct fake_item){.kind = STROBE_ITEM_INSTRUCTION,
					     .address = address,
					     .size_bytes = stretch->lengths[i],
					     .flow = i + 1 == stretch->count ? stretch->flow
									     : STROBE_FLOW_OTHER,
					     .run_first = first,
					     .run_count = element->count});
		address += stretch->lengths[i];
	}
}

static void tell_slice(struct telling *telling, const struct slice *slice)
{
	const struct element *elements = slice->window->elements.items;
	bool any = false;
	for (size_t i = slice->first; i < slice->end; i++)
		any |= elements[i].what != CLOCK;
	if (!any)
		return;
	size_t first = telling->items.count;
	telling->slice_points = telling->points.count;
	tell_point(telling, first, slice->start);
	bool change = slice->window->cpu >= 0 && slice->window->cpu != telling->cpu;
	if (slice->window->cpu >= 0)
		telling->cpu = slice->window->cpu;
	if (change)
		tell_item(telling, (struct fake_item){.kind = STROBE_ITEM_EVENT,
						      .type = STROBE_EVENT_CPU_CHANGED,
						      .value = (uint64_t)telling->cpu});
	for (size_t i = slice->first; i < slice->end; i++) {
		const struct element *element = &elements[i];
		// What reads the clock before the first item counts from the change of CPU on.
		size_t here = telling->items.count == first + change ? first : telling->items.count;
		if (element->what == CLOCK)
			tell_point(telling, here, element->value);
		else if (element->what == RUN)
			tell_run(telling, element);
		else
			tell_item(telling, (struct fake_item){.kind = element->note.is_error
									      ? STROBE_ITEM_ERROR
									      : STROBE_ITEM_EVENT,
							      .type = element->note.type,
							      .value = element->note.value,
							      .text = element->note.text});
	}
	tell_point(telling, telling->items.count, slice->stop);
}

static int compare_slices(const void *a, const void *b)
{
	const struct slice *x = a, *y = b;
	return x->order < y->order ? -1 : x->order > y->order;
}

static void tell_clocks(struct telling *telling)
{
	size_t next = 0;
	for (size_t i = 0; i < telling->items.count; i++) {
		while (next < telling->points.count && telling->points.items[next].index <= i)
			next++;
		telling->items.items[i].has_clock = next > 0;
		telling->items.items[i].clock = next ? telling->points.items[next - 1].value : 0;
	}
}

struct fake_truth fake_truth(const struct fake *fake, uint32_t thread)
{
	struct telling telling = {.fake = fake, .cpu = -1};
	for (size_t s = 0; s < fake->streams.count; s++) {
		const struct script_stream *stream = &fake->streams.items[s];
		for (size_t b = 0; b < stream->blocks.count && b < fake->visible; b++)
			for (size_t w = 0; w < stream->blocks.items[b].windows.count; w++)
				tell_slices(&telling, &stream->blocks.items[b].windows.items[w],
					    thread);
	}
	if (fake->options.per_cpu && telling.slices.count)
		qsort(telling.slices.items, telling.slices.count, sizeof(*telling.slices.items),
		      compare_slices);
	for (size_t i = 0; i < telling.slices.count; i++)
		tell_slice(&telling, &telling.slices.items[i]);
	tell_clocks(&telling);
	array_fini(&telling.slices);
	return (struct fake_truth){.items = telling.items.items,
				   .count = telling.items.count,
				   .points = telling.points.items,
				   .point_count = telling.points.count};
}

void fake_truth_free(struct fake_truth *truth)
{
	free(truth->items);
	free(truth->points);
	*truth = (struct fake_truth){0};
}
