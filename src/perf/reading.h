// SPDX-License-Identifier: Apache-2.0
#ifndef PERF_READING_H
#define PERF_READING_H

// The state while a perf.data is read, which the parts of this folder fill and use.

#include <stdbool.h>
#include <stdint.h>
#include <strobe/trace.h>

#include "base/hash.h"
#include "perf/aux.h"
#include "perf/header.h"
#include "perf/maps.h"
#include "pt/input.h"

/** Someone came on a CPU or went off it. */
struct perf_switch {
	uint64_t time, order; // ns of the perf clock; order: as they came
	int cpu, pid, tid;
	enum {
		PERF_CAME,
		PERF_WENT,
		PERF_SEEN,
		PERF_ENDED
	} kind; // SEEN: it is on it, as told otherwise
};

/** What AUXTRACE_INFO says. */
struct perf_pt_info {
	bool known, has_clock, snapshots, per_cpu;
	uint32_t pmu_type;
	uint64_t switches; // how context switches were recorded; 0 = not
};

struct perf_thread {
	int pid, tid;
	const char *name; // NULL = not told
};

struct perf_reading {
	struct perf_header header;
	struct pt_input *input;
	const struct strobe_trace_options *options; // may be NULL
	struct perf_pt_info info;
	struct perf_aux aux;
	struct perf_maps maps;
	ARRAY(struct perf_switch) switches;
	ARRAY(struct perf_thread) threads;
	struct hash tids;		   // -> index in `threads` + 1
	ARRAY(struct perf_span) build_ids; // build_id_events one behind the other
	uint64_t lost_records;
	bool has_samples_of_aux;
	bool kernel_traced;
};

/** A warning of the trace; `line` is copied. */
struct strobe_error *perf_warn(struct perf_reading *reading, const char *format, ...)
	STROBE_MUST_CHECK __attribute__((format(printf, 2, 3)));
/** What is known of thread `tid`, which is noted if it was not known; NULL when memory is short. */
struct perf_thread *perf_thread(struct perf_reading *reading, int pid, int tid);

/** schedules.c: who ran on the CPUs, and so the traced threads; after all records. */
struct strobe_error *perf_make_schedules(struct perf_reading *reading) STROBE_MUST_CHECK;
/** modules.c: the view, and code that it cannot show; after the threads are known. */
struct strobe_error *perf_make_view(struct perf_reading *reading) STROBE_MUST_CHECK;

#endif
