// SPDX-License-Identifier: Apache-2.0
#include "perf/perf_data.h"

#include <strobe/memory.h>
#include <unistd.h>

#include "base/arena.h"
#include "check.h"
#include "perf_writer.h"

static const struct strobe_view_options offline = {.size = sizeof(offline), .no_debuginfod = true};
static const struct strobe_trace_options options = {.size = sizeof(options), .view = &offline};
static const struct writer_info per_thread = {.multiplier = 1, .shift = 1, .zero = 0};
static const struct writer_info per_cpu = {.per_cpu = true, .multiplier = 1, .shift = 1};
static const uint8_t psb[16] = {2, 0x82, 2, 0x82, 2, 0x82, 2, 0x82,
				2, 0x82, 2, 0x82, 2, 0x82, 2, 0x82};
#define CALLS TRACES "/synth/calls1/calls"
#define CALLS_ID "486df1789249fd97604e25ec7ea36f490339cd5e"
#define FOO TRACES "/synth/dso/libfoo.so"
#define BAR TRACES "/synth/dso/libbar.so"

static struct strobe_error *open_bytes(const uint8_t *bytes, size_t size, struct pt_input *ret)
{
	char path[] = "/tmp/strobe-perf-XXXXXX";
	int fd = mkstemp(path);
	CHECK(fd >= 0);
	CHECK(write(fd, bytes, size) == (ssize_t)size);
	close(fd);
	struct strobe_error *error = perf_data_open(path, &options, ret);
	unlink(path);
	return error;
}

static struct strobe_error *open_written(struct perf_writer *writer, struct pt_input *ret)
{
	size_t size;
	uint8_t *bytes = perf_writer_finish(writer, &size);
	struct strobe_error *error = open_bytes(bytes, size, ret);
	free(bytes);
	return error;
}

/** The message's part behind the file's name. */
static void check_refused(struct perf_writer *writer, enum strobe_error_code code,
			  const char *expected)
{
	struct pt_input input;
	char message[512];
	struct strobe_error *error = open_written(writer, &input);
	CHECK(error != NULL);
	snprintf(message, sizeof(message), "%s", strobe_error_message(error));
	CHECK_EQUAL(strobe_error_code(error), code);
	strobe_error_free(error);
	CHECK_STRING(message + strlen("/tmp/strobe-perf-XXXXXX"), expected);
}

static void put_calls(struct perf_writer *writer, int pid, uint64_t time)
{
	struct stamp stamp = {.pid = pid, .tid = pid, .time = time};
	struct writer_map map = {.start = 0x401000,
				 .size = 0x1000,
				 .offset = 0x1000,
				 .path = CALLS,
				 .build_id = CALLS_ID,
				 .protection = 5};
	perf_writer_map(writer, &stamp, &map);
}

static void rings_of_threads_are_streams(void)
{
	for (int pipe = 0; pipe < 2; pipe++) {
		struct perf_writer writer = {.cpu = "GenuineIntel,6,85,4", .pipe = pipe};
		struct pt_input input;
		struct stamp leader = {.pid = 100, .tid = 100};
		perf_writer_begin(&writer);
		perf_writer_info(&writer, &per_thread);
		perf_writer_name(&writer, &leader, "server", true);
		put_calls(&writer, 100, 0);
		perf_writer_fork(&writer, &(struct stamp){.pid = 100, .tid = 100, .time = 50}, 100,
				 100, 101);
		perf_writer_name(&writer, &(struct stamp){.pid = 100, .tid = 101}, "worker", false);
		perf_writer_packets(&writer, 0, -1, 101, 0, psb, 16);
		perf_writer_packets(&writer, 1, -1, 100, 0, psb, 16);
		perf_writer_packets(&writer, 0, -1, 101, 16, psb, 13); // filled up with 3 zeros
		perf_writer_packets(&writer, 0, -1, 101, 29, psb, 16);
		CHECK_OK(open_written(&writer, &input));
		CHECK_STRING(input.format, "perf.data");
		CHECK_STRING(input.technology, "intel-pt");
		CHECK_STRING(input.cpu_vendor, "GenuineIntel");
		CHECK_EQUAL(input.cpu_model, 85);
		CHECK_EQUAL(input.mtc_frequency, 3);
		CHECK_EQUAL(input.nominal_frequency, 37);
		CHECK_EQUAL(input.cpuid_15_ebx, 308);
		CHECK_EQUAL(input.cpuid_15_eax, 2);
		CHECK(input.has_clock && input.clock_shift == 1 && !input.per_cpu);
		CHECK_EQUAL(input.threads.count, 2);
		CHECK_EQUAL(input.threads.items[0].tid, 101);
		CHECK_EQUAL(input.threads.items[0].pid, 100);
		CHECK_STRING(input.threads.items[0].name, "worker");
		CHECK_STRING(input.threads.items[1].name, "server");
		CHECK_EQUAL(input.streams.items[0].pieces.count, 3);
		CHECK_EQUAL(input.streams.items[0].pieces.items[1].size, 13);
		CHECK_EQUAL(input.streams.items[0].tid, 101);
		CHECK_EQUAL(input.warnings.count, 0);
		CHECK_EQUAL(strobe_view_warning_count(input.view), 0);
		CHECK_STRING(strobe_view_module(input.view, 0)->file, CALLS);
		CHECK_EQUAL(strobe_view_process_info(input.view)->pid, 100);
		uint8_t byte;
		CHECK_EQUAL(strobe_memory_read(input.view, 0x401000, &byte, 1), 1);
		pt_input_fini(&input);
	}
}

static void check_execution(const struct pt_execution *got, uint64_t start, uint64_t end, int tid)
{
	CHECK_EQUAL(got->start, start);
	CHECK_EQUAL(got->end, end);
	CHECK_EQUAL(got->tid, tid);
}

static void rings_of_cpus_are_cut(void)
{
	struct perf_writer writer = {0};
	struct pt_input input;
	struct stamp a = {.pid = 7, .tid = 8, .cpu = 1}, b = {.pid = 7, .tid = 9, .cpu = 1};
	struct stamp other = {.pid = 7, .tid = 9, .cpu = 0};
	perf_writer_info(&writer, &per_cpu);
	put_calls(&writer, 7, 0);
	perf_writer_packets(&writer, 0, 0, -1, 0, psb, 16);
	perf_writer_packets(&writer, 1, 1, -1, 0, psb, 16);
	a.time = 30; // not in the order of time
	perf_writer_switch(&writer, &a, true, false);
	a.time = 10;
	perf_writer_start(&writer, &a);
	b.time = 40;
	perf_writer_switch(&writer, &b, false, true);
	b.time = 45;
	perf_writer_start(&writer, &b); // it is known to be there
	b.time = 50;
	perf_writer_exit(&writer, &b);
	b = (struct stamp){.pid = -1, .tid = -1, .cpu = 1, .time = 51};
	perf_writer_switch(&writer, &b, true, true); // whom nobody knows any more
	other.time = 20;
	perf_writer_switch(&writer, &other, true, true);
	CHECK_OK(open_written(&writer, &input));
	CHECK(input.per_cpu);
	CHECK_EQUAL(input.schedules.count, 2);
	CHECK_EQUAL(input.schedules.items[0].executions.count, 1);
	check_execution(&input.schedules.items[0].executions.items[0], 0, 40, 9);
	CHECK_EQUAL(input.schedules.items[1].cpu, 1);
	CHECK(input.schedules.items[1].executions.count >= 2);
	check_execution(&input.schedules.items[1].executions.items[0], 20, 60, 8);
	check_execution(&input.schedules.items[1].executions.items[1], 80, 100, 9);
	CHECK_EQUAL(input.threads.count, 2);
	CHECK_EQUAL(input.threads.items[0].tid, 9);
	CHECK_EQUAL(input.threads.items[1].tid, 8);
	pt_input_fini(&input);
}

static void without_switches_one_thread_is_all(void)
{
	struct perf_writer writer = {0};
	struct pt_input input;
	struct stamp stamp = {.pid = 7, .tid = 7};
	perf_writer_info(&writer, &per_cpu);
	perf_writer_name(&writer, &stamp, "only", false);
	perf_writer_packets(&writer, 1, 1, -1, 0, psb, 16);
	CHECK_OK(open_written(&writer, &input));
	CHECK_EQUAL(input.threads.count, 1);
	CHECK_EQUAL(input.threads.items[0].tid, 7);
	check_execution(&input.schedules.items[0].executions.items[0], 0, UINT64_MAX, 7);
	pt_input_fini(&input);
	perf_writer_info(&writer, &per_cpu);
	perf_writer_name(&writer, &stamp, "one", false);
	stamp.tid = 8;
	perf_writer_name(&writer, &stamp, "two", false);
	perf_writer_packets(&writer, 1, 1, -1, 0, psb, 16);
	check_refused(&writer, STROBE_ERROR_UNSUPPORTED,
		      ": packets are by CPU, of several threads, and no context switches were "
		      "recorded: nobody knows whose they are (record with --switch-events, or "
		      "--per-thread)");
}

static const struct pt_code *code_of(const struct pt_input *input, const char *path)
{
	for (size_t i = 0; i < input->code.count; i++)
		if (strcmp(input->code.items[i].path, path) == 0)
			return &input->code.items[i];
	return NULL;
}

static void code_changes_with_time(void)
{
	struct perf_writer writer = {0};
	struct pt_input input;
	struct stamp stamp = {.pid = 7, .tid = 7};
	struct writer_map foo = {.start = 0x7f0000001000,
				 .size = 0x1000,
				 .offset = 0x1000,
				 .path = FOO,
				 .protection = 5};
	struct writer_map bar = foo;
	bar.path = BAR;
	perf_writer_info(&writer, &per_thread);
	perf_writer_packets(&writer, 0, -1, 7, 0, psb, 16);
	perf_writer_map(&writer, &stamp, &foo); // another library later: dlclose(), dlopen()
	stamp.time = 100;
	perf_writer_map(&writer, &stamp, &bar);
	stamp.time = 200; // another program
	perf_writer_name(&writer, &stamp, "calls", true);
	put_calls(&writer, 7, 201);
	stamp = (struct stamp){
		.pid = 9, .tid = 9, .time = 300}; // another process, same program elsewhere
	foo.start = 0x401000;
	perf_writer_map(&writer, &stamp, &foo);
	CHECK_OK(open_written(&writer, &input));
	CHECK_STRING(strobe_view_module(input.view, 0)->path, CALLS);
	// Nothing is in the way of the later of the two libraries.
	CHECK_EQUAL(strobe_view_module_count(input.view), 2);
	CHECK_STRING(strobe_view_module(input.view, 1)->path, BAR);
	CHECK(!code_of(&input, BAR));
	CHECK_EQUAL(input.code.count, 2);
	for (size_t i = 0; i < input.code.count; i++) {
		const struct pt_code *code = &input.code.items[i];
		CHECK_STRING(code->path, FOO);
		CHECK_EQUAL(code->offset, 0x1000);
		CHECK_EQUAL(code->size, 0x1000);
		CHECK_EQUAL(code->pid, code->start == 0x401000 ? 9 : 7);
		CHECK_EQUAL(code->from, code->start == 0x401000 ? 600 : 0);
		CHECK_EQUAL(code->until, code->start == 0x401000 ? UINT64_MAX : 200);
	}
	pt_input_fini(&input);
}

static void build_ids_are_checked(void)
{
	for (int pipe = 0; pipe < 2; pipe++) {
		struct perf_writer writer = {.pipe = pipe};
		struct pt_input input;
		struct stamp stamp = {.pid = 7, .tid = 7};
		struct writer_map map = {.start = 0x401000,
					 .size = 0x1000,
					 .offset = 0x1000,
					 .path = CALLS,
					 .protection = 5};
		perf_writer_begin(&writer);
		perf_writer_info(&writer, &per_thread);
		perf_writer_map(&writer, &stamp, &map);
		perf_writer_packets(&writer, 0, -1, 7, 0, psb, 16);
		perf_writer_build_id(&writer, CALLS, "00112233445566778899aabbccddeeff00112233");
		CHECK_OK(open_written(&writer, &input));
		CHECK_EQUAL(strobe_view_warning_count(input.view), 1);
		CHECK(strstr(strobe_view_warning(input.view, 0), "has build id " CALLS_ID));
		CHECK(!strobe_view_module(input.view, 0)->file);
		pt_input_fini(&input);
	}
}

static void lost_data_is_told(void)
{
	struct perf_writer writer = {0};
	struct pt_input input;
	struct stamp stamp = {.pid = 7, .tid = 7, .cpu = 0, .time = 90};
	const uint64_t lost[] = {1, 5};
	perf_writer_info(&writer, &per_thread);
	perf_writer_packets(&writer, 0, -1, 7, 0, psb, 16);
	perf_writer_packets(&writer, 0, -1, 7, 160, psb, 16);
	perf_writer_landed(&writer, &stamp, 0, 16, 1);
	stamp.time = 80;
	perf_writer_landed(&writer, &stamp, 0, 16, 2); // a snapshot's: nothing is lost
	perf_writer_landed(&writer, &stamp, 0, 16, 8);
	perf_writer_record(&writer, 2, 0, lost, sizeof(lost), &stamp);
	CHECK_OK(open_written(&writer, &input));
	CHECK_EQUAL(input.warnings.count, 2);
	CHECK(strstr(input.warnings.items[0], "5 records were lost while recording"));
	CHECK(strstr(input.warnings.items[1], "bytes of packets are missing at 1 places"));
	CHECK_EQUAL(input.events.count, 2);
	CHECK_EQUAL(input.events.items[0].clock, 160);
	CHECK(strstr(input.events.items[0].note.text, "another user"));
	CHECK_EQUAL(input.events.items[1].clock, 180);
	CHECK(strstr(input.events.items[1].note.text, "buffer was full"));
	CHECK(input.events.items[1].note.is_error);
	CHECK_EQUAL(input.events.items[1].tid, 7);
	pt_input_fini(&input);
}

static void snapshots_repeat_nothing(void)
{
	enum { RING = 4096, ALL = 20000 };
	static uint8_t packets[ALL];
	struct perf_writer writer = {0};
	struct writer_info info = per_thread;
	struct pt_input input;
	uint32_t state = 1;
	for (size_t i = 0; i < ALL; i++)
		packets[i] = (uint8_t)((state = state * 1103515245 + 12345) >> 16);
	for (size_t i = 0; i < ALL; i += 400)
		memcpy(packets + i, psb, 16);
	info.snapshots = true;
	perf_writer_info(&writer, &info);
	// Ends of the snapshots: overlapping ones, one that saw nothing new, one that lost data.
	static const size_t ends[] = {3001, 5003, 5003, 9000, 9001, 18000};
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		size_t from = ends[i] > RING ? ends[i] - RING : 0;
		perf_writer_packets(&writer, 0, -1, 7, from % RING, packets + from, ends[i] - from);
	}
	CHECK_OK(open_written(&writer, &input));
	const struct pt_stream *stream = &input.streams.items[0];
	size_t at = 0;
	for (size_t i = 0; i < stream->pieces.count; i++) {
		const struct pt_piece *piece = &stream->pieces.items[i];
		bool last = i + 1 == stream->pieces.count;
		if (last) // filled up behind the one before
			at = 18000 - RING;
		CHECK(piece->size <= ALL - at);
		CHECK(memcmp(piece->data, packets + at, piece->size) == 0);
		at += piece->size;
	}
	CHECK_EQUAL(at, 18000);
	CHECK_EQUAL(stream->pieces.count, 5);
	pt_input_fini(&input);
}

static void other_files_are_refused(void)
{
	struct perf_writer writer = {0};
	struct stamp stamp = {.pid = 7, .tid = 7};
	const uint32_t other[] = {3, 0};
	put_calls(&writer, 7, 0);
	check_refused(&writer, STROBE_ERROR_UNSUPPORTED,
		      ": no Intel PT in it: record with perf record -e intel_pt//u");
	perf_writer_record(&writer, 70, 0, other, sizeof(other), NULL);
	check_refused(&writer, STROBE_ERROR_UNSUPPORTED,
		      ": its AUX area is of kind 3, not Intel PT (1)");
	perf_writer_record(&writer, 81, 0, other, sizeof(other), NULL);
	check_refused(&writer, STROBE_ERROR_UNSUPPORTED,
		      ": compressed records (offset 408): record without -z");
	perf_writer_packets(&writer, 0, -1, 7, 0, psb, 16);
	check_refused(&writer, STROBE_ERROR_FORMAT,
		      ": an AUX area, and no record that says of what kind it is");
	writer.sample_type = 1 << 1 | 1 << 2 | 1 << 7 | 1 << 20;
	perf_writer_record(&writer, 9, 0, &stamp, sizeof(stamp), NULL);
	check_refused(&writer, STROBE_ERROR_UNSUPPORTED,
		      ": Intel PT in samples (--aux-sample) is not read");
	struct pt_input input;
	static const char swapped[200] = "2ELIFREP", old[200] = "PERFFILE";
	CHECK_ERROR(open_bytes((const uint8_t *)swapped, 200, &input), STROBE_ERROR_UNSUPPORTED);
	CHECK_ERROR(open_bytes((const uint8_t *)old, 200, &input), STROBE_ERROR_UNSUPPORTED);
	CHECK_ERROR(open_bytes((const uint8_t *)"PERFILE2", 8, &input), STROBE_ERROR_FORMAT);
	CHECK(perf_data_is((const uint8_t *)swapped, 8) && !perf_data_is(psb, 16));
}

static void cut_files_open_as_far_as_they_go(void)
{
	struct perf_writer writer = {0};
	struct pt_input input;
	size_t size;
	perf_writer_info(&writer, &per_thread);
	put_calls(&writer, 7, 0);
	perf_writer_packets(&writer, 0, -1, 7, 0, psb, 16);
	size_t first = writer.records.size;
	perf_writer_packets(&writer, 0, -1, 7, 16, psb, 16);
	uint8_t *bytes = perf_writer_finish(&writer, &size);
	size_t records = 104 + 16 + 2 * (128 + 16), opened = 0;
	for (size_t cut = size; cut-- > 0;) {
		struct strobe_error *error = open_bytes(bytes, cut, &input);
		CHECK(error || cut >= records + first - 16);
		if (error) {
			strobe_error_free(error);
			continue;
		}
		opened++;
		bool empty = cut == records + first - 16; // not a byte of the packets
		CHECK(empty || input.streams.items[0].pieces.count >= 1);
		CHECK(input.warnings.count >= 1 || cut >= records + first + 64);
		pt_input_fini(&input);
	}
	CHECK(opened > 64);
	free(bytes);
}

CHECK_MAIN({"rings of threads are streams, in files and from pipes", rings_of_threads_are_streams},
	   {"rings of CPUs are cut by whom switches, starts and exits name", rings_of_cpus_are_cut},
	   {"without switches one thread has all, and of several none",
	    without_switches_one_thread_is_all},
	   {"code that others replace is told by its times", code_changes_with_time},
	   {"files are held against the build ids", build_ids_are_checked},
	   {"lost packets are errors at their time, lost records a warning", lost_data_is_told},
	   {"what snapshots repeat is cut away", snapshots_repeat_nothing},
	   {"files of other kinds are refused in one line", other_files_are_refused},
	   {"cut files open as far as they go", cut_files_open_as_far_as_they_go})
