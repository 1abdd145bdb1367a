// SPDX-License-Identifier: Apache-2.0
#ifndef TRACE_STATE_H
#define TRACE_STATE_H

// What a trace consists of; shared by the files of this folder.

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <strobe/trace.h>

#include "base/arena.h"
#include "base/array.h"
#include "code/code_map.h"
#include "trace/cache.h"
#include "trace/index_read.h"
#include "trace/source.h"
#include "trace/units.h"

/** A thread and the row of its units. */
struct trace_row {
	struct strobe_trace_thread info;
	ARRAY(int) cpus;			       // ascending
	ARRAY(struct strobe_trace_error_count) errors; // texts in the trace's arena
	uint64_t stored;			       // units that the index file has
	ARRAY(struct unit) grown;		       // those behind them
	int last_cpu;				       // of the last unit; -1 = not known
	bool has_clock;
	struct clock_point first_clock, last_clock;
};

struct strobe_trace {
	struct trace_source source;
	struct source_info about;
	struct strobe_trace_info info;
	ARRAY(struct trace_row) rows;
	ARRAY(uint64_t) indexed; // a stream's blocks that are in the index
	bool has_clock;		 // any
	uint64_t lowest_clock;
	struct index *index;	     // NULL = none is made
	struct index_writer *writer; // where units go while one is made
	unsigned build_threads;
	strobe_trace_progress progress;
	void *progress_context;
	void *decoder;
	struct code_map *map; // the decoder's
	struct window_cache cache;
	size_t cursor_count;
	struct arena arena;
	ARRAY(const char *) warnings; // the trace's own; the source has others
};

/** ns of the hardware clock's `value` since the trace's lowest one; about.has_clock must be true. */
double trace_clock_ns(const struct strobe_trace *trace, uint64_t value);
/** How long an item takes behind the last known clock value: what it took on average before. */
double trace_tail_rate_ns(const struct strobe_trace *trace, size_t thread);
/** Time of the newest item, or when its slice ended. Only where the thread has a clock. */
double trace_last_time_ns(const struct strobe_trace *trace, size_t thread);

#endif
