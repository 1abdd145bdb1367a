// SPDX-License-Identifier: Apache-2.0
#include "fixture.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pt/decoding.h"
#include "pt/plain.h"
#include "view/build.h"

static void must(struct strobe_error *error)
{
	if (!error)
		return;
	fprintf(stderr, "%s\n", strobe_error_message(error));
	abort();
}

struct bytes read_bytes(const char *path)
{
	struct bytes bytes = {0};
	FILE *file = fopen(path, "rb");
	if (!file) {
		perror(path);
		abort();
	}
	fseek(file, 0, SEEK_END);
	bytes.size = (size_t)ftell(file);
	rewind(file);
	bytes.data = malloc(bytes.size + 1);
	if (!bytes.data || fread(bytes.data, 1, bytes.size, file) != bytes.size)
		abort();
	fclose(file);
	return bytes;
}

struct strobe_view *code_view(uint64_t start, const uint8_t *code, size_t size)
{
	static const struct strobe_view_options options = {.size = sizeof(options),
							   .no_debuginfod = true};
	struct strobe_view *view = NULL;
	must(view_new(&options, &view));
	uint8_t *copy = arena_alloc(&view->arena, size);
	if (!copy)
		abort();
	memcpy(copy, code, size);
	struct area area = {
		.start = start & ~UINT64_C(4095),
		.end = (start + size + 4095) & ~UINT64_C(4095),
		.permissions = STROBE_PERMISSION_READ | STROBE_PERMISSION_EXECUTE,
	};
	struct segment segment = {.start = start, .end = start + size, .data = copy};
	if (!array_push(&view->areas, area) || !array_push(&view->segments, segment))
		abort();
	must(view_finish(view));
	return view;
}

void input_make(struct pt_input *input, uint64_t start, const uint8_t *code, size_t size)
{
	pt_input_init(input);
	input->path = "test";
	input->format = "test";
	input->technology = "intel-pt";
	input->cpu_vendor = "GenuineIntel";
	input->cpu_family = 6;
	input->cpu_model = 85;
	input->cpu_stepping = 4;
	input->finished = true;
	input->view = code_view(start, code, size);
}

void input_add_thread(struct pt_input *input, int tid, const uint8_t *packets, size_t size,
		      size_t piece)
{
	struct pt_stream stream = {.pid = tid, .tid = tid, .cpu = -1, .finished = true};
	for (size_t at = 0; at < size; at += piece) {
		if (piece == 0 || piece > size - at)
			piece = size - at;
		struct pt_piece part = {.data = packets + at, .size = piece};
		if (!array_push(&stream.pieces, part))
			abort();
	}
	struct pt_thread thread = {.pid = tid, .tid = tid};
	if (!array_push(&input->threads, thread) || !array_push(&input->streams, stream))
		abort();
}

static struct item *add_item(struct items *items, const struct window *window, uint32_t number,
			     size_t *cut, size_t *clock)
{
	while (*cut + 1 < window->cuts.count && window->cuts.items[*cut + 1].first_item <= number)
		++*cut;
	while (*clock < window->clocks.count && window->clocks.items[*clock].item <= number)
		++*clock;
	if (!array_push(&items->items, (struct item){.kind = STROBE_ITEM_INSTRUCTION}))
		abort();
	struct item *item = &items->items.items[items->items.count - 1];
	item->thread = window->cuts.items[*cut].thread;
	item->clock = *clock ? window->clocks.items[*clock - 1].value : 0;
	return item;
}

void items_add(struct items *items, const struct window *window, const struct code_map *map)
{
	size_t cut = 0, clock = 0;
	window_check(window);
	for (size_t i = 0; i < window->parts.count; i++) {
		const struct window_part *part = &window->parts.items[i];
		uint32_t end =
			i + 1 < window->parts.count ? part[1].first_item : window->item_count;
		if (part->what & WINDOW_NOTE) {
			struct item *item = add_item(items, window, part->first_item, &cut, &clock);
			item->note = window->notes.items[part->what & ~WINDOW_NOTE];
			item->kind = item->note.is_error ? STROBE_ITEM_ERROR : STROBE_ITEM_EVENT;
			items->errors += item->note.is_error;
			snprintf(item->text, sizeof(item->text), "%s", item->note.text);
			item->note.text = NULL;
			continue;
		}
		const struct code_stretch *stretch = code_map_stretch(map, part->what);
		for (uint32_t n = part->first_item; n < end; n++) {
			add_item(items, window, n, &cut, &clock)->address =
				code_map_address(map, stretch, n - part->first_item);
			items->instructions++;
		}
	}
}

static void read_items(struct items *items, const struct trace_source *source, size_t stream,
		       bool slowly)
{
	static const struct source_want all = {.enough = UINT32_MAX};
	struct code_map *map = NULL;
	struct window window;
	void *decoder = NULL;
	window_init(&window);
	must(source->ops->decoder_new(source->context, &decoder, &map));
	if (slowly) {
		struct decoder *inside = decoder;
		inside->plain = plain_free(inside->plain);
	}
	uint64_t count = source->ops->block_count(source->context, stream);
	for (uint64_t block = 0; block < count; block++) {
		struct source_want want = all;
		do {
			must(source->ops->decode(decoder, stream, block, &want, &window));
			items_add(items, &window, map);
			want.part++;
		} while (window.more);
	}
	source->ops->decoder_free(decoder);
	window_fini(&window);
}

void items_read(struct items *items, const struct trace_source *source, size_t stream)
{
	read_items(items, source, stream, false);
}

void items_read_slowly(struct items *items, const struct trace_source *source, size_t stream)
{
	read_items(items, source, stream, true);
}

void items_fini(struct items *items)
{
	array_fini(&items->items);
	memset(items, 0, sizeof(*items));
}

static bool same(const struct item *a, const struct item *b)
{
	return a->kind == b->kind && a->address == b->address && a->thread == b->thread &&
	       a->clock == b->clock && a->note.type == b->note.type &&
	       a->note.address == b->note.address && a->note.target == b->note.target &&
	       a->note.value == b->note.value && a->note.value_2 == b->note.value_2 &&
	       strcmp(a->text, b->text) == 0;
}

bool items_equal(const struct items *a, const struct items *b)
{
	for (size_t i = 0; i < a->items.count && i < b->items.count; i++) {
		const struct item *x = &a->items.items[i], *y = &b->items.items[i];
		if (same(x, y))
			continue;
		printf("# item %zu: kind %d 0x%" PRIx64 " type %d \"%s\" and kind %d 0x%" PRIx64
		       " type %d \"%s\"\n",
		       i, x->kind, x->address, x->note.type, x->text, y->kind, y->address,
		       y->note.type, y->text);
		return false;
	}
	if (a->items.count != b->items.count)
		printf("# %zu and %zu items\n", a->items.count, b->items.count);
	return a->items.count == b->items.count;
}
