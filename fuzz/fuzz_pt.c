// SPDX-License-Identifier: Apache-2.0
// Packets, with code that may be as bad: 2 bytes that say how much of the rest is code, 1 byte of options, code, packets.
// Whatever they are, decoding ends, gives valid windows, and the same ones by the fast way and by libipt alone.
#include <stdlib.h>
#include <string.h>

#include "code/code_map.h"
#include "pt/decoding.h"
#include "pt/input.h"
#include "pt/plain.h"
#include "view/build.h"

enum { BASE = 0x400000, HEADER = 3, MAX_PACKETS = 1 << 14, PSB = 16 };
enum option { IN_PIECES = 1, TIMED = 2, PER_CPU = 4, BEGIN_WITH_PSB = 8 };

static struct strobe_view *make_view(const uint8_t *code, size_t size)
{
	static const struct strobe_view_options options = {.size = sizeof(options),
							   .no_debuginfod = true};
	struct strobe_view *view = NULL;
	if (view_new(&options, &view))
		abort();
	struct area area = {BASE, BASE + 0x10000, STROBE_PERMISSION_EXECUTE, 0, NULL, 0, 0, 0};
	struct segment segment = {.start = BASE, .end = BASE + size, .data = code};
	if (!array_push(&view->areas, area) || (size && !array_push(&view->segments, segment)) ||
	    view_finish(view))
		abort();
	return view;
}

static void add_schedule(struct pt_input *input)
{
	struct pt_cpu_schedule schedule = {.cpu = 0};
	for (uint64_t i = 0; i < 8; i++) {
		struct pt_execution execution = {.start = i * 0x1000,
						 .end = i * 0x1000 + 0x800 + i * 0x100,
						 .pid = 1,
						 .tid = i % 3 ? 1 : 2};
		if (!array_push(&schedule.executions, execution))
			abort();
	}
	if (!array_push(&input->schedules, schedule))
		abort();
}

static void make_input(struct pt_input *input, unsigned options, const uint8_t *packets,
		       size_t size)
{
	struct pt_stream stream = {.pid = 1, .tid = 1, .cpu = 0, .finished = true};
	struct pt_thread thread = {.pid = 1, .tid = 1};
	size_t piece = options & IN_PIECES ? 29 : size;
	for (size_t at = 0; at < size; at += piece) {
		struct pt_piece part = {.data = packets + at,
					.size = size - at < piece ? size - at : piece};
		if (!array_push(&stream.pieces, part))
			abort();
	}
	if (!array_push(&input->streams, stream) || !array_push(&input->threads, thread))
		abort();
	input->finished = true;
	input->per_cpu = options & PER_CPU;
	if (options & TIMED) {
		input->mtc_frequency = 3;
		input->nominal_frequency = 32;
		input->cpuid_15_eax = 2;
		input->cpuid_15_ebx = 300;
	}
	if (input->per_cpu)
		add_schedule(input);
}

/** What can be compared of a window. */
static uint64_t fold(const struct window *window, const struct code_map *map, uint64_t hash)
{
	for (size_t i = 0; i < window->parts.count; i++) {
		uint32_t what = window->parts.items[i].what;
		const struct window_note *note = &window->notes.items[what & ~WINDOW_NOTE];
		uint64_t value = what & WINDOW_NOTE
					 ? note->value + note->address * 3 + note->target * 5 +
						   note->type +
						   (note->is_error ? strlen(note->text) : 0)
					 : code_map_stretch(map, what)->address;
		hash = (hash ^ value ^ window->parts.items[i].first_item) * UINT64_C(0x100000001b3);
	}
	for (size_t i = 0; i < window->clocks.count; i++)
		hash = (hash ^ window->clocks.items[i].item ^ window->clocks.items[i].value) *
		       UINT64_C(0x100000001b3);
	for (size_t i = 0; i < window->cuts.count; i++)
		hash = (hash ^ window->cuts.items[i].first_item ^ window->cuts.items[i].thread) *
		       UINT64_C(0x100000001b3);
	return hash * 31 + window->item_count;
}

static uint64_t decode_all(const struct trace_source *source, bool slowly, bool *errors)
{
	struct code_map *map = NULL;
	struct window window;
	void *decoder = NULL;
	uint64_t hash = 0, count = source->ops->block_count(source->context, 0);
	window_init(&window);
	if (source->ops->decoder_new(source->context, &decoder, &map))
		abort();
	if (slowly)
		((struct decoder *)decoder)->plain = plain_free(((struct decoder *)decoder)->plain);
	for (uint64_t block = 0; block < count; block++) {
		struct source_want want = {.enough = UINT32_MAX};
		do {
			if (source->ops->decode(decoder, 0, block, &want, &window))
				abort();
			window_check(&window);
			hash = fold(&window, map, hash);
			for (size_t i = 0; i < window.notes.count; i++)
				*errors = *errors || window.notes.items[i].is_error;
			want.part++;
		} while (window.more);
	}
	source->ops->decoder_free(decoder);
	window_fini(&window);
	return hash;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pt_input input;
	struct trace_source source;
	if (size < HEADER)
		return 0;
	size_t code_size = (size_t)data[0] | (size_t)data[1] << 8;
	unsigned options = data[2];
	data += HEADER;
	size -= HEADER;
	if (code_size > size)
		code_size = size;
	size_t packets_size = size - code_size < MAX_PACKETS ? size - code_size : MAX_PACKETS;
	size_t head = options & BEGIN_WITH_PSB ? PSB : 0;
	uint8_t *packets = malloc(packets_size + head + 1);
	if (!packets)
		return 0;
	for (size_t i = 0; i < head; i++)
		packets[i] = i % 2 ? 0x82 : 0x02;
	memcpy(packets + head, data + code_size, packets_size);
	pt_input_init(&input);
	input.view = make_view(data, code_size);
	make_input(&input, options, packets, packets_size + head);
	if (pt_source_open(&input, &source))
		abort();
	// libipt and Zydis may see different instructions in hostile code; else all is the same.
	bool errors = false, libipt_errors = false;
	uint64_t fast = decode_all(&source, false, &errors);
	uint64_t slow = decode_all(&source, true, &libipt_errors);
	if (!libipt_errors && (errors || fast != slow))
		abort();
	source.ops->close(source.context);
	free(packets);
	return 0;
}
