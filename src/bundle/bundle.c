// SPDX-License-Identifier: Apache-2.0
#include "bundle/bundle.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "base/growing_file.h"
#include "base/hash.h"
#include "bundle/description.h"
#include "bundle/switches.h"
#include "trace/module_view.h"

/** A thread's packets, to which somebody may append. */
struct growing {
	size_t stream; // in the input
	struct growing_file file;
};

/** Files that stay mapped for as long as the input lives. */
struct bundle_files {
	ARRAY(struct file *) items;
	ARRAY(struct growing) growing; // only of bundles that are followed
};

static void close_files(void *context)
{
	struct bundle_files *files = context;
	for (size_t i = 0; i < files->items.count; i++)
		file_close(files->items.items[i]);
	for (size_t i = 0; i < files->growing.count; i++)
		growing_file_close(&files->growing.items[i].file);
	array_fini(&files->items);
	array_fini(&files->growing);
	free(files);
}

struct opening {
	struct description description;
	struct pt_input *input;
	struct bundle_files *files;	    // the input's context
	struct strobe_error *first_missing; // why the first file of packets is not there
	struct hash pids, tids;		    // of the processes and threads so far, -> anything
	const struct strobe_view_options *view_options; // may be NULL
	bool follow;
};

bool bundle_is(const uint8_t *bytes, size_t size)
{
	size_t i = 0;
	while (i < size && bytes[i] && strchr(" \t\r\n", bytes[i]))
		i++;
	return i < size && bytes[i] == '{';
}

static struct strobe_error *warn(struct opening *opening, const char *line)
{
	const char *copy = arena_strdup(&opening->input->arena, line);
	if (!copy || !array_push(&opening->input->warnings, copy))
		return error_no_memory();
	return NULL;
}

/** A file that cannot be opened is a warning; takes over `error`. */
static struct strobe_error *note_missing(struct opening *opening, struct strobe_error *error)
{
	if (strobe_error_code(error) == STROBE_ERROR_NO_MEMORY)
		return error;
	struct strobe_error *failed = warn(opening, strobe_error_message(error));
	if (opening->first_missing || failed)
		strobe_error_free(error);
	else
		opening->first_missing = error;
	return failed;
}

/** Opens a file that stays open; one that is missing is a warning, and `*ret` NULL. */
static struct strobe_error *keep_file(struct opening *opening, const char *path, struct file **ret)
{
	struct file *file;
	struct strobe_error *error = file_open(path, &file);
	*ret = NULL;
	if (error)
		return note_missing(opening, error);
	if (!array_push(&opening->files->items, file)) {
		file_close(file);
		return error_no_memory();
	}
	*ret = file;
	return NULL;
}

static struct strobe_error *push_stream(struct opening *opening, struct pt_stream stream,
					const uint8_t *data, uint64_t size)
{
	struct pt_piece piece = {.data = data, .size = size, .mapped = true};
	stream.finished = !opening->follow;
	if (size && !array_push(&stream.pieces, piece))
		return error_no_memory();
	if (array_push(&opening->input->streams, stream))
		return NULL;
	array_fini(&stream.pieces);
	return error_no_memory();
}

static struct strobe_error *add_growing(struct opening *opening, const char *path,
					struct pt_stream stream)
{
	struct growing growing = {.stream = opening->input->streams.count};
	struct strobe_error *error = growing_file_open(&growing.file, path);
	if (error) {
		growing_file_close(&growing.file);
		return note_missing(opening, error);
	}
	if (!array_push(&opening->files->growing, growing)) {
		growing_file_close(&growing.file);
		return error_no_memory();
	}
	return push_stream(opening, stream, growing.file.data, growing.file.size);
}

static struct strobe_error *add_stream(struct opening *opening, const char *path,
				       struct pt_stream stream)
{
	struct file *file;
	if (opening->follow)
		return add_growing(opening, path, stream);
	struct strobe_error *error = keep_file(opening, path, &file);
	return error || !file ? error : push_stream(opening, stream, file->data, file->size);
}

/** A thread is listed once, whoever names it. */
static struct strobe_error *add_thread(struct opening *opening, int pid, int tid, const char *name)
{
	struct pt_thread thread = {pid, tid, name};
	if (hash_get(&opening->tids, (uint32_t)tid))
		return NULL;
	if (!hash_put(&opening->tids, (uint32_t)tid, opening) ||
	    !array_push(&opening->input->threads, thread))
		return error_no_memory();
	return NULL;
}

static struct strobe_error *add_process_threads(struct opening *opening,
						const struct bundle_process *process)
{
	bool noted = hash_put(&opening->pids, (uint32_t)process->pid, opening);
	struct strobe_error *error = noted ? NULL : error_no_memory();
	for (size_t i = 0; !error && i < process->threads.count; i++) {
		const struct bundle_thread *thread = &process->threads.items[i];
		struct pt_stream stream = {.pid = process->pid, .tid = thread->tid, .cpu = -1};
		if (hash_get(&opening->tids, (uint32_t)thread->tid))
			return error_new(STROBE_ERROR_FORMAT, "%s: thread %d is listed twice",
					 opening->input->path, thread->tid);
		error = add_thread(opening, process->pid, thread->tid, thread->name);
		if (!error && thread->packets)
			error = add_stream(opening, thread->packets, stream);
	}
	return error;
}

/** Threads of the listed processes that only the switches know. */
static struct strobe_error *add_seen_threads(struct opening *opening,
					     const struct bundle_switches *switches)
{
	struct strobe_error *error = NULL;
	for (size_t i = 0; !error && i < switches->items.count; i++) {
		const struct pt_switch *item = &switches->items.items[i];
		if (hash_get(&opening->pids, (uint32_t)item->pid))
			error = add_thread(opening, item->pid, item->tid, NULL);
	}
	return error;
}

static struct strobe_error *add_switches(struct opening *opening, const struct bundle_cpu *cpu)
{
	struct pt_cpu_schedule schedule = {.cpu = cpu->id};
	struct bundle_switches switches = {0};
	struct file *file;
	struct strobe_error *error = keep_file(opening, cpu->switches, &file);
	if (error || !file)
		return error;
	error = switches_read(file, cpu->id, opening->input, &switches);
	if (!error && switches.cut) {
		char line[64];
		snprintf(line, sizeof(line), "CPU %d: the last context switch is cut off", cpu->id);
		error = warn(opening, line);
	}
	if (!error)
		error = add_seen_threads(opening, &switches);
	if (!error)
		error = pt_schedule_build(switches.items.items, switches.items.count, &schedule);
	array_fini(&switches.items);
	if (!error && !array_push(&opening->input->schedules, schedule))
		error = error_no_memory();
	if (error)
		array_fini(&schedule.executions);
	return error;
}

static struct strobe_error *add_cpu(struct opening *opening, const struct bundle_cpu *cpu)
{
	const struct description *description = &opening->description;
	struct pt_stream stream = {.pid = -1, .tid = -1, .cpu = cpu->id};
	struct strobe_error *error = add_stream(opening, cpu->packets, stream);
	if (error || !description->kernel)
		return error ? error : add_switches(opening, cpu);
	const char *name = arena_printf(&opening->input->arena, "kernel_cpu_%d", cpu->id);
	return name ? add_thread(opening, description->processes.items[0].pid, cpu->id, name)
		    : error_no_memory();
}

static struct strobe_error *make_view(struct opening *opening)
{
	const struct description *description = &opening->description;
	struct strobe_error *error = NULL;
	size_t count = 0, room = 0;
	for (size_t i = 0; i < description->processes.count; i++)
		room += description->processes.items[i].modules.count;
	struct module_place *places = calloc(room + 1, sizeof(*places));
	if (!places)
		return error_no_memory();
	for (size_t i = 0; i < description->processes.count; i++) {
		const struct bundle_process *process = &description->processes.items[i];
		for (size_t k = 0; k < process->modules.count; k++)
			places[count++] = (struct module_place){
				.path = process->modules.items[k].system_path,
				.file = process->modules.items[k].file,
				.build_id = process->modules.items[k].build_id,
				.start = process->modules.items[k].load_address,
			};
	}
	int pid = description->processes.count ? description->processes.items[0].pid : -1;
	error = module_view_new(pid, places, count, NULL, 0, opening->view_options,
				&opening->input->view);
	free(places);
	return error;
}

static void note_machine(struct opening *opening)
{
	const struct description *description = &opening->description;
	struct pt_input *input = opening->input;
	input->format = "bundle";
	input->technology = description->technology ? description->technology : "intel-pt";
	input->cpu_vendor = description->vendor;
	input->cpu_family = description->family;
	input->cpu_model = description->model;
	input->cpu_stepping = description->stepping;
	input->mtc_frequency = (uint8_t)description->mtc_frequency;
	input->nominal_frequency = (uint8_t)description->nominal_frequency;
	input->cpuid_15_eax = description->cpuid_15_eax;
	input->cpuid_15_ebx = description->cpuid_15_ebx;
	input->wall_offset_ns = description->wall_offset_ns;
	input->has_clock = description->has_conversion;
	input->clock_multiplier = description->time_multiplier;
	input->clock_shift = description->time_shift;
	input->clock_zero = description->time_zero;
	input->per_cpu = description->per_cpu;
	input->kernel = description->kernel;
	input->finished = true;
}

/** What was appended to a thread's packets since is another piece of its stream. */
static struct strobe_error *grow(struct growing *growing, struct pt_input *input, bool *ret_grew)
{
	uint64_t known = growing->file.size;
	struct strobe_error *error = growing_file_refresh(&growing->file);
	if (error || growing->file.size == known)
		return error;
	struct pt_piece piece = {.data = growing->file.data + known,
				 .size = growing->file.size - known,
				 .mapped = true};
	if (!array_push(&input->streams.items[growing->stream].pieces, piece))
		return error_no_memory();
	*ret_grew = true;
	return NULL;
}

static struct strobe_error *refresh(void *context, struct pt_input *input, bool *ret_grew)
{
	struct bundle_files *files = context;
	struct strobe_error *error = NULL;
	for (size_t i = 0; !error && i < files->growing.count; i++)
		error = grow(&files->growing.items[i], input, ret_grew);
	return error;
}

static struct strobe_error *fill(struct opening *opening)
{
	const struct description *description = &opening->description;
	struct strobe_error *error = NULL;
	note_machine(opening);
	// Who ran when is read once: CPUs' packets are followed only as far as they are.
	opening->follow = opening->follow && !description->cpus.count;
	if (opening->follow) {
		opening->input->finished = false;
		opening->input->refresh = refresh;
	}
	for (size_t i = 0; !error && i < description->processes.count; i++)
		error = add_process_threads(opening, &description->processes.items[i]);
	for (size_t i = 0; !error && i < description->cpus.count; i++)
		error = add_cpu(opening, &description->cpus.items[i]);
	if (!error && !opening->input->streams.count) {
		error = opening->first_missing;
		opening->first_missing = NULL;
		if (!error)
			error = error_new(STROBE_ERROR_FORMAT,
					  "%s: no packets: neither traceBundle.cpus nor a thread's "
					  "iptTrace names a file",
					  opening->input->path);
	}
	return error ? error : make_view(opening);
}

static struct strobe_error *open_file(const struct file *file,
				      const struct strobe_trace_options *options,
				      struct pt_input *input)
{
	struct opening opening = {.input = input,
				  .view_options = options ? options->view : NULL,
				  .follow = options && options->follow};
	opening.files = calloc(1, sizeof(*opening.files));
	if (!opening.files)
		return error_no_memory();
	input->context = opening.files;
	input->close = close_files;
	input->path = arena_strdup(&input->arena, file->path);
	struct strobe_error *error = input->path ? NULL : error_no_memory();
	if (!error)
		error = description_read(file, &input->arena, &opening.description);
	if (!error)
		error = fill(&opening);
	description_fini(&opening.description);
	hash_fini(&opening.pids);
	hash_fini(&opening.tids);
	strobe_error_free(opening.first_missing);
	return error;
}

struct strobe_error *bundle_open(const char *path, const struct strobe_trace_options *options,
				 struct pt_input *ret)
{
	struct pt_input input;
	struct file *file;
	struct strobe_error *error = file_open(path, &file);
	if (error)
		return error;
	pt_input_init(&input);
	error = open_file(file, options, &input);
	file_close(file);
	if (error)
		pt_input_fini(&input);
	else
		*ret = input;
	return error;
}
