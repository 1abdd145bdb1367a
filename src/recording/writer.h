// SPDX-License-Identifier: Apache-2.0
#ifndef RECORDING_WRITER_H
#define RECORDING_WRITER_H

// Writes Strobe's own trace file, docs/format/recording.md. What was written can be read at once, by
// another process too: nothing refers to what comes later in the file.

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <strobe/cursor.h>

enum recording_method {
	RECORDING_SINGLE_STEP = 1,
	RECORDING_INTEL_PT = 2,
};

struct recording_writer;

/**
 * Makes file `path` (mode 0600), in place of one that has that name, and holds a lock on it as long as it writes. `pid`
 * is the first process's. Errors: SYSTEM.
 */
struct strobe_error *recording_create(const char *path, enum recording_method method, int pid,
				      struct recording_writer **ret) STROBE_MUST_CHECK;
/** Closes the file as it is; `finished` or not. Takes NULL. */
struct recording_writer *recording_writer_close(struct recording_writer *writer);

/** ns of the perf clock = (value * multiplier >> shift) + zero. */
struct recording_clock {
	uint32_t multiplier;
	uint16_t shift;
	uint64_t zero;
	int64_t wall_offset_ns;
};
struct strobe_error *recording_set_clock(struct recording_writer *writer,
					 const struct recording_clock *clock) STROBE_MUST_CHECK;

struct recording_cpu {
	const char *vendor; // at most 15 characters
	unsigned family, model, stepping;
	uint32_t cpuid_15_eax, cpuid_15_ebx;
	uint8_t mtc_frequency, nominal_frequency;
};
struct strobe_error *recording_set_cpu(struct recording_writer *writer,
				       const struct recording_cpu *cpu) STROBE_MUST_CHECK;

struct recording_thread {
	int pid, tid; // -1: the stream is of a CPU
	int cpu;      // -1: it is of a thread
	const char *name;
	uint64_t clock;
	bool only_name; // it has no stream: its packets are in those of CPUs, or its name is new
};
/** A stream of packets; `*ret` is its number, if it has one. */
struct strobe_error *recording_add_thread(struct recording_writer *writer,
					  const struct recording_thread *thread, uint32_t *ret)
	STROBE_MUST_CHECK;

/** A file mapped for execution, from `clock` on. */
struct recording_mapping {
	uint64_t clock;
	int pid;
	uint64_t start, size, offset;
	const char *path;
	const char *file; // where it can be read, if not at `path`; else NULL
	const uint8_t *build_id;
	size_t build_id_size; // 0 = not known
};
struct strobe_error *recording_add_mapping(struct recording_writer *writer,
					   const struct recording_mapping *mapping)
	STROBE_MUST_CHECK;
/** Nothing of the process is mapped at [start, start + size) any more; size UINT64_MAX: nothing at all. */
struct strobe_error *recording_remove_mapping(struct recording_writer *writer,
					      const struct recording_mapping *mapping)
	STROBE_MUST_CHECK;
/** Code that no file has, as it was from `clock` on. */
struct recording_code {
	uint64_t clock;
	int pid;
	uint64_t start;
	const uint8_t *bytes;
	size_t size;
	const char *name; // "[vdso]"; NULL = none
};
struct strobe_error *recording_add_code(struct recording_writer *writer,
					const struct recording_code *code) STROBE_MUST_CHECK;

/** An event that a recorder saw. */
struct recording_event {
	enum strobe_event_type type;
	uint64_t clock;
	int pid, tid;
	bool has_address, has_target;
	uint64_t address, target;
	uint64_t value, value_2;
	uint64_t arguments[6]; // of a system call
	const char *text;      // NULL = none
};
/** `*ret` is the payload of the PTWRITE packet that stands for it. */
struct strobe_error *recording_add_event(struct recording_writer *writer,
					 const struct recording_event *event, uint64_t *ret)
	STROBE_MUST_CHECK;
/** Whole blocks: `bytes` begins with a PSB. */
struct strobe_error *recording_add_packets(struct recording_writer *writer, uint32_t stream,
					   const uint8_t *bytes, size_t size) STROBE_MUST_CHECK;
/** Thread `tid` ran on `cpu` in [start, end). In the order of start, for each CPU. */
struct recording_switch {
	uint64_t start, end;
	int pid, tid, cpu;
};
struct strobe_error *recording_add_switch(struct recording_writer *writer,
					  const struct recording_switch *run) STROBE_MUST_CHECK;
/** Writes out what is buffered: readers see it then. */
struct strobe_error *recording_flush(struct recording_writer *writer) STROBE_MUST_CHECK;
/** All is written: marks the file as complete. */
struct strobe_error *recording_finish(struct recording_writer *writer, uint64_t clock,
				      uint64_t instructions, uint64_t lost_bytes) STROBE_MUST_CHECK;
/** Bytes so far, what is buffered included. */
uint64_t recording_size(const struct recording_writer *writer);

#endif
