// SPDX-License-Identifier: Apache-2.0
// Turns a bundle of tests/traces/synth into a perf.data: write_perf BUNDLE OUTPUT MODE. MODE is "thread" (a ring each),
// "cpu" (rings of CPUs, with context switches), "pipe" (thread, as written to a pipe), "snapshot" (thread, in copies
// of the ring that overlap).
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strobe/view.h>

#include "bundle/bundle.h"
#include "perf_writer.h"

static const struct strobe_view_options offline = {.size = sizeof(offline), .no_debuginfod = true};
static const struct strobe_trace_options options = {.size = sizeof(options), .view = &offline};

static void die(const char *what)
{
	fprintf(stderr, "write_perf: %s\n", what);
	exit(1);
}

static void write_maps(struct perf_writer *writer, const struct pt_input *input)
{
	struct stamp stamp = {.pid = 4242, .tid = 4242, .cpu = 0, .time = 0};
	perf_writer_name(writer, &stamp, "calls", false);
	for (size_t i = 0; i < strobe_view_mapping_count(input->view); i++) {
		const struct strobe_mapping *mapping = strobe_view_mapping(input->view, i);
		if (!(mapping->permissions & STROBE_PERMISSION_EXECUTE))
			continue;
		const struct strobe_module *module =
			strobe_view_module(input->view, mapping->module_index);
		char *path = realpath(module->file, NULL);
		if (!path)
			die("no file");
		struct writer_map map = {.start = mapping->start,
					 .size = mapping->end - mapping->start,
					 .offset = mapping->offset_bytes,
					 .path = path,
					 .protection = 5};
		perf_writer_map(writer, &stamp, &map);
		perf_writer_build_id(writer, path, module->build_id);
		free(path);
	}
}

static void write_threads(struct perf_writer *writer, const struct pt_input *input)
{
	for (size_t i = 0; i < input->threads.count; i++) {
		struct stamp stamp = {.pid = 4242, .tid = 4242, .cpu = 0, .time = 1};
		if (input->threads.items[i].tid != 4242)
			perf_writer_fork(writer, &stamp, 4242, 4242, input->threads.items[i].tid);
	}
}

static void write_switches(struct perf_writer *writer, const struct pt_input *input)
{
	for (size_t c = 0; c < input->schedules.count; c++) {
		const struct pt_cpu_schedule *schedule = &input->schedules.items[c];
		for (size_t i = 0; i < schedule->executions.count; i++) {
			const struct pt_execution *one = &schedule->executions.items[i];
			struct stamp stamp = {
				.pid = one->pid, .tid = one->tid, .cpu = schedule->cpu};
			stamp.time = pt_clock_to_ns(input, one->start);
			if (!one->start_guessed)
				perf_writer_switch(writer, &stamp, false, true);
			stamp.time = pt_clock_to_ns(input, one->end);
			if (!one->end_guessed)
				perf_writer_switch(writer, &stamp, true, true);
		}
	}
}

/** Where packets end, at or behind `wanted`: before a PSB. */
static uint64_t packets_end(const struct pt_piece *all, uint64_t wanted)
{
	static const uint8_t psb[] = {2, 0x82, 2, 0x82, 2, 0x82, 2, 0x82,
				      2, 0x82, 2, 0x82, 2, 0x82, 2, 0x82};
	const uint8_t *found = wanted < all->size ? memmem(all->data + wanted, all->size - wanted,
							   psb, sizeof(psb))
						  : NULL;
	return found ? (uint64_t)(found - all->data) : all->size;
}

/** Full trace: pieces of some 5 KB; snapshots: copies of a ring of 16 KiB, about every 10,000 bytes. */
static void write_packets(struct perf_writer *writer, uint32_t index,
			  const struct pt_stream *stream, bool snapshots)
{
	enum { PIECE = 5000, RING = 16384, STEP = 10000 };
	const struct pt_piece *all = &stream->pieces.items[0];
	for (uint64_t at = 0, to; at < all->size; at = to) {
		to = packets_end(all, at + (snapshots ? STEP : PIECE));
		uint64_t from = snapshots ? to > RING ? to - RING : 0 : at;
		perf_writer_packets(writer, index, stream->cpu, stream->tid,
				    snapshots ? from % RING : from, all->data + from, to - from);
	}
}

int main(int argc, char **argv)
{
	struct pt_input input;
	struct perf_writer writer = {.cpu = "GenuineIntel,6,85,4"};
	if (argc != 4)
		die("usage: write_perf BUNDLE OUTPUT MODE");
	struct strobe_error *error = bundle_open(argv[1], &options, &input);
	if (error)
		die(strobe_error_message(error));
	bool snapshots = strcmp(argv[3], "snapshot") == 0;
	writer.pipe = strcmp(argv[3], "pipe") == 0;
	perf_writer_begin(&writer);
	struct writer_info info = {.snapshots = snapshots,
				   .per_cpu = input.per_cpu,
				   .multiplier = input.clock_multiplier,
				   .shift = input.clock_shift,
				   .zero = input.clock_zero};
	perf_writer_info(&writer, &info);
	write_maps(&writer, &input);
	write_threads(&writer, &input);
	write_switches(&writer, &input);
	for (size_t i = 0; i < input.streams.count; i++)
		write_packets(&writer, (uint32_t)i, &input.streams.items[i], snapshots);
	size_t size;
	uint8_t *bytes = perf_writer_finish(&writer, &size);
	FILE *file = fopen(argv[2], "wb");
	if (!file || fwrite(bytes, 1, size, file) != size || fclose(file) != 0)
		die("cannot write");
	free(bytes);
	pt_input_fini(&input);
	return 0;
}
