// SPDX-License-Identifier: Apache-2.0
#include "perf/perf_data.h"

#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "perf/reading.h"

enum { MAX_SWITCHES = 1 << 26, MAX_EVENTS = 1 << 22, AUXTRACE_INTEL_PT = 1, RECORD_HEADER = 8 };

/** Bits of PERF_RECORD_AUX's flags. */
enum { AUX_TRUNCATED = 1, AUX_PARTIAL = 4, AUX_COLLISION = 8 };

bool perf_data_is(const uint8_t *bytes, size_t size)
{
	return perf_header_is(bytes, size);
}

struct strobe_error *perf_warn(struct perf_reading *reading, const char *format, ...)
{
	char line[512];
	va_list args;
	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	const char *copy = arena_strdup(&reading->input->arena, line);
	return copy && array_push(&reading->input->warnings, copy) ? NULL : error_no_memory();
}

struct perf_thread *perf_thread(struct perf_reading *reading, int pid, int tid)
{
	uintptr_t known = (uintptr_t)hash_get(&reading->tids, (uint32_t)tid);
	if (known)
		return &reading->threads.items[known - 1];
	if (!array_push(&reading->threads, (struct perf_thread){pid, tid, NULL}) ||
	    !hash_put(&reading->tids, (uint32_t)tid, (void *)(uintptr_t)reading->threads.count))
		return NULL;
	return &reading->threads.items[reading->threads.count - 1];
}

/** Numbers from AUXTRACE_INFO's private part, as perf's intel-pt.h orders them. */
enum pt_info_number {
	INFO_PMU_TYPE,
	INFO_TIME_SHIFT,
	INFO_TIME_MULTIPLIER,
	INFO_TIME_ZERO,
	INFO_HAS_TIME_ZERO,
	INFO_TSC_BIT,
	INFO_NO_RETURN_COMPRESSION_BIT,
	INFO_SWITCHES,
	INFO_SNAPSHOTS,
	INFO_PER_CPU,
	INFO_MTC_BIT,
	INFO_MTC_FREQUENCY_BITS,
	INFO_TSC_TO_CTC_NUMERATOR,
	INFO_TSC_TO_CTC_DENOMINATOR,
	INFO_CYC_BIT,
	INFO_NOMINAL_RATIO,
};

static uint64_t info_number(const struct perf_record *record, enum pt_info_number index)
{
	return perf_record_number(record, 8 + 8 * (uint64_t)index, 8);
}

/** How the processor was told to trace: the event's config, read by the bits that AUXTRACE_INFO names. */
static void note_config(struct perf_reading *reading, const struct perf_record *record)
{
	uint64_t config = 0, mtc = info_number(record, INFO_MTC_BIT);
	uint64_t frequency = info_number(record, INFO_MTC_FREQUENCY_BITS);
	for (size_t i = 0; i < reading->header.attributes.count; i++) {
		const struct perf_attribute *attribute = &reading->header.attributes.items[i];
		if (attribute->type != reading->info.pmu_type)
			continue;
		config = attribute->config;
		reading->kernel_traced |= !attribute->exclude_kernel;
	}
	if (!(config & mtc) || !frequency)
		return;
	reading->input->mtc_frequency =
		(uint8_t)((config & frequency) / (frequency & -frequency)); // the lowest bit is 1
	reading->input->cpuid_15_ebx = (uint32_t)info_number(record, INFO_TSC_TO_CTC_NUMERATOR);
	reading->input->cpuid_15_eax = (uint32_t)info_number(record, INFO_TSC_TO_CTC_DENOMINATOR);
}

static struct strobe_error *note_info(struct perf_reading *reading,
				      const struct perf_record *record)
{
	struct pt_input *input = reading->input;
	struct perf_pt_info *info = &reading->info;
	uint32_t type = (uint32_t)perf_record_number(record, 0, 4);
	if (type != AUXTRACE_INTEL_PT)
		return error_new(STROBE_ERROR_UNSUPPORTED,
				 "%s: its AUX area is of kind %" PRIu32 ", not Intel PT (1)",
				 input->path, type);
	info->known = true;
	info->pmu_type = (uint32_t)info_number(record, INFO_PMU_TYPE);
	info->snapshots = info_number(record, INFO_SNAPSHOTS);
	info->per_cpu = info_number(record, INFO_PER_CPU);
	info->switches = info_number(record, INFO_SWITCHES);
	uint64_t multiplier = info_number(record, INFO_TIME_MULTIPLIER);
	uint64_t shift = info_number(record, INFO_TIME_SHIFT);
	info->has_clock = info_number(record, INFO_HAS_TIME_ZERO) && multiplier &&
			  multiplier <= UINT32_MAX && shift < 64;
	if (info->has_clock) {
		input->has_clock = true;
		input->clock_multiplier = (uint32_t)multiplier;
		input->clock_shift = (uint16_t)shift;
		input->clock_zero = info_number(record, INFO_TIME_ZERO);
	}
	input->nominal_frequency = (uint8_t)info_number(record, INFO_NOMINAL_RATIO);
	note_config(reading, record);
	return NULL;
}

static struct strobe_error *note_switch(struct perf_reading *reading,
					const struct perf_record *record)
{
	struct perf_switch item = {
		.time = record->id.time,
		.order = reading->switches.count,
		.cpu = record->id.cpu,
		.pid = record->id.pid,
		.tid = record->id.tid,
		.kind = PERF_CAME,
	};
	if (record->type == PERF_ITRACE_START || record->type == PERF_EXIT) {
		// pid, tid; of an exit pid, parent's pid, tid: who ends has lost its id elsewhere.
		bool ended = record->type == PERF_EXIT;
		item.kind = ended ? PERF_ENDED : PERF_SEEN;
		item.pid = (int)perf_record_number(record, 0, 4);
		item.tid = (int)perf_record_number(record, ended ? 8 : 4, 4);
	} else if (record->misc & PERF_MISC_SWITCH_OUT) {
		item.kind = PERF_WENT;
	}
	if (item.cpu < 0 || !item.time)
		return NULL;
	if (reading->switches.count >= MAX_SWITCHES)
		return error_new(STROBE_ERROR_LIMIT, "%s: more than %d context switches",
				 reading->input->path, MAX_SWITCHES);
	return array_push(&reading->switches, item) ? NULL : error_no_memory();
}

static struct strobe_error *push_event(struct perf_reading *reading,
				       const struct perf_record *record, struct window_note note)
{
	struct pt_input *input = reading->input;
	struct pt_sideband_event event = {
		.clock = pt_ns_to_clock(input, record->id.time),
		.tid = reading->info.per_cpu ? -1 : record->id.tid,
		.cpu = reading->info.per_cpu ? record->id.cpu : -1,
		.note = note,
	};
	if (!record->id.time || !input->has_clock || input->events.count >= MAX_EVENTS)
		return NULL;
	return array_push(&input->events, event) ? NULL : error_no_memory();
}

/** offset, size, flags. */
static struct strobe_error *note_aux(struct perf_reading *reading, const struct perf_record *record)
{
	uint64_t flags = perf_record_number(record, 16, 8);
	struct window_note note = {.is_error = true};
	if (flags & AUX_TRUNCATED)
		note.text = "packets lost: the AUX buffer was full";
	else if (flags & AUX_COLLISION)
		note.text = "packets lost: another user of Intel PT was in the way";
	else if (flags & AUX_PARTIAL)
		note.text = "packets lost: tracing was off while a virtual machine ran";
	return note.text ? push_event(reading, record, note) : NULL;
}

/** pid, tid, name. */
static struct strobe_error *note_name(struct perf_reading *reading,
				      const struct perf_record *record)
{
	struct perf_span name = perf_record_string(record, 8);
	struct perf_thread *thread = perf_thread(reading, (int)perf_record_number(record, 0, 4),
						 (int)perf_record_number(record, 4, 4));
	if (!thread)
		return error_no_memory();
	const char *text = name.bytes ? (const char *)name.bytes : "";
	thread->name = arena_copy_string(&reading->input->arena, text, name.size);
	return thread->name ? perf_maps_note(&reading->maps, record, &reading->input->arena)
			    : error_no_memory();
}

static struct strobe_error *note_attribute(struct perf_reading *reading,
					   const struct perf_record *record)
{
	uint64_t size = perf_record_number(record, 4, 4); // perf_event_attr.size
	if (size > record->size)
		size = record->size;
	struct perf_span ids = {record->bytes + size, record->size - size};
	return perf_header_add(&reading->header, (struct perf_span){record->bytes, size}, ids);
}

/** pid, parent's pid, tid, parent's tid. */
static struct strobe_error *note_fork(struct perf_reading *reading,
				      const struct perf_record *record)
{
	if (!perf_thread(reading, (int)perf_record_number(record, 0, 4),
			 (int)perf_record_number(record, 8, 4)))
		return error_no_memory();
	return perf_maps_note(&reading->maps, record, &reading->input->arena);
}

static struct strobe_error *note_record(struct perf_reading *reading,
					const struct perf_record *record)
{
	struct perf_span content;
	switch (record->type) {
	case PERF_MMAP:
	case PERF_MMAP2:
		return perf_maps_note(&reading->maps, record, &reading->input->arena);
	case PERF_FORK:
		return note_fork(reading, record);
	case PERF_COMM:
		return note_name(reading, record);
	case PERF_EXIT:
	case PERF_ITRACE_START:
	case PERF_SWITCH:
	case PERF_SWITCH_CPU_WIDE:
		return note_switch(reading, record);
	case PERF_AUX:
		return note_aux(reading, record);
	case PERF_LOST:
		reading->lost_records += perf_record_number(record, 8, 8);
		return NULL;
	case PERF_SAMPLE:
		for (size_t i = 0; i < reading->header.attributes.count; i++)
			reading->has_samples_of_aux |=
				reading->header.attributes.items[i].sample_type & PERF_HAS_AUX;
		return NULL;
	case PERF_HEADER_ATTR:
		return note_attribute(reading, record);
	case PERF_HEADER_FEATURE:
		content = (struct perf_span){record->bytes + 8, record->size - 8};
		if (record->size >= 8)
			perf_header_feature(&reading->header, perf_record_number(record, 0, 8),
					    content);
		return NULL;
	case PERF_HEADER_BUILD_ID:
		content = (struct perf_span){record->bytes - RECORD_HEADER,
					     record->size + RECORD_HEADER};
		return array_push(&reading->build_ids, content) ? NULL : error_no_memory();
	case PERF_AUXTRACE_INFO:
		return note_info(reading, record);
	case PERF_AUXTRACE:
		return perf_aux_note(&reading->aux, record);
	case PERF_COMPRESSED:
	case PERF_COMPRESSED2:
		return error_new(STROBE_ERROR_UNSUPPORTED,
				 "%s: compressed records (offset %" PRIu64 "): record without -z",
				 reading->input->path, record->offset);
	default:
		return NULL;
	}
}

static struct strobe_error *read_records(struct perf_reading *reading)
{
	struct perf_walk walk = {.header = &reading->header, .position = reading->header.start};
	struct perf_record record;
	struct strobe_error *error = NULL;
	while (!error && perf_record_next(&walk, &record))
		error = note_record(reading, &record);
	if (error)
		return error;
	const char *path = reading->input->path;
	if (reading->header.problem)
		error = perf_warn(reading, "%s: %s", path, reading->header.problem);
	if (!error && walk.problem)
		error = perf_warn(reading,
				  "%s: damaged at offset %" PRIu64 ": %s; what follows is not read",
				  path, walk.position, walk.problem);
	if (!error && reading->lost_records)
		error = perf_warn(reading,
				  "%s: %" PRIu64 " records were lost while recording: mappings and "
				  "switches may be missing",
				  path, reading->lost_records);
	return error;
}

/** "GenuineIntel,6,85,4" */
static struct strobe_error *note_cpu(struct perf_reading *reading)
{
	struct pt_input *input = reading->input;
	const struct perf_span *cpu = &reading->header.cpu;
	char *text = arena_copy_string(&input->arena, cpu->size ? (const char *)cpu->bytes : "",
				       cpu->size);
	if (!text)
		return error_no_memory();
	char *comma = strchr(text, ',');
	if (!comma || sscanf(comma, ",%u,%u,%u", &input->cpu_family, &input->cpu_model,
			     &input->cpu_stepping) != 3)
		return NULL;
	*comma = '\0';
	input->cpu_vendor = text;
	return NULL;
}

static struct strobe_error *make_streams(struct perf_reading *reading)
{
	struct pt_input *input = reading->input;
	struct perf_aux *aux = &reading->aux;
	for (size_t i = 0; i < aux->queues.count; i++) {
		const struct perf_aux_queue *queue = &aux->queues.items[i];
		bool per_cpu = reading->info.per_cpu;
		const struct perf_thread *thread =
			per_cpu ? NULL : perf_thread(reading, queue->tid, queue->tid);
		struct pt_stream stream = {.pid = -1, .tid = -1, .cpu = -1, .finished = true};
		if (!per_cpu && !thread)
			return error_no_memory();
		if (per_cpu) {
			stream.cpu = queue->cpu;
		} else {
			struct pt_thread listed = {thread->pid, thread->tid, thread->name};
			stream.pid = thread->pid;
			stream.tid = thread->tid;
			if (!array_push(&input->threads, listed))
				return error_no_memory();
		}
		struct strobe_error *error =
			perf_aux_join(aux, queue, reading->info.snapshots, &stream);
		if (error || !array_push(&input->streams, stream)) {
			array_fini(&stream.pieces);
			return error ? error : error_no_memory();
		}
	}
	if (aux->gap_count)
		return perf_warn(reading, "%s: bytes of packets are missing at %" PRIu64 " places",
				 input->path, aux->gap_count);
	return NULL;
}

static int order_events(const void *a, const void *b)
{
	const struct pt_sideband_event *x = a, *y = b;
	return x->clock < y->clock ? -1 : x->clock > y->clock;
}

static struct strobe_error *check_content(const struct perf_reading *reading)
{
	const char *path = reading->input->path;
	if (reading->aux.queues.count && reading->info.known)
		return NULL;
	if (reading->has_samples_of_aux)
		return error_new(STROBE_ERROR_UNSUPPORTED,
				 "%s: Intel PT in samples (--aux-sample) is not read", path);
	if (reading->aux.queues.count)
		return error_new(STROBE_ERROR_FORMAT,
				 "%s: an AUX area, and no record that says of what kind it is",
				 path);
	return error_new(STROBE_ERROR_UNSUPPORTED,
			 "%s: no Intel PT in it: record with perf record -e intel_pt//u", path);
}

static struct strobe_error *read_all(struct perf_reading *reading, const struct file *file)
{
	struct pt_input *input = reading->input;
	struct strobe_error *error = perf_header_read(file, &reading->header);
	if (!error)
		error = read_records(reading);
	if (!error)
		error = check_content(reading);
	if (!error && reading->header.build_ids.size &&
	    !array_push(&reading->build_ids, reading->header.build_ids))
		error = error_no_memory();
	if (!error)
		error = note_cpu(reading);
	if (error)
		return error;
	input->format = "perf.data";
	input->technology = "intel-pt";
	input->per_cpu = reading->info.per_cpu;
	input->finished = true;
	if (input->events.count)
		qsort(input->events.items, input->events.count, sizeof(struct pt_sideband_event),
		      order_events);
	error = make_streams(reading);
	if (!error && input->per_cpu)
		error = perf_make_schedules(reading);
	return error ? error : perf_make_view(reading);
}

static void close_file(void *context)
{
	file_close(context);
}

struct strobe_error *perf_data_open(const char *path, const struct strobe_trace_options *options,
				    struct pt_input *ret)
{
	struct pt_input input;
	struct file *file;
	struct strobe_error *error = file_open(path, &file);
	if (error)
		return error;
	struct perf_reading reading = {.input = &input, .options = options};
	pt_input_init(&input);
	input.context = file;
	input.close = close_file;
	input.path = arena_strdup(&input.arena, path);
	error = input.path ? read_all(&reading, file) : error_no_memory();
	perf_header_fini(&reading.header);
	perf_aux_fini(&reading.aux);
	perf_maps_fini(&reading.maps);
	array_fini(&reading.switches);
	array_fini(&reading.build_ids);
	array_fini(&reading.threads);
	hash_fini(&reading.tids);
	if (error)
		pt_input_fini(&input);
	else
		*ret = input;
	return error;
}
