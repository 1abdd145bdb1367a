// SPDX-License-Identifier: Apache-2.0
#ifndef BUNDLE_SWITCHES_H
#define BUNDLE_SWITCHES_H

// Context-switch files: raw records of perf_event_open(2), one behind the other. Only PERF_RECORD_SWITCH_CPU_WIDE
// counts: header (u32 type 15, u16 misc, u16 size), u32 pid and tid of the other, then the sample id: u32
// pid, u32 tid, u64 time in ns of the perf clock. Others are passed over by their size.

#include "pt/input.h"
#include "pt/schedule.h"

struct file;

struct bundle_switches {
	ARRAY(struct pt_switch) items;
	bool cut; // the last record is not whole: it was left out
};

/**
 * Appends the switches of a file of `cpu`. `clock` has the conversion. Errors: FORMAT (no record, or time that does
 * not grow) with CPU and offset.
 */
struct strobe_error *switches_read(const struct file *file, int cpu, const struct pt_input *clock,
				   struct bundle_switches *ret) STROBE_MUST_CHECK;

#endif
