// SPDX-License-Identifier: Apache-2.0
#ifndef BUNDLE_DESCRIPTION_H
#define BUNDLE_DESCRIPTION_H

// What trace.json says. Its form is LLDB's (`trace schema intel-pt`); docs/format/trace-bundle.md has it whole.

#include <stdbool.h>
#include <stdint.h>
#include <strobe/error.h>

#include "base/arena.h"
#include "base/array.h"

struct file;

struct bundle_thread {
	int tid;
	const char *packets; // path; NULL = none of its own
	const char *name;    // ours; NULL = not told
};

struct bundle_module {
	const char *system_path; // as in the process
	const char *file;	 // where it is now
	const char *build_id;	 // lower-case hex; NULL = not told
	uint64_t load_address;
};

struct bundle_process {
	int pid;
	ARRAY(struct bundle_thread) threads;
	ARRAY(struct bundle_module) modules;
};

struct bundle_cpu {
	int id;
	const char *packets;
	const char *switches;
};

/** All strings and paths stand in an arena; paths are absolute. */
struct description {
	const char *vendor; // NULL = "unknown"
	unsigned family, model, stepping;
	bool has_conversion;
	uint32_t time_multiplier;
	uint16_t time_shift;
	uint64_t time_zero;
	// Ours, which LLDB does not read: what times between PSBs need. 0 = not told.
	unsigned mtc_frequency, nominal_frequency;
	uint32_t cpuid_15_eax, cpuid_15_ebx;
	int64_t wall_offset_ns;
	const char *technology; // NULL = Intel PT
	bool per_cpu, kernel;
	ARRAY(struct bundle_process) processes; // of a kernel's: one, with the kernel as its module
	ARRAY(struct bundle_cpu) cpus;
};

/** Errors: FORMAT that names the place and shows it, LIMIT. Fini also after an error. */
struct strobe_error *description_read(const struct file *file, struct arena *arena,
				      struct description *ret) STROBE_MUST_CHECK;
void description_fini(struct description *description);

#endif
