// SPDX-License-Identifier: Apache-2.0
#include "bundle/write.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/text.h"

enum { NAME_SIZE = 64 };

static bool is_saved(const struct bundle_writing *writing, int pid, int tid)
{
	const struct pt_thread *thread = hash_get(&writing->tids, (uint32_t)tid);
	return thread && thread->pid == pid;
}

json_t *bundle_json_string(const char *text)
{
	json_t *string = json_string(text);
	char *copy = string ? NULL : strdup(text);
	for (char *c = copy; c && *c; c++)
		if (*c < ' ') // bytes above 127, too
			*c = '?';
	if (copy)
		string = json_string(copy);
	free(copy);
	return string;
}

/** Appends a part of a stream to a file. */
static struct strobe_error *write_packets(struct bundle_writing *writing, int fd, size_t stream)
{
	const struct pt_stream *from = &writing->input->streams.items[stream];
	const struct bundle_part *part = &writing->parts[stream];
	struct strobe_error *error = NULL;
	uint64_t start = 0;
	for (size_t i = 0; !error && i < from->pieces.count; i++) {
		const struct pt_piece *piece = &from->pieces.items[i];
		uint64_t low = part->from > start ? part->from - start : 0;
		uint64_t high = part->to > start ? part->to - start : 0;
		if (high > piece->size)
			high = piece->size;
		if (low < high) {
			error = folder_write(&writing->folder, fd, piece->data + low, high - low);
			writing->saved->packet_bytes += high - low;
		}
		start += piece->size;
	}
	return error;
}

/** A file with the streams of a thread (cpu -1) or a CPU. */
static struct strobe_error *write_streams(struct bundle_writing *writing, const char *name, int tid,
					  int cpu)
{
	int fd;
	struct strobe_error *error = folder_open(&writing->folder, name, &fd);
	if (error)
		return error;
	for (size_t i = 0; !error && i < writing->input->streams.count; i++) {
		const struct pt_stream *stream = &writing->input->streams.items[i];
		if (cpu >= 0 ? stream->cpu == cpu : stream->tid == tid)
			error = write_packets(writing, fd, i);
	}
	struct strobe_error *closed = folder_close(&writing->folder, fd);
	if (error)
		strobe_error_free(closed);
	return error ? error : closed;
}

static void put(struct text *text, uint64_t value, unsigned size)
{
	for (unsigned i = 0; i < size; i++)
		text_append_char(text, (char)(value >> (8 * i)));
}

/** PERF_RECORD_SWITCH_CPU_WIDE of perf_event_open(2), with the sample id that LLDB expects. */
static void put_switch(struct text *text, const struct pt_execution *one, uint64_t ns, bool out)
{
	put(text, 15, 4);
	put(text, out ? 1 << 13 : 0, 2);
	put(text, 32, 2);
	put(text, 0, 8); // the other: idle, as far as is told
	put(text, (uint32_t)one->pid, 4);
	put(text, (uint32_t)one->tid, 4);
	put(text, ns, 8);
}

/** The first ns that is not before the clock's value: what was made of ns becomes the same again. */
static uint64_t ns_of(const struct pt_input *input, uint64_t clock)
{
	uint64_t ns = pt_clock_to_ns(input, clock);
	return pt_ns_to_clock(input, ns) < clock ? ns + 1 : ns;
}

static void put_switches(const struct bundle_writing *writing, size_t stream, struct text *text)
{
	const struct pt_input *input = writing->input;
	const struct bundle_part *part = &writing->parts[stream];
	int cpu = input->streams.items[stream].cpu;
	uint64_t last = 0;
	for (size_t s = 0; !input->kernel && s < input->schedules.count; s++) {
		const struct pt_cpu_schedule *schedule = &input->schedules.items[s];
		for (size_t i = 0; schedule->cpu == cpu && i < schedule->executions.count; i++) {
			const struct pt_execution *one = &schedule->executions.items[i];
			if (one->end < part->first_clock || one->start > part->last_clock ||
			    !is_saved(writing, one->pid, one->tid))
				continue;
			// Times must grow: what ended as the next began is a ns apart.
			if (one->start) {
				uint64_t ns = ns_of(input, one->start);
				last = ns > last ? ns : last + 1;
				put_switch(text, one, last, false);
			}
			if (one->end != UINT64_MAX) {
				uint64_t ns = ns_of(input, one->end);
				last = ns > last ? ns : last + 1;
				put_switch(text, one, last, true);
			}
		}
	}
}

static struct strobe_error *write_text(struct bundle_writing *writing, const char *name,
				       const struct text *text)
{
	int fd;
	if (text->failed)
		return error_no_memory();
	struct strobe_error *error = folder_open(&writing->folder, name, &fd);
	if (error)
		return error;
	error = folder_write(&writing->folder, fd, text->data, text->size);
	struct strobe_error *closed = folder_close(&writing->folder, fd);
	if (error)
		strobe_error_free(closed);
	return error ? error : closed;
}

/** Takes over `value`; false when memory is short. */
static bool set(json_t *object, const char *key, json_t *value)
{
	return json_object_set_new(object, key, value) == 0;
}

static struct strobe_error *write_cpu(struct bundle_writing *writing, size_t stream, json_t *cpus)
{
	int cpu = writing->input->streams.items[stream].cpu;
	struct text switches cleanup_text = {0};
	char packets[NAME_SIZE], name[NAME_SIZE];
	snprintf(packets, sizeof(packets), "cpus/%d.intelpt_trace", cpu);
	snprintf(name, sizeof(name), "cpus/%d.perf_context_switch_trace", cpu);
	put_switches(writing, stream, &switches);
	struct strobe_error *error = write_streams(writing, packets, -1, cpu);
	if (!error)
		error = write_text(writing, name, &switches);
	json_t *item = error ? NULL : json_object();
	if (error)
		return error;
	bool good = set(item, "id", json_integer(cpu)) &&
		    set(item, "iptTrace", json_string(packets)) &&
		    set(item, "contextSwitchTrace", json_string(name));
	return json_array_append_new(cpus, item) == 0 && good ? NULL : error_no_memory();
}

static struct strobe_error *write_cpus(struct bundle_writing *writing, json_t *root)
{
	json_t *cpus = json_array();
	if (!set(root, "cpus", cpus))
		return error_no_memory();
	struct strobe_error *error = NULL;
	for (size_t i = 0; !error && i < writing->input->streams.count; i++) {
		bool told = writing->parts[i].from >= writing->parts[i].to;
		for (size_t k = 0; !told && k < i; k++)
			told = writing->input->streams.items[k].cpu ==
				       writing->input->streams.items[i].cpu &&
			       writing->parts[k].from < writing->parts[k].to;
		if (!told)
			error = write_cpu(writing, i, cpus);
	}
	return error;
}

static struct strobe_error *write_thread(struct bundle_writing *writing,
					 const struct pt_thread *thread, json_t *threads)
{
	char name[NAME_SIZE];
	struct strobe_error *error = NULL;
	snprintf(name, sizeof(name), "threads/%d.intelpt_trace", thread->tid);
	if (!writing->input->per_cpu)
		error = write_streams(writing, name, thread->tid, -1);
	json_t *item = error ? NULL : json_object();
	if (error)
		return error;
	bool good = set(item, "tid", json_integer(thread->tid));
	if (!writing->input->per_cpu)
		good = good && set(item, "iptTrace", json_string(name));
	if (thread->name) // ours: LLDB passes over it
		good = good && set(item, "name", bundle_json_string(thread->name));
	writing->saved->thread_count++;
	return json_array_append_new(threads, item) == 0 && good ? NULL : error_no_memory();
}

/** A process that saved threads are of, with them. */
static struct strobe_error *write_process(struct bundle_writing *writing, int pid, json_t *modules,
					  json_t *processes)
{
	const struct pt_input *input = writing->input;
	json_t *process = json_object(), *threads = json_array();
	bool good = set(process, "pid", json_integer(pid)) &&
		    set(process, "triple", json_string("x86_64-*-linux"));
	good &= set(process, "threads", threads);
	good &= json_object_set(process, "modules", modules) == 0;
	if (json_array_append_new(processes, process) != 0 || !good)
		return error_no_memory();
	struct strobe_error *error = NULL;
	for (size_t i = 0; !error && i < input->threads.count; i++)
		if (input->threads.items[i].pid == pid && writing->threads[i])
			error = write_thread(writing, &input->threads.items[i], threads);
	return error;
}

static struct strobe_error *write_processes(struct bundle_writing *writing, json_t *modules,
					    json_t *root)
{
	const struct pt_input *input = writing->input;
	json_t *processes = json_array();
	if (!set(root, "processes", processes))
		return error_no_memory();
	struct strobe_error *error = NULL;
	struct hash pids = {0};
	for (size_t i = 0; !error && i < input->threads.count; i++) {
		int pid = input->threads.items[i].pid;
		if (!writing->threads[i] || hash_get(&pids, (uint32_t)pid))
			continue;
		error = hash_put(&pids, (uint32_t)pid, writing) ? NULL : error_no_memory();
		if (!error)
			error = write_process(writing, pid, modules, processes);
	}
	hash_fini(&pids);
	return error;
}

/** A kernel's bundle has the kernel for its processes. */
static struct strobe_error *write_kernel(struct bundle_writing *writing, json_t *modules,
					 json_t *root)
{
	json_t *first = json_array_get(modules, 0), *kernel = json_object();
	json_t *file = json_object_get(first, "file");
	if (!file)
		file = json_object_get(first, "systemPath");
	if (!first || !file) {
		json_decref(kernel);
		return error_new(STROBE_ERROR_UNSUPPORTED,
				 "the kernel's file is not known: a bundle cannot do without it");
	}
	bool good =
		json_object_set(kernel, "file", file) == 0 &&
		json_object_set(kernel, "loadAddress", json_object_get(first, "loadAddress")) == 0;
	for (size_t i = 0; i < writing->input->threads.count; i++)
		writing->saved->thread_count += writing->threads[i];
	return set(root, "kernel", kernel) && good ? NULL : error_no_memory();
}

static bool add_cpu_info(const struct pt_input *input, json_t *root)
{
	json_t *info = json_object();
	// Packets of our own making have no processor's errata; LLDB wants one that it knows.
	bool ours = strcmp(input->technology, "intel-pt") != 0;
	const char *vendor = ours ? "GenuineIntel" : input->cpu_vendor;
	bool good = set(info, "vendor", json_string(vendor ? vendor : "unknown")) &&
		    set(info, "family", json_integer(ours ? 6 : input->cpu_family)) &&
		    set(info, "model", json_integer(ours ? 85 : input->cpu_model)) &&
		    set(info, "stepping", json_integer(ours ? 4 : input->cpu_stepping));
	return set(root, "cpuInfo", info) && good;
}

static bool add_clock(const struct pt_input *input, json_t *root)
{
	char zero[NAME_SIZE];
	if (!input->has_clock)
		return true;
	json_t *conversion = json_object();
	snprintf(zero, sizeof(zero), "%" PRIu64, input->clock_zero);
	bool good = set(conversion, "timeMult", json_integer(input->clock_multiplier)) &&
		    set(conversion, "timeShift", json_integer(input->clock_shift)) &&
		    set(conversion, "timeZero", json_string(zero));
	return set(root, "tscPerfZeroConversion", conversion) && good;
}

/** What LLDB's form has no place for, and passes over. */
static bool add_ours(const struct pt_input *input, json_t *root)
{
	char wall[NAME_SIZE];
	json_t *ours = json_object();
	bool good = set(ours, "technology", json_string(input->technology)) &&
		    set(ours, "mtcFrequency", json_integer(input->mtc_frequency)) &&
		    set(ours, "nominalFrequency", json_integer(input->nominal_frequency)) &&
		    set(ours, "cpuid15eax", json_integer(input->cpuid_15_eax)) &&
		    set(ours, "cpuid15ebx", json_integer(input->cpuid_15_ebx));
	snprintf(wall, sizeof(wall), "%" PRIu64, (uint64_t)input->wall_offset_ns);
	good = good && set(ours, "wallOffsetNs", json_string(wall));
	return set(root, "strobe", ours) && good;
}

static struct strobe_error *write_description(struct bundle_writing *writing, const json_t *root)
{
	struct text text cleanup_text = {0};
	char *dump = json_dumps(root, JSON_INDENT(2));
	if (!dump)
		return error_no_memory();
	text_append(&text, dump);
	text_append_char(&text, '\n');
	free(dump);
	return write_text(writing, "trace.json", &text);
}

static struct strobe_error *write_all(struct bundle_writing *writing, json_t *root)
{
	const struct pt_input *input = writing->input;
	json_t *modules = NULL;
	if (!set(root, "type", json_string("intel-pt")) || !add_cpu_info(input, root) ||
	    !add_clock(input, root) || !add_ours(input, root))
		return error_no_memory();
	struct strobe_error *error = bundle_write_modules(writing, &modules);
	if (!error && input->per_cpu)
		error = write_cpus(writing, root);
	if (!error)
		error = (input->kernel ? write_kernel : write_processes)(writing, modules, root);
	json_decref(modules);
	return error ? error : write_description(writing, root);
}

struct strobe_error *bundle_write(struct bundle_writing *writing)
{
	const struct pt_input *input = writing->input;
	if (input->per_cpu && !input->has_clock)
		return error_new(
			STROBE_ERROR_UNSUPPORTED,
			"packets by CPU without a clock: a bundle cannot say whose they are");
	for (size_t i = 0; i < input->streams.count; i++)
		writing->folder.expected_bytes += writing->parts[i].to - writing->parts[i].from;
	writing->folder.expected_bytes += bundle_module_bytes(writing);
	bool good = true;
	for (size_t i = 0; i < input->threads.count; i++)
		if (writing->threads[i])
			good &= hash_put(&writing->tids, (uint32_t)input->threads.items[i].tid,
					 &input->threads.items[i]);
	json_t *root = good ? json_object() : NULL;
	struct strobe_error *error = root ? write_all(writing, root) : error_no_memory();
	json_decref(root);
	hash_fini(&writing->tids);
	writing->saved->file_bytes = writing->folder.written_bytes;
	writing->saved->code_missing_count = input->code.count;
	return error;
}
