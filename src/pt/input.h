// SPDX-License-Identifier: Apache-2.0
#ifndef PT_INPUT_H
#define PT_INPUT_H

// What readers of files (bundles, perf.data, Strobe's own traces) hand to the decoder: Intel PT packets and
// what is known around them. pt_source_open() makes a trace source of it.

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <strobe/view.h>

#include "base/arena.h"
#include "base/array.h"
#include "trace/source.h"

/** A piece of a stream as it lies in memory (a mapped file). */
struct pt_piece {
	const uint8_t *data;
	uint64_t size;
	bool mapped; // pages of a file: they may be dropped from memory, and come back when read
};

/** The packets of one thread or one CPU: its pieces one behind the other are one byte stream. */
struct pt_stream {
	int pid, tid; // -1: of a CPU
	int cpu;      // -1: not known
	ARRAY(struct pt_piece) pieces;
	bool finished; // nothing will be appended
};

/** A thread ran on a CPU in [start, end) of the hardware clock. */
struct pt_execution {
	uint64_t start, end; // end UINT64_MAX = as long as the trace goes
	int pid, tid;
	bool start_guessed, end_guessed; // no record says so: it follows from the next one
};

/** What ran on a CPU: sorted, disjoint. */
struct pt_cpu_schedule {
	int cpu;
	ARRAY(struct pt_execution) executions;
};

/** Something that the packets do not tell, at a time on the hardware clock. */
struct pt_sideband_event {
	uint64_t clock;
	int tid, cpu; // -1 = any
	struct window_note note;
};

struct pt_thread {
	int pid, tid;
	const char *name;
};

/** Executable code that is not in the view as it is now, but was there at [from, until) of the clock. */
struct pt_code {
	uint64_t start, size;
	uint64_t offset; // in the file
	const char *path;
	int pid; // -1 = any
	uint64_t from, until;
};

struct pt_input {
	struct arena arena; // for strings
	const char *path, *format, *technology;
	// CPU: vendor NULL = not known
	const char *cpu_vendor; // "GenuineIntel"
	unsigned cpu_family, cpu_model, cpu_stepping;
	// Timing; 0 = not known. See struct pt_config.
	uint8_t mtc_frequency, nominal_frequency;
	uint32_t cpuid_15_eax, cpuid_15_ebx;
	bool has_clock;
	uint32_t clock_multiplier;
	uint16_t clock_shift;
	uint64_t clock_zero;
	int64_t wall_offset_ns;
	bool per_cpu; // streams are of CPUs, and cut by `schedules`
	bool kernel;  // with per_cpu: one pseudo thread a CPU, tid = CPU, nothing is cut
	bool finished;
	ARRAY(struct pt_stream) streams;
	ARRAY(struct pt_cpu_schedule) schedules;
	ARRAY(struct pt_thread) threads;	// in the order of their cursors
	ARRAY(struct pt_sideband_event) events; // sorted by clock
	ARRAY(struct pt_code) code;
	ARRAY(const char *) warnings;
	/** Code and modules; closed with the source. */
	struct strobe_view *view;
	/** PTWRITE packets whose payload is a recorder's own: true if `*note` was made of it. NULL = none are. */
	bool (*explain)(void *context, size_t stream, uint64_t payload, struct window_note *note,
			struct arena *arena);
	/** Looks for more: appends to pieces, streams, threads, sets `finished`. NULL = it never grows. */
	struct strobe_error *(*refresh)(void *context, struct pt_input *input, bool *ret_grew);
	void (*close)(void *context); // NULL = nothing to close
	void *context;
};

void pt_input_init(struct pt_input *input);
/** Closes view and context, frees all. */
void pt_input_fini(struct pt_input *input);
/** A source that decodes `*input`, which it takes over (also when it fails) and leaves empty. */
struct strobe_error *pt_source_open(struct pt_input *input, struct trace_source *ret)
	STROBE_MUST_CHECK;

/** What a source of pt_source_open() decodes; NULL for other sources. Borrowed from it. */
const struct pt_input *pt_source_input(const struct trace_source *source);

/** Clock value to ns of the perf clock and back: perf_event_open(2), time_zero. */
uint64_t pt_clock_to_ns(const struct pt_input *input, uint64_t value);
uint64_t pt_ns_to_clock(const struct pt_input *input, uint64_t ns);

#endif
