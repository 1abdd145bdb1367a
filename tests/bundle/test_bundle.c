// SPDX-License-Identifier: Apache-2.0
#include "bundle/bundle.h"

#include <strobe/memory.h>
#include <strobe/symbols.h>
#include <unistd.h>

#include "check.h"

#define SYNTH TRACES "/synth/"

static const struct strobe_view_options offline = {.size = sizeof(offline), .no_debuginfod = true};
static const struct strobe_trace_options options = {.size = sizeof(options), .view = &offline};

/** Opens `text` as a bundle in a folder of its own; its files are those of synth/FOLDER. */
static struct strobe_error *open_text(const char *text, struct pt_input *ret)
{
	char path[] = "/tmp/strobe-bundle-XXXXXX";
	int fd = mkstemp(path);
	CHECK(fd >= 0);
	CHECK(write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	close(fd);
	struct strobe_error *error = bundle_open(path, &options, ret);
	unlink(path);
	return error;
}

/** The message's part behind the file's name. */
static void check_refused(const char *text, const char *expected)
{
	struct pt_input input;
	char message[1024];
	struct strobe_error *error = open_text(text, &input);
	CHECK(error != NULL);
	snprintf(message, sizeof(message), "%s", strobe_error_message(error));
	CHECK_EQUAL(strobe_error_code(error), STROBE_ERROR_FORMAT);
	strobe_error_free(error);
	CHECK(strlen(message) > 25);
	CHECK_STRING(message + 25, expected);
}

static uint64_t stream_bytes(const struct pt_input *input, size_t index)
{
	uint64_t size = 0;
	for (size_t i = 0; i < input->streams.items[index].pieces.count; i++)
		size += input->streams.items[index].pieces.items[i].size;
	return size;
}

static void threads_have_files(void)
{
	struct pt_input input;
	CHECK_OK(bundle_open(SYNTH "threads2/trace.json", &options, &input));
	CHECK_STRING(input.format, "bundle");
	CHECK_STRING(input.technology, "intel-pt");
	CHECK_STRING(input.cpu_vendor, "GenuineIntel");
	CHECK_EQUAL(input.cpu_family, 6);
	CHECK_EQUAL(input.cpu_model, 85);
	CHECK_EQUAL(input.cpu_stepping, 4);
	CHECK(input.has_clock && !input.per_cpu && !input.kernel && input.finished);
	CHECK_EQUAL(input.clock_multiplier, 341);
	CHECK_EQUAL(input.clock_shift, 10);
	CHECK_EQUAL(pt_clock_to_ns(&input, 1024), 341);
	CHECK_EQUAL(pt_ns_to_clock(&input, 341), 1024);
	CHECK_EQUAL(input.threads.count, 2);
	CHECK_EQUAL(input.threads.items[0].tid, 5001);
	CHECK_EQUAL(input.threads.items[1].tid, 5002);
	CHECK_EQUAL(input.streams.count, 2);
	CHECK_EQUAL(input.streams.items[1].tid, 5002);
	CHECK(stream_bytes(&input, 0) > 20000 && stream_bytes(&input, 1) > 20000);
	CHECK_EQUAL(input.warnings.count, 0);
	CHECK_EQUAL(strobe_view_warning_count(input.view), 0);
	pt_input_fini(&input);
}

static void the_view_has_symbols_and_code(void)
{
	struct pt_input input;
	uint8_t bytes[4];
	CHECK_OK(bundle_open(SYNTH "calls1/trace.json", &options, &input));
	const struct strobe_view *view = input.view;
	CHECK_EQUAL(strobe_view_module_count(view), 1);
	const struct strobe_module *module = strobe_view_module(view, 0);
	CHECK_STRING(module->name, "calls");
	CHECK_STRING(module->build_id, "486df1789249fd97604e25ec7ea36f490339cd5e");
	CHECK_STRING(module->file, SYNTH "calls1/calls");
	CHECK_EQUAL(module->start, 0x400000);
	CHECK_EQUAL(module->bias, 0);
	CHECK_EQUAL(strobe_memory_read(view, 0x401000, bytes, 4), 4);
	struct strobe_memory_extent extent;
	strobe_memory_extent(view, 0x401000, &extent);
	CHECK_EQUAL(extent.state, STROBE_MEMORY_FILE);
	strobe_memory_extent(view, 0x7ffff0000000, &extent);
	CHECK_EQUAL(extent.state, STROBE_MEMORY_MISSING);
	CHECK_STRING(extent.why, "not recorded");
	CHECK_EQUAL(strobe_memory_read(view, 0x7ffff0000000, bytes, 4), 0);
	struct strobe_symbols *symbols;
	struct strobe_symbol symbol;
	CHECK_OK(strobe_symbols_open(view, &symbols));
	CHECK(strobe_symbol_at(symbols, 0x401000, &symbol));
	CHECK_STRING(symbol.name, "_start");
	strobe_symbols_close(symbols);
	CHECK_EQUAL(strobe_view_process_info(view)->pid, 4242);
	CHECK_STRING(strobe_view_process_info(view)->source_kind, "trace");
	pt_input_fini(&input);
}

static void shared_objects_lie_where_they_were(void)
{
	struct pt_input input;
	CHECK_OK(bundle_open(SYNTH "dso/trace.json", &options, &input));
	CHECK(!input.has_clock);
	CHECK_EQUAL(strobe_view_module_count(input.view), 3);
	const struct strobe_module *foo =
		strobe_view_module(input.view, strobe_view_module_at(input.view, 0x7ffff7fbb000));
	CHECK(foo != NULL);
	CHECK_STRING(foo->path, "/opt/app/libfoo.so");
	CHECK_STRING(foo->file, SYNTH "dso/libfoo.so");
	CHECK_EQUAL(foo->bias, 0x7ffff7fbb000);
	struct strobe_memory_extent extent;
	bool missing_data = false;
	for (size_t i = 0; i < strobe_view_mapping_count(input.view); i++) {
		const struct strobe_mapping *mapping = strobe_view_mapping(input.view, i);
		strobe_memory_extent(input.view, mapping->start, &extent);
		bool writable = mapping->permissions & STROBE_PERMISSION_WRITE;
		CHECK_EQUAL(extent.state, writable ? STROBE_MEMORY_MISSING : STROBE_MEMORY_FILE);
		missing_data |= writable;
	}
	CHECK(missing_data);
	pt_input_fini(&input);
}

static void cpus_are_cut_by_switches(void)
{
	struct pt_input input, without_list;
	CHECK_OK(bundle_open(SYNTH "mcpu/trace.json", &options, &input));
	CHECK(input.per_cpu && !input.kernel);
	CHECK_EQUAL(input.streams.count, 2);
	CHECK_EQUAL(input.streams.items[1].cpu, 1);
	CHECK_EQUAL(input.streams.items[1].tid, -1);
	CHECK_EQUAL(input.threads.count, 2);
	CHECK_EQUAL(input.schedules.count, 2);
	bool seen[2] = {false, false};
	for (size_t c = 0; c < 2; c++) {
		uint64_t last = 0;
		CHECK(input.schedules.items[c].executions.count > 2);
		for (size_t i = 0; i < input.schedules.items[c].executions.count; i++) {
			const struct pt_execution *one =
				&input.schedules.items[c].executions.items[i];
			CHECK(one->start >= last && one->start < one->end);
			last = one->end;
			seen[0] |= one->tid == 5001 && one->pid == 4242;
			seen[1] |= one->tid == 5002;
		}
	}
	CHECK(seen[0] && seen[1]);
	CHECK_OK(bundle_open(SYNTH "mcpu/trace_missing_threads.json", &options, &without_list));
	CHECK_EQUAL(without_list.threads.count, 2);
	int sum = without_list.threads.items[0].tid + without_list.threads.items[1].tid;
	CHECK_EQUAL(sum, 5001 + 5002);
	CHECK_EQUAL(without_list.threads.items[0].pid, 4242);
	pt_input_fini(&without_list);
	pt_input_fini(&input);
}

static void a_kernel_has_a_thread_a_cpu(void)
{
	struct pt_input input;
	CHECK_OK(bundle_open(SYNTH "mcpu/trace_kernel.json", &options, &input));
	CHECK(input.per_cpu && input.kernel);
	CHECK_EQUAL(input.schedules.count, 0);
	CHECK_EQUAL(input.threads.count, 2);
	CHECK_STRING(input.threads.items[1].name, "kernel_cpu_1");
	CHECK_EQUAL(input.threads.items[1].pid, 1);
	CHECK_EQUAL(input.threads.items[1].tid, 1);
	CHECK_EQUAL(strobe_view_module(input.view, 0)->start, 0x400000);
	pt_input_fini(&input);
}

static void damaged_ones_open(void)
{
	static const char *const names[] = {"badbase", "empty",		"garbled",
					    "hole",    "nohead",	"nopsb",
					    "trunc",   "unknown_model", "unknown_vendor"};
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct pt_input input;
		char path[512];
		snprintf(path, sizeof(path), SYNTH "faulty/%s.json", names[i]);
		CHECK_OK(bundle_open(path, &options, &input));
		CHECK_EQUAL(input.streams.count, 1);
		CHECK_EQUAL(stream_bytes(&input, 0) == 0, strcmp(names[i], "empty") == 0);
		CHECK_EQUAL(strobe_view_warning_count(input.view), 0);
		CHECK_EQUAL(strobe_view_module(input.view, 0)->start,
			    strcmp(names[i], "badbase") == 0 ? 0x800000 : 0x400000);
		CHECK_EQUAL(input.cpu_vendor == NULL, strcmp(names[i], "unknown_vendor") == 0);
		pt_input_fini(&input);
	}
}

#define CPU "\"cpuInfo\": {\"vendor\": \"unknown\", \"family\": 6, \"model\": 85, \"stepping\": 4}"
#define LOOP "\"iptTrace\": \"" SYNTH "loop/loop.pt\""

static void the_schema_is_kept(void)
{
	check_refused("{\n  \"type\": \"intel-pt\",\n  }",
		      ":3:3: not JSON: string or '}' expected near '}'");
	check_refused("", ":1:0: not JSON: unexpected token near end of file");
	check_refused("[]", ": expected an object at traceBundle: []");
	check_refused("{}", ": missing value at traceBundle.type (a string): {/* here */}");
	check_refused(
		"{\"type\": \"arm\"}",
		": expected \"intel-pt\" at traceBundle.type: {\"type\": /* here */ \"arm\"}");
	check_refused(
		"{\"type\": \"intel-pt\"}",
		": missing value at traceBundle.cpuInfo (an object with vendor, family, model and "
		"stepping): {\"type\": \"intel-pt\", /* here */}");
	check_refused(
		"{\"type\": \"intel-pt\", \"cpuInfo\": {\"vendor\": \"GenuineIntel\", \"family\": "
		"\"six\", \"model\": 85, \"stepping\": 4}}",
		": expected an integer at traceBundle.cpuInfo.family: {\"vendor\": "
		"\"GenuineIntel\", \"family\": /* here */ \"six\", \"model\": 85, \"stepping\": "
		"4}");
	check_refused(
		"{\"type\": \"intel-pt\", " CPU "}",
		": missing value at traceBundle.processes (an array): {\"type\": \"intel-pt\", "
		"\"cpuInfo\": {...}, /* here */}");
	check_refused("{\"type\": \"intel-pt\", " CPU ", \"processes\": [7]}",
		      ": expected an object at traceBundle.processes[0]: [/* here */ 7]");
	check_refused("{\"type\": \"intel-pt\", " CPU ", \"processes\": [{\"pid\": 1, \"threads\": "
		      "[{\"tid\": -4, \"iptTrace\": \"x\"}]}]}",
		      ": expected an integer from 0 to 2147483647 at "
		      "traceBundle.processes[0].threads[0].tid: {\"tid\": /* here */ -4, "
		      "\"iptTrace\": \"x\"}");
}

#define HEAD "{\"type\": \"intel-pt\", " CPU ", "
#define CONVERSION "\"tscPerfZeroConversion\": {\"timeMult\": 1, \"timeShift\": 0, \"timeZero\": 0}"

static void contradictions_are_told(void)
{
	check_refused(
		HEAD "\"processes\": []}",
		": no packets: neither traceBundle.cpus nor a thread's iptTrace names a file");
	check_refused(HEAD "\"processes\": [], \"cpus\": []}",
		      ": missing value at traceBundle.tscPerfZeroConversion (needed by the context "
		      "switches of traceBundle.cpus): {\"type\": \"intel-pt\", \"cpuInfo\": {...}, "
		      "\"processes\": [], \"cpus\": [], /* here */}");
	check_refused(
		HEAD CONVERSION ", \"processes\": [], \"cpus\": [], \"kernel\": {}}",
		": expected none beside traceBundle.kernel at traceBundle.processes: "
		"{\"type\": \"intel-pt\", \"cpuInfo\": {...}, \"tscPerfZeroConversion\": {...}, "
		"\"processes\": /* here */ [], \"cpus\": [], \"kernel\": {}}");
	check_refused(
		HEAD "\"kernel\": {}}",
		": missing value at traceBundle.cpus (needed by traceBundle.kernel): {\"type\": "
		"\"intel-pt\", \"cpuInfo\": {...}, \"kernel\": {}, /* here */}");
	check_refused(
		HEAD CONVERSION ", \"cpus\": [], \"processes\": [{\"pid\": 1, \"threads\": "
				"[{\"tid\": 5, \"iptTrace\": \"x\"}], \"modules\": []}]}",
		": thread 5 has a trace of its own, and traceBundle.cpus says that traces are "
		"by CPU");
	check_refused(HEAD "\"processes\": [{\"pid\": 1, \"threads\": [{\"tid\": 5, " LOOP
			   "}, {\"tid\": 5, " LOOP "}], \"modules\": []}]}",
		      ": thread 5 is listed twice");
	check_refused(HEAD CONVERSION
		      ", \"processes\": [], \"cpus\": [{\"id\": 1, \"iptTrace\": \"x\", "
		      "\"contextSwitchTrace\": \"y\"}, {\"coreId\": 1, \"traceBuffer\": \"x\", "
		      "\"contextSwitchTrace\": \"y\"}]}",
		      ": expected a CPU that is not listed before at traceBundle.cpus[1].coreId: "
		      "{\"coreId\": /* here */ 1, \"traceBuffer\": \"x\", \"contextSwitchTrace\": "
		      "\"y\"}");
	check_refused(
		"{\"type\": \"intel-pt\", " CPU
		", \"tscPerfZeroConversion\": {\"timeMult\": 0, \"timeShift\": 0, "
		"\"timeZero\": 0}}",
		": expected an integer above 0 at traceBundle.tscPerfZeroConversion.timeMult: "
		"{\"timeMult\": /* here */ 0, \"timeShift\": 0, \"timeZero\": 0}");
}

/** A process with the packets of synth/loop and the module given. */
static void open_with_module(const char *module, struct pt_input *ret)
{
	char text[4096];
	snprintf(text, sizeof(text),
		 HEAD "\"processes\": [{\"pid\": 1, \"threads\": [{\"tid\": 5, \"traceBuffer\": "
		      "\"%s\"}], "
		      "\"modules\": [%s]}]}",
		 SYNTH "loop/loop.pt", module);
	CHECK_OK(open_text(text, ret));
	CHECK_EQUAL(stream_bytes(ret, 0) > 0, true);
}

static void check_address(const char *written, uint64_t expected)
{
	struct pt_input input;
	char module[1024];
	snprintf(module, sizeof(module),
		 "{\"systemPath\": \"/x/libfoo.so\", \"file\": \"%s\", \"loadAddress\": %s}",
		 SYNTH "dso/libfoo.so", written);
	open_with_module(module, &input);
	CHECK_EQUAL(strobe_view_module_count(input.view), 1);
	CHECK_EQUAL(strobe_view_module(input.view, 0)->start, expected);
	pt_input_fini(&input);
}

static void addresses_are_numbers_or_strings(void)
{
	check_address("4194304", 0x400000);
	check_address("\"4194304\"", 0x400000);
	check_address("\"0x400000\"", 0x400000);
	check_address("18446744071578845184", 0xffffffff81000000); // beyond 63 bits
	check_address("\"0XFFFFFFFF81000000\"", 0xffffffff81000000);
	static const char *const wrong[] = {"\"-1\"", "\"0x\"", "\"12z\"", "\" 1\"",
					    "1.5",    "-4",	"[]",	   "184467440715788451840",
					    "\"\""};
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		struct pt_input input;
		char text[1024];
		snprintf(text, sizeof(text),
			 HEAD "\"processes\": [{\"pid\": 1, \"threads\": [], \"modules\": "
			      "[{\"systemPath\": "
			      "\"x\", \"loadAddress\": %s}]}]}",
			 wrong[i]);
		CHECK_ERROR(open_text(text, &input), STROBE_ERROR_FORMAT);
	}
}

static void missing_modules_are_warnings(void)
{
	struct pt_input input;
	open_with_module("{\"systemPath\": \"/nonexistent/libx.so\", \"loadAddress\": 8192}",
			 &input);
	CHECK_EQUAL(strobe_view_warning_count(input.view), 1);
	CHECK_STRING(strobe_view_warning(input.view, 0),
		     "/nonexistent/libx.so: not found: /nonexistent/libx.so");
	CHECK_EQUAL(strobe_view_module_count(input.view), 1);
	CHECK(strobe_view_module(input.view, 0)->file == NULL);
	CHECK_EQUAL(strobe_view_module(input.view, 0)->start, 8192);
	pt_input_fini(&input);
	open_with_module("{\"systemPath\": \"/opt/loop\", \"file\": \"" SYNTH "loop/loop\", "
			 "\"loadAddress\": 4194304, \"uuid\": "
			 "\"00000000-0000-0000-0000-000000000000-00000000\"}",
			 &input);
	CHECK_EQUAL(strobe_view_warning_count(input.view), 1);
	CHECK(strstr(strobe_view_warning(input.view, 0),
		     "has build id 89bf62047b4c0bc9b12aa7a28e737f642e0a7d21"));
	CHECK(strobe_view_module(input.view, 0)->file == NULL);
	pt_input_fini(&input);
	open_with_module("{\"systemPath\": \"/opt/loop\", \"file\": \"" SYNTH "loop/loop\", "
			 "\"loadAddress\": 4194304, \"uuid\": "
			 "\"89BF6204-7B4C-0BC9-B12A-A7A28E737F64-2E0A7D21\"}",
			 &input);
	CHECK_EQUAL(strobe_view_warning_count(input.view), 0);
	CHECK_STRING(strobe_view_module(input.view, 0)->file, SYNTH "loop/loop");
	pt_input_fini(&input);
	open_with_module("{\"systemPath\": \"/opt/loop.pt\", \"file\": \"" SYNTH "loop/loop.pt\", "
			 "\"loadAddress\": 4194304}",
			 &input);
	CHECK(strstr(strobe_view_warning(input.view, 0), "loop.pt is not an ELF file"));
	pt_input_fini(&input);
}

static void missing_packets_are_warnings(void)
{
	struct pt_input input;
	CHECK_OK(open_text(HEAD "\"processes\": [{\"pid\": 1, \"threads\": [{\"tid\": 5, " LOOP
				"}, {\"tid\": 6, \"iptTrace\": \"/nonexistent\"}, {\"tid\": 7}], "
				"\"modules\": []}]}",
			   &input));
	CHECK_EQUAL(input.threads.count, 3);
	CHECK_EQUAL(input.streams.count, 1);
	CHECK_EQUAL(input.warnings.count, 1);
	CHECK(strstr(input.warnings.items[0], "/nonexistent: "));
	pt_input_fini(&input);
	CHECK_ERROR(open_text(HEAD "\"processes\": [{\"pid\": 1, \"threads\": [{\"tid\": 6, "
				   "\"iptTrace\": \"/nonexistent\"}], \"modules\": []}]}",
			      &input),
		    STROBE_ERROR_SYSTEM);
	CHECK_ERROR(bundle_open("/nonexistent.json", &options, &input), STROBE_ERROR_SYSTEM);
}

CHECK_MAIN({"each thread has a file of packets", threads_have_files},
	   {"modules are a view with symbols and code; what no file has is not recorded",
	    the_view_has_symbols_and_code},
	   {"shared objects lie where they were loaded", shared_objects_lie_where_they_were},
	   {"packets by CPU come with who ran; threads may come from there",
	    cpus_are_cut_by_switches},
	   {"a kernel's trace has a thread for each CPU", a_kernel_has_a_thread_a_cpu},
	   {"what is damaged inside its packets opens", damaged_ones_open},
	   {"what breaks the schema is named and shown", the_schema_is_kept},
	   {"what contradicts itself is told", contradictions_are_told},
	   {"addresses are numbers, or strings with numbers", addresses_are_numbers_or_strings},
	   {"a module without its file is a warning", missing_modules_are_warnings},
	   {"packets that are missing are a warning while others are there",
	    missing_packets_are_warnings})
