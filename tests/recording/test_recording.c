// SPDX-License-Identifier: Apache-2.0
// Recordings are written and read, while they grow, cut anywhere, and with bits turned.

#include <fcntl.h>
#include <inttypes.h>
#include <strobe/memory.h>
#include <strobe/trace.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "check.h"
#include "generator.h"
#include "pt/input.h"
#include "recording/recording.h"
#include "recording/writer.h"

static char folder[] = "/tmp/strobe-recording-XXXXXX";
static char path[128], other[128];

static void make_names(void)
{
	if (*path)
		return;
	CHECK(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/a.strobe-trace", folder);
	snprintf(other, sizeof(other), "%s/b.strobe-trace", folder);
}

static const uint8_t packets[2][24] = {"first packets of a....", "packets of a thread..."};

static void write_facts(struct recording_writer *writer)
{
	struct recording_clock clock = {.multiplier = 1, .wall_offset_ns = 77};
	struct recording_cpu cpu = {.vendor = "GenuineIntel", .family = 6, .model = 85};
	static const uint8_t code[5] = {0x0f, 0x05, 0xc3, 0x90, 0x90};
	static const uint8_t id[3] = {0xab, 0xcd, 0x01};
	struct recording_mapping mapping = {.pid = 10,
					    .clock = 5,
					    .start = 0x400000,
					    .size = 0x1000,
					    .path = "/bin/none-such",
					    .build_id = id,
					    .build_id_size = 3};
	struct recording_code made = {.pid = 10,
				      .clock = 5,
				      .start = 0x700000,
				      .bytes = code,
				      .size = sizeof(code),
				      .name = "[vdso]"};
	CHECK_OK(recording_set_clock(writer, &clock));
	CHECK_OK(recording_set_cpu(writer, &cpu));
	CHECK_OK(recording_add_mapping(writer, &mapping));
	CHECK_OK(recording_add_code(writer, &made));
	mapping.start = 0x400800;
	mapping.size = 0x100;
	mapping.clock = 9;
	CHECK_OK(recording_remove_mapping(writer, &mapping));
}

static uint64_t write_all(struct recording_writer *writer)
{
	uint32_t stream[2];
	uint64_t payload;
	struct recording_thread thread = {.pid = 10, .tid = 11, .cpu = -1, .name = "one"};
	struct recording_event event = {.type = STROBE_EVENT_SYSTEM_CALL,
					.tid = 11,
					.value = 1,
					.arguments = {2, 3, 4},
					.has_address = true,
					.address = 0x400123,
					.text = "\"hello\""};
	write_facts(writer);
	CHECK_OK(recording_add_thread(writer, &thread, &stream[0]));
	thread.tid = 12;
	thread.name = NULL;
	CHECK_OK(recording_add_thread(writer, &thread, &stream[1]));
	CHECK_EQUAL(stream[1], 1);
	CHECK_OK(recording_add_event(writer, &event, &payload));
	CHECK_OK(recording_add_packets(writer, 0, packets[0], 24));
	CHECK_OK(recording_add_packets(writer, 1, packets[1], 23));
	CHECK_OK(recording_add_packets(writer, 0, packets[1], 8));
	return payload;
}

static void check_packets(const struct pt_input *input)
{
	CHECK_EQUAL(input->streams.count, 2);
	const struct pt_stream *stream = &input->streams.items[0];
	CHECK_EQUAL(stream->tid, 11);
	CHECK_EQUAL(stream->cpu, -1);
	CHECK_EQUAL(stream->pieces.count, 2);
	CHECK_EQUAL(stream->pieces.items[0].size, 24);
	CHECK(memcmp(stream->pieces.items[0].data, packets[0], 24) == 0);
	CHECK(memcmp(stream->pieces.items[1].data, packets[1], 8) == 0);
	stream = &input->streams.items[1];
	CHECK_EQUAL(stream->pieces.items[0].size, 23);
	CHECK(memcmp(stream->pieces.items[0].data, packets[1], 23) == 0);
}

static void everything_comes_back(void)
{
	struct recording_writer *writer;
	struct pt_input input;
	struct window_note note;
	struct arena arena = {0};
	uint8_t code[5];
	struct stat status;
	make_names();
	CHECK_OK(recording_create(path, RECORDING_SINGLE_STEP, 10, &writer));
	uint64_t payload = write_all(writer);
	CHECK_OK(recording_finish(writer, 100, 5, 0));
	CHECK(stat(path, &status) == 0 && (status.st_mode & 0777) == 0600);
	CHECK_EQUAL(recording_size(writer), status.st_size);
	recording_writer_close(writer);

	CHECK_OK(recording_open(path, NULL, &input));
	CHECK_STRING(input.technology, "single-step");
	CHECK_STRING(input.format, "strobe");
	CHECK(input.finished && input.has_clock && !input.per_cpu);
	CHECK_EQUAL(input.wall_offset_ns, 77);
	CHECK_STRING(input.cpu_vendor, "GenuineIntel");
	CHECK_EQUAL(input.cpu_model, 85);
	CHECK_EQUAL(input.threads.count, 2);
	CHECK_STRING(input.threads.items[0].name, "one");
	CHECK(!input.threads.items[1].name);
	check_packets(&input);
	CHECK(input.explain(input.context, 0, payload, &note, &arena));
	CHECK_EQUAL(note.type, STROBE_EVENT_SYSTEM_CALL);
	CHECK(note.has_address && !note.has_target);
	CHECK_EQUAL(note.address, 0x400123);
	CHECK_STRING(note.text, "write(0x2, 0x3, 0x4, 0x0, 0x0, 0x0) \"hello\"");
	CHECK(!input.explain(input.context, 0, payload + 1, &note, &arena));
	CHECK(!input.explain(input.context, 0, 5, &note, &arena));
	// The mapping that was cut in two: as it was, until then.
	CHECK_EQUAL(input.code.count, 1);
	CHECK_EQUAL(input.code.items[0].size, 0x1000);
	CHECK_EQUAL(input.code.items[0].until, 9);
	CHECK_EQUAL(strobe_memory_read(input.view, 0x700000, code, 5), 5);
	CHECK_EQUAL(code[2], 0xc3);
	CHECK_EQUAL(strobe_view_module_count(input.view), 2); // what is left on both sides
	arena_fini(&arena);
	pt_input_fini(&input);
}

static void events_have_words(void)
{
	static const struct {
		struct recording_event event;
		const char *text;
	} cases[] = {
		{{.type = STROBE_EVENT_SYSTEM_CALL_END, .value = (uint64_t)-2, .value_2 = 2},
		 "open = -ENOENT"},
		{{.type = STROBE_EVENT_SYSTEM_CALL_END, .value = 17, .value_2 = 1}, "write = 17"},
		{{.type = STROBE_EVENT_SYSTEM_CALL_END, .value = 0x7f0000001000, .value_2 = 9},
		 "mmap = 0x7f0000001000"},
		{{.type = STROBE_EVENT_SYSTEM_CALL_END, .value = 0, .value_2 = 99999},
		 "system call 99999 = 0"},
		{{.type = STROBE_EVENT_SIGNAL, .value = 11, .text = "at 0x0"}, "SIGSEGV at 0x0"},
		{{.type = STROBE_EVENT_THREAD_END, .value = 3 << 8}, "exit status 3"},
		{{.type = STROBE_EVENT_THREAD_END, .value = 9}, "killed by SIGKILL"},
		{{.type = STROBE_EVENT_EXEC, .text = "/bin/true"}, "/bin/true"},
		{{.type = STROBE_EVENT_SKIPPED}, ""},
	};
	enum { COUNT = sizeof(cases) / sizeof(cases[0]) };
	struct recording_writer *writer;
	struct pt_input input;
	struct arena arena = {0};
	uint64_t payloads[COUNT];
	make_names();
	CHECK_OK(recording_create(path, RECORDING_SINGLE_STEP, 10, &writer));
	for (size_t i = 0; i < COUNT; i++)
		CHECK_OK(recording_add_event(writer, &cases[i].event, &payloads[i]));
	CHECK_OK(recording_finish(writer, 0, 0, 0));
	recording_writer_close(writer);
	CHECK_OK(recording_open(path, NULL, &input));
	for (size_t i = 0; i < COUNT; i++) {
		struct window_note note;
		CHECK(input.explain(input.context, 0, payloads[i], &note, &arena));
		CHECK_EQUAL(note.type, cases[i].event.type);
		CHECK_STRING(note.text, cases[i].text);
	}
	arena_fini(&arena);
	pt_input_fini(&input);
}

static void it_is_read_while_it_grows(void)
{
	struct recording_writer *writer;
	struct recording_thread thread = {.pid = 10, .tid = 11, .cpu = -1};
	struct pt_input input;
	uint32_t stream;
	bool grew;
	static uint8_t bytes[300000];
	make_names();
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i * 7 + i / 256);
	CHECK_OK(recording_create(path, RECORDING_SINGLE_STEP, 10, &writer));
	CHECK_OK(recording_open(path, NULL, &input));
	CHECK(!input.finished);
	CHECK_OK(input.refresh(input.context, &input, &grew));
	CHECK(!grew);
	CHECK_OK(recording_add_thread(writer, &thread, &stream));
	CHECK_OK(recording_add_packets(writer, stream, bytes, 1000));
	CHECK_OK(recording_flush(writer));
	CHECK_OK(input.refresh(input.context, &input, &grew));
	CHECK(grew && !input.finished);
	const uint8_t *first = input.streams.items[0].pieces.items[0].data;
	// Beyond what was mapped at first: what was read stays where it is.
	for (unsigned i = 0; i < 10; i++)
		CHECK_OK(recording_add_packets(writer, stream, bytes, sizeof(bytes)));
	CHECK_OK(recording_flush(writer));
	CHECK_OK(input.refresh(input.context, &input, &grew));
	CHECK(grew);
	CHECK_EQUAL(input.streams.items[0].pieces.count, 11);
	CHECK(input.streams.items[0].pieces.items[0].data == first);
	CHECK(memcmp(first, bytes, 1000) == 0);
	CHECK(memcmp(input.streams.items[0].pieces.items[10].data, bytes, sizeof(bytes)) == 0);
	CHECK_OK(recording_finish(writer, 1, 1, 0));
	recording_writer_close(writer);
	CHECK_OK(input.refresh(input.context, &input, &grew));
	CHECK(grew && input.finished && input.streams.items[0].finished);
	CHECK_EQUAL(input.warnings.count, 0);
	pt_input_fini(&input);
}

static void who_was_killed_left_a_warning(void)
{
	struct recording_writer *writer;
	struct pt_input input;
	make_names();
	CHECK_OK(recording_create(path, RECORDING_SINGLE_STEP, 10, &writer));
	write_all(writer);
	CHECK_OK(recording_flush(writer));
	CHECK_OK(recording_open(path, NULL, &input));
	CHECK(!input.finished);
	CHECK_EQUAL(input.warnings.count, 0);
	recording_writer_close(writer); // without finishing it, as the kernel does
	bool grew;
	CHECK_OK(input.refresh(input.context, &input, &grew));
	CHECK(input.finished && grew);
	CHECK_EQUAL(input.warnings.count, 1);
	check_packets(&input);
	pt_input_fini(&input);
}

static void write_file(const char *name, const uint8_t *bytes, size_t size)
{
	int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	CHECK(fd >= 0 && write(fd, bytes, size) == (ssize_t)size);
	close(fd);
}

static struct file *make_file(void)
{
	struct recording_writer *writer;
	struct file *file;
	make_names();
	CHECK_OK(recording_create(path, RECORDING_SINGLE_STEP, 10, &writer));
	write_all(writer);
	CHECK_OK(recording_finish(writer, 1, 1, 0));
	recording_writer_close(writer);
	CHECK_OK(file_open(path, &file));
	return file;
}

static uint64_t packet_bytes(const struct pt_input *input)
{
	uint64_t sum = 0;
	for (size_t i = 0; i < input->streams.count; i++)
		for (size_t k = 0; k < input->streams.items[i].pieces.count; k++)
			sum += input->streams.items[i].pieces.items[k].size;
	return sum;
}

static void a_file_cut_anywhere_is_read_up_to_there(void)
{
	struct file *file = make_file();
	uint64_t before = 0;
	for (size_t size = 0; size <= file->size; size++) {
		struct pt_input input;
		write_file(other, file->data, size);
		if (size < 64) {
			CHECK_ERROR(recording_open(other, NULL, &input), STROBE_ERROR_FORMAT);
			continue;
		}
		CHECK_OK(recording_open(other, NULL, &input));
		CHECK(input.finished);
		uint64_t bytes = packet_bytes(&input);
		CHECK(bytes >= before);
		before = bytes;
		// The cut is no damage, and says one thing only.
		CHECK_EQUAL(input.warnings.count, size < file->size ? 1 : 0);
		pt_input_fini(&input);
	}
	CHECK_EQUAL(before, 24 + 23 + 8);
	file_close(file);
}

static void a_turned_bit_is_found(void)
{
	struct file *file = make_file();
	uint8_t *bytes = malloc(file->size);
	memcpy(bytes, file->data, file->size);
	for (size_t i = 0; i < file->size * 8; i += 3) {
		struct pt_input input;
		bytes[i / 8] ^= (uint8_t)(1 << i % 8);
		write_file(other, bytes, file->size);
		bytes[i / 8] ^= (uint8_t)(1 << i % 8);
		struct strobe_error *error = recording_open(other, NULL, &input);
		CHECK((error != NULL) == (i / 8 < 64)); // the header must be right
		strobe_error_free(error);
		if (error)
			continue;
		// Zeros that fill up a chunk are nobody's.
		bool filling = file->data[i / 8] == 0 && packet_bytes(&input) == 24 + 23 + 8;
		CHECK(input.warnings.count || filling);
		pt_input_fini(&input);
	}
	free(bytes);
	file_close(file);
}

static void what_is_no_recording_is_refused(void)
{
	struct pt_input input;
	uint8_t bytes[64] = "STROBERC";
	make_names();
	write_file(other, bytes, sizeof(bytes));
	CHECK_ERROR(recording_open(other, NULL, &input), STROBE_ERROR_UNSUPPORTED); // version 0
	CHECK(recording_is(bytes, sizeof(bytes)));
	bytes[0] = 'X';
	write_file(other, bytes, sizeof(bytes));
	CHECK_ERROR(recording_open(other, NULL, &input), STROBE_ERROR_FORMAT);
	CHECK(!recording_is(bytes, sizeof(bytes)));
	CHECK_ERROR(recording_open("/none/such", NULL, &input), STROBE_ERROR_SYSTEM);
	CHECK_ERROR(recording_open("/dev/null", NULL, &input), STROBE_ERROR_INVALID);
	struct recording_writer *writer;
	CHECK_ERROR(recording_create("/dev/null", RECORDING_SINGLE_STEP, 1, &writer),
		    STROBE_ERROR_INVALID);
	CHECK_ERROR(recording_create("/none/such", RECORDING_SINGLE_STEP, 1, &writer),
		    STROBE_ERROR_SYSTEM);
}

static void another_program_has_its_own_code(void)
{
	struct recording_writer *writer;
	struct pt_input input;
	struct recording_mapping mapping = {
		.pid = 10, .clock = 1, .start = 0x400000, .size = 0x1000, .path = "/old"};
	make_names();
	CHECK_OK(recording_create(path, RECORDING_SINGLE_STEP, 10, &writer));
	CHECK_OK(recording_add_mapping(writer, &mapping));
	mapping.pid = 20; // another process
	CHECK_OK(recording_add_mapping(writer, &mapping));
	mapping = (struct recording_mapping){.pid = 10, .clock = 7, .size = UINT64_MAX};
	CHECK_OK(recording_remove_mapping(writer, &mapping));
	mapping = (struct recording_mapping){.pid = 10,
					     .clock = 7,
					     .start = 0x400000,
					     .size = 0x1000,
					     .path = "/new",
					     .file = "/copy/of/new"};
	CHECK_OK(recording_add_mapping(writer, &mapping));
	CHECK_OK(recording_finish(writer, 1, 1, 5));
	recording_writer_close(writer);
	CHECK_OK(recording_open(path, NULL, &input));
	CHECK_EQUAL(strobe_view_module_count(input.view), 1);
	CHECK_STRING(strobe_view_module(input.view, 0)->path, "/new");
	CHECK_EQUAL(input.code.count, 2);
	CHECK_STRING(input.code.items[0].path, "/old");
	CHECK_EQUAL(input.code.items[0].pid, 10);
	CHECK_EQUAL(input.code.items[0].until, 7);
	CHECK_EQUAL(input.code.items[1].pid, 20);
	CHECK_EQUAL(input.code.items[1].until, UINT64_MAX);
	CHECK_EQUAL(input.warnings.count, 1); // 5 bytes were lost
	pt_input_fini(&input);
}

static void processors_have_schedules(void)
{
	struct recording_writer *writer;
	struct pt_input input;
	struct recording_thread cpu = {.pid = -1, .tid = -1, .cpu = 3};
	struct recording_thread thread = {.pid = 10, .tid = 11, .cpu = -1, .only_name = true};
	struct recording_switch run = {.start = 5, .end = 9, .pid = 10, .tid = 11, .cpu = 3};
	uint32_t stream = 99;
	make_names();
	CHECK_OK(recording_create(path, RECORDING_INTEL_PT, 10, &writer));
	CHECK_OK(recording_add_thread(writer, &thread, &stream));
	CHECK_EQUAL(stream, 99);
	CHECK_OK(recording_add_thread(writer, &cpu, &stream));
	CHECK_EQUAL(stream, 0);
	CHECK_OK(recording_add_switch(writer, &run));
	run.start = 20;
	run.end = UINT64_MAX;
	CHECK_OK(recording_add_switch(writer, &run));
	CHECK_OK(recording_add_packets(writer, stream, packets[0], 24));
	CHECK_OK(recording_finish(writer, 1, 1, 0));
	recording_writer_close(writer);
	CHECK_OK(recording_open(path, NULL, &input));
	CHECK_STRING(input.technology, "intel-pt");
	CHECK(input.per_cpu);
	CHECK_EQUAL(input.threads.count, 1);
	CHECK_EQUAL(input.schedules.count, 1);
	CHECK_EQUAL(input.schedules.items[0].cpu, 3);
	CHECK_EQUAL(input.schedules.items[0].executions.count, 2);
	CHECK(input.schedules.items[0].executions.items[1].end_guessed);
	CHECK_EQUAL(input.streams.items[0].cpu, 3);
	pt_input_fini(&input);
}

static void clean_up(void)
{
	unlink(path);
	unlink(other);
	CHECK(rmdir(folder) == 0); // nothing else was left there
}

CHECK_MAIN({"everything that is written comes back", everything_comes_back},
	   {"events have words", events_have_words},
	   {"it is read while it grows", it_is_read_while_it_grows},
	   {"who was killed left a warning", who_was_killed_left_a_warning},
	   {"a file cut anywhere is read up to there", a_file_cut_anywhere_is_read_up_to_there},
	   {"a turned bit is found", a_turned_bit_is_found},
	   {"what is no recording is refused", what_is_no_recording_is_refused},
	   {"another program has its own code", another_program_has_its_own_code},
	   {"processors have schedules", processors_have_schedules},
	   {"nothing else is left behind", clean_up})
