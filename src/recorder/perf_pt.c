// SPDX-License-Identifier: Apache-2.0
// Intel PT by the processor: an event of each thread on each CPU, all of a CPU writing into one ring
// (perf_event_open(2); Documentation/admin-guide/perf/ and perf-intel-pt(1) for the bits of `config`).
#include <cpuid.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"
#include "process/proc.h"
#include "recorder/aux_ring.h"
#include "recorder/code_watch.h"
#include "recorder/launch.h"
#include "recorder/method.h"

#define DEVICE "/sys/bus/event_source/devices/intel_pt"

enum {
	DATA_BYTES = 1 << 20,
	AUX_BYTES = 4 << 20,
	TEND_MS = 100,
	CPU_LIMIT = 4096,
	// Of `config`: DEVICE/format.
	CONFIG_PT = 1 << 0,
	CONFIG_MTC = 1 << 9,
	CONFIG_TSC = 1 << 10,
	CONFIG_BRANCH = 1 << 13,
	CONFIG_MTC_PERIOD_SHIFT = 14,
	MTC_PERIOD = 3,
};

/** Of each record's end (sample_id_all): pid and tid, time, CPU. */
struct record_id {
	uint32_t pid, tid;
	uint64_t time;
	uint32_t cpu, zero;
};

struct pt_cpu {
	int cpu;
	struct aux_ring ring;
	uint32_t stream;
	uint64_t running_since; // TSC; 0 = nobody of ours
	int pid, tid;
	bool wrapped; // a snapshot's ring was gone round
	uint64_t last_head;
};

struct pt_recorder {
	struct record_job *job;
	struct code_watch watch;
	ARRAY(int) events; // descriptors
	ARRAY(struct pt_cpu) cpus;
	ARRAY(int) known; // threads that were told
	uint64_t lost_bytes;
};

const char *perf_pt_problem(void)
{
	if (access(DEVICE, F_OK) == 0)
		return NULL;
	return "this processor has no Intel PT that the kernel shows (" DEVICE " is not there)";
}

static uint64_t read_number(const char *path)
{
	unsigned long long value = 0;
	FILE *file = fopen(path, "re");
	if (!file || fscanf(file, "%llu", &value) != 1)
		value = 0;
	if (file)
		fclose(file);
	return value;
}

static struct perf_event_attr make_attributes(const struct record_job *job)
{
	bool mtc = read_number(DEVICE "/caps/mtc") == 1;
	struct perf_event_attr attributes = {
		.type = (uint32_t)read_number(DEVICE "/type"),
		.size = sizeof(attributes),
		.config = CONFIG_PT | CONFIG_BRANCH | CONFIG_TSC,
		.sample_type = PERF_SAMPLE_TID | PERF_SAMPLE_TIME | PERF_SAMPLE_CPU,
		.sample_id_all = 1,
		.exclude_kernel = 1,
		.exclude_hv = 1,
		.inherit = !job->options->tid,
		.context_switch = 1,
		.disabled = job->launch >= 0,
		.enable_on_exec = job->launch >= 0,
	};
	if (mtc)
		attributes.config |= CONFIG_MTC | MTC_PERIOD << CONFIG_MTC_PERIOD_SHIFT;
	return attributes;
}

static struct strobe_error *map_rings(struct pt_recorder *recorder, int event, int cpu)
{
	const struct strobe_record_options *options = recorder->job->options;
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	struct pt_cpu added = {.cpu = cpu};
	struct recording_thread stream = {
		.pid = -1, .tid = -1, .cpu = cpu, .clock = record_clock()};
	added.ring.data_size = DATA_BYTES;
	added.ring.aux_size = options->buffer_bytes ? options->buffer_bytes : AUX_BYTES;
	void *base = mmap(NULL, page + DATA_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, event, 0);
	if (base == MAP_FAILED)
		return error_errno(errno, "CPU %d: ring of records", cpu);
	added.ring.page = base;
	added.ring.data = (const uint8_t *)base + page;
	added.ring.page->aux_offset = page + DATA_BYTES;
	added.ring.page->aux_size = added.ring.aux_size;
	// Read-only, it is written over and over.
	int protection = options->snapshot ? PROT_READ : PROT_READ | PROT_WRITE;
	void *aux = mmap(NULL, added.ring.aux_size, protection, MAP_SHARED, event,
			 (off_t)(page + DATA_BYTES));
	if (aux == MAP_FAILED)
		return error_errno(errno, "CPU %d: buffer of %" PRIu64 " bytes (see --buffer-size)",
				   cpu, added.ring.aux_size);
	added.ring.aux = aux;
	struct strobe_error *error =
		recording_add_thread(recorder->job->writer, &stream, &added.stream);
	if (!error && !array_push(&recorder->cpus, added))
		error = error_no_memory();
	return error;
}

/** All threads of the process on one CPU. */
static struct strobe_error *open_cpu(struct pt_recorder *recorder, int cpu, const pid_t *tids,
				     size_t count)
{
	struct perf_event_attr attributes = make_attributes(recorder->job);
	struct strobe_error *error = NULL;
	int first = -1;
	for (size_t i = 0; !error && i < count; i++) {
		int event = (int)syscall(SYS_perf_event_open, &attributes, tids[i], cpu, -1,
					 PERF_FLAG_FD_CLOEXEC);
		if (event < 0 && errno == ESRCH)
			continue; // it has ended
		if (event < 0)
			return error_errno(errno, "perf_event_open, thread %d, CPU %d",
					   (int)tids[i], cpu);
		if (!array_push(&recorder->events, event)) {
			close(event);
			return error_no_memory();
		}
		if (first < 0)
			error = map_rings(recorder, event, cpu);
		else if (ioctl(event, PERF_EVENT_IOC_SET_OUTPUT, first))
			error = error_errno(errno, "CPU %d: PERF_EVENT_IOC_SET_OUTPUT", cpu);
		first = first < 0 ? event : first;
	}
	return error;
}

static struct strobe_error *open_events(struct pt_recorder *recorder)
{
	struct record_job *job = recorder->job;
	struct proc_tids tids = {0};
	long cpus = sysconf(_SC_NPROCESSORS_CONF);
	struct strobe_error *error = NULL;
	pid_t one = job->options->tid;
	if (!one && proc_threads(job->pid, &tids))
		return error_new(STROBE_ERROR_NOT_FOUND, "process %d has ended", (int)job->pid);
	for (int cpu = 0; !error && cpu < cpus && cpu < CPU_LIMIT; cpu++)
		error = open_cpu(recorder, cpu, one ? &one : tids.list.items,
				 one ? 1 : tids.list.count);
	array_fini(&tids.list);
	if (!error && !recorder->cpus.count)
		error = error_new(STROBE_ERROR_NOT_FOUND, "process %d has ended", (int)job->pid);
	return error;
}

static struct strobe_error *tell_clock(struct pt_recorder *recorder)
{
	const struct perf_event_mmap_page *page = recorder->cpus.items[0].ring.page;
	struct timespec wall, boot;
	struct recording_clock clock = {
		.multiplier = page->time_mult, .shift = page->time_shift, .zero = page->time_zero};
	if (!page->cap_user_time_zero)
		return NULL;
	clock_gettime(CLOCK_REALTIME, &wall);
	clock_gettime(CLOCK_MONOTONIC, &boot); // the perf clock's, but for its drift
	clock.wall_offset_ns =
		(wall.tv_sec - boot.tv_sec) * INT64_C(1000000000) + wall.tv_nsec - boot.tv_nsec;
	return recording_set_clock(recorder->job->writer, &clock);
}

/** CPUID, leaf 1 (family, model, stepping) and 15h (crystal clock), as the manual has them. */
static struct strobe_error *tell_cpu(struct pt_recorder *recorder)
{
	unsigned a, b, c, d, vendor[4] = {0};
	struct recording_cpu cpu = {.vendor = (const char *)vendor};
	uint64_t config = make_attributes(recorder->job).config;
	if (!__get_cpuid(0, &a, &vendor[0], &vendor[2], &vendor[1]) ||
	    !__get_cpuid(1, &a, &b, &c, &d))
		return NULL;
	cpu.family = (a >> 8 & 15) + ((a >> 8 & 15) == 15 ? a >> 20 & 0xff : 0);
	cpu.model = (a >> 4 & 15) | (a >> 12 & 0xf0);
	cpu.stepping = a & 15;
	if (__get_cpuid(0x15, &a, &b, &c, &d)) {
		cpu.cpuid_15_eax = a;
		cpu.cpuid_15_ebx = b;
	}
	cpu.mtc_frequency = config & CONFIG_MTC ? MTC_PERIOD : 0;
	cpu.nominal_frequency = (uint8_t)read_number(DEVICE "/max_nonturbo_ratio");
	return recording_set_cpu(recorder->job->writer, &cpu);
}

/** perf_event_open(2), time_zero: the TSC at `ns` of the perf clock. */
static uint64_t to_clock(const struct perf_event_mmap_page *page, uint64_t ns)
{
	if (!page->time_mult)
		return ns;
	unsigned __int128 shifted = (unsigned __int128)(ns - page->time_zero) << page->time_shift;
	return (uint64_t)(shifted / page->time_mult);
}

static struct strobe_error *tell_thread(struct pt_recorder *recorder, int pid, int tid)
{
	struct text name = {0};
	char path[64];
	uint32_t none;
	for (size_t i = 0; i < recorder->known.count; i++)
		if (recorder->known.items[i] == tid)
			return NULL;
	snprintf(path, sizeof(path), "%d/task/%d/comm", pid, tid);
	proc_read(path, &name);
	text_truncate(&name, strcspn(text_string(&name), "\n"));
	struct recording_thread thread = {.pid = pid,
					  .tid = tid,
					  .cpu = -1,
					  .name = text_string(&name),
					  .clock = record_clock(),
					  .only_name = true};
	struct strobe_error *error = recording_add_thread(recorder->job->writer, &thread, &none);
	text_fini(&name);
	if (!error && !array_push(&recorder->known, tid))
		error = error_no_memory();
	return error;
}

struct pt_visit {
	struct pt_recorder *recorder;
	struct pt_cpu *cpu;
};

static struct strobe_error *end_run(struct pt_visit *visit, uint64_t end)
{
	struct pt_cpu *cpu = visit->cpu;
	struct recording_switch run = {.start = cpu->running_since,
				       .end = end,
				       .pid = cpu->pid,
				       .tid = cpu->tid,
				       .cpu = cpu->cpu};
	cpu->running_since = 0;
	if (!run.start || end <= run.start)
		return NULL;
	struct strobe_error *error = tell_thread(visit->recorder, run.pid, run.tid);
	return error ? error : recording_add_switch(visit->recorder->job->writer, &run);
}

static struct strobe_error *take_record(void *context, const struct perf_event_header *record,
					size_t size)
{
	struct pt_visit *visit = context;
	struct record_id id;
	if (record->type != PERF_RECORD_SWITCH || size < sizeof(*record) + sizeof(id))
		return NULL;
	memcpy(&id, (const uint8_t *)record + size - sizeof(id), sizeof(id));
	uint64_t now = to_clock(visit->cpu->ring.page, id.time);
	if (record->misc & PERF_RECORD_MISC_SWITCH_OUT)
		return end_run(visit, now);
	visit->cpu->running_since = now;
	visit->cpu->pid = (int)id.pid;
	visit->cpu->tid = (int)id.tid;
	return NULL;
}

static struct strobe_error *take_bytes(void *context, const uint8_t *bytes, size_t size)
{
	struct pt_visit *visit = context;
	return recording_add_packets(visit->recorder->job->writer, visit->cpu->stream, bytes, size);
}

/** Takes what is in the rings. */
static struct strobe_error *drain(struct pt_recorder *recorder, bool last)
{
	bool snapshot = recorder->job->options->snapshot;
	struct strobe_error *error = NULL;
	for (size_t i = 0; !error && i < recorder->cpus.count; i++) {
		struct pt_cpu *cpu = &recorder->cpus.items[i];
		struct pt_visit visit = {recorder, cpu};
		uint64_t head = cpu->ring.page->aux_head;
		cpu->wrapped = cpu->wrapped || head < cpu->last_head || head >= cpu->ring.aux_size;
		cpu->last_head = head;
		error = aux_ring_records(&cpu->ring, take_record, &visit);
		if (!error && last)
			error = end_run(&visit, UINT64_MAX);
		if (!error && !snapshot)
			error = aux_ring_trace(&cpu->ring, take_bytes, &visit,
					       &recorder->lost_bytes);
		else if (!error && last)
			error = aux_ring_snapshot(&cpu->ring, cpu->wrapped, take_bytes, &visit);
	}
	return error;
}

/** True if nothing is left of it but its status. */
static bool has_ended(pid_t pid)
{
	struct text stat = {0};
	char name[32];
	snprintf(name, sizeof(name), "%d/stat", (int)pid);
	bool gone = proc_read(name, &stat) != 0;
	const char *state = gone ? NULL : proc_stat_field(text_string(&stat), 3);
	gone = gone || !state || *state == 'Z' || *state == 'X';
	text_fini(&stat);
	return gone;
}

static struct strobe_error *follow(struct pt_recorder *recorder)
{
	struct record_job *job = recorder->job;
	struct strobe_record_result *result = &job->shared->result;
	uint64_t start = record_clock();
	struct strobe_error *error = NULL;
	bool ended = false;
	result->end = STROBE_RECORD_STOPPED;
	while (!error && !ended && !job->shared->stop && !job->ended()) {
		double seconds = (double)(record_clock() - start) / 1e9;
		if (job->limits.seconds > 0 && seconds >= job->limits.seconds) {
			result->end = STROBE_RECORD_SECONDS;
			break;
		}
		poll(NULL, 0, TEND_MS);
		ended = has_ended(job->pid);
		error = drain(recorder, false);
		if (!error && !ended)
			error = code_watch_scan(&recorder->watch);
		if (!error)
			error = recording_flush(job->writer);
		job->shared->bytes = recording_size(job->writer);
		job->shared->threads = recorder->known.count;
		job->shared->started = true;
	}
	if (ended)
		result->end = STROBE_RECORD_TARGET_ENDED;
	result->target_runs = !ended;
	result->seconds = (double)(record_clock() - start) / 1e9;
	return error;
}

static void close_all(struct pt_recorder *recorder)
{
	for (size_t i = 0; i < recorder->cpus.count; i++) {
		struct aux_ring *ring = &recorder->cpus.items[i].ring;
		munmap((void *)(uintptr_t)ring->aux, ring->aux_size);
		munmap(ring->page, (size_t)sysconf(_SC_PAGESIZE) + ring->data_size);
	}
	for (size_t i = 0; i < recorder->events.count; i++)
		close(recorder->events.items[i]);
	array_fini(&recorder->cpus);
	array_fini(&recorder->events);
	array_fini(&recorder->known);
	code_watch_close(&recorder->watch);
}

/** Lets a program that waits begin; its code is there once it has been executed. */
static struct strobe_error *start(struct pt_recorder *recorder)
{
	struct record_job *job = recorder->job;
	if (job->launch >= 0 && !launch_wait(job->launch))
		return error_new(STROBE_ERROR_NOT_FOUND, "%s: ended before it began",
				 job->options->arguments[0]);
	struct strobe_error *error = open_events(recorder);
	if (!error)
		error = tell_clock(recorder);
	if (!error)
		error = tell_cpu(recorder);
	if (!error && job->launch >= 0)
		launch_go(job->launch);
	return error ? error : code_watch_open(&recorder->watch, job->pid, job->writer);
}

struct strobe_error *perf_pt_run(struct record_job *job)
{
	struct pt_recorder recorder = {.job = job};
	struct strobe_error *error = start(&recorder);
	if (!error)
		error = follow(&recorder);
	// What is in the buffers stays there once nobody writes any more.
	for (size_t i = 0; i < recorder.events.count; i++)
		ioctl(recorder.events.items[i], PERF_EVENT_IOC_DISABLE, 0);
	if (!error)
		error = drain(&recorder, true);
	job->shared->result.threads = recorder.known.count;
	job->shared->result.processes = 1;
	job->shared->result.lost_bytes = recorder.lost_bytes;
	if (!error)
		error = recording_finish(job->writer, record_clock(), 0, recorder.lost_bytes);
	close_all(&recorder);
	return error;
}
