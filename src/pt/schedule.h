// SPDX-License-Identifier: Apache-2.0
#ifndef PT_SCHEDULE_H
#define PT_SCHEDULE_H

// Who ran on a CPU, from the records that it kept of its context switches.

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pt/input.h"

/** One record: PERF_RECORD_SWITCH_CPU_WIDE of perf_event_open(2). */
struct pt_switch {
	uint64_t clock; // of the hardware
	int pid, tid;	// whom it is about
	bool out;	// it went off the CPU; else it came on it
};

/**
 * Appends to `ret` what `count` records, their clocks growing, say of one CPU. A thread that came on and went off is
 * known whole. Records may be missing: two in a row that both came on, or both went off, tell where one
 * ended or began; of one that came on and another that went off each gets half of the time. What is
 * guessed is marked.
 */
struct strobe_error *pt_schedule_build(const struct pt_switch *switches, size_t count,
				       struct pt_cpu_schedule *ret) STROBE_MUST_CHECK;

#endif
