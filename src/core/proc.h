// SPDX-License-Identifier: Apache-2.0
#ifndef CORE_PROC_H
#define CORE_PROC_H

// Text of files in /proc, as snapshots and minidumps carry it along: proc(5).

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <strobe/error.h>

#include "view/build.h"
#include "view/view.h"

enum { PROC_LINE_SIZE = 8192 }; // longer lines are cut

/** The next line (without newline, cut, NUL-terminated) of [*at, end); false at the end. */
bool proc_next_line(const char **at, const char *end, char line[PROC_LINE_SIZE]);

/** maps: areas. Lines that are damaged are told and left out. */
struct strobe_error *proc_read_maps(struct strobe_view *view, const char *text, size_t size)
	STROBE_MUST_CHECK;
/** cmdline: info.command. */
void proc_read_command(struct strobe_view *view, const char *text, size_t size);

/** The lines of status that are hexadecimal. */
enum proc_mask {
	PROC_MASK_PENDING,
	PROC_MASK_SHARED_PENDING,
	PROC_MASK_BLOCKED,
	PROC_MASK_IGNORED,
	PROC_MASK_CAUGHT,
	PROC_MASK_INHERITABLE,
	PROC_MASK_PERMITTED,
	PROC_MASK_EFFECTIVE,
	PROC_MASK_BOUNDING,
	PROC_MASK_AMBIENT,
	PROC_MASK_COUNT,
};

/** What /proc/PID/status and /proc/PID/task/TID/status tell. Numbers are -1, strings NULL where it
 *  has no such line. */
struct proc_status {
	char name[64]; // "" = none
	char state;    // 0 = none
	int64_t pid, ppid, pgid, sid;
	int64_t umask, user_ids[4], group_ids[4];
	int64_t resident_bytes, resident_peak_bytes, swapped_bytes;
	int64_t no_new_privileges, seccomp, seccomp_filters;
	int64_t voluntary_switches, involuntary_switches;
	const char *groups; // numbers with spaces, up to groups_end
	const char *groups_end;
	unsigned known; // bit n: masks[n] was there
	uint64_t masks[PROC_MASK_COUNT];
};
void proc_parse_status(const char *text, size_t size, struct proc_status *ret);

/** What /proc/PID/stat and /proc/PID/task/TID/stat tell. */
struct proc_stat {
	char name[64];
	char state;
	int64_t ppid, pgid, sid;
	int64_t user_ns, system_ns;
	int64_t start_ns; // CLOCK_BOOTTIME
	int nice;	  // STROBE_NOT_KNOWN where the line ends before it
	int64_t cpu, realtime_priority, policy;
};
/** False if it is no such line. */
bool proc_parse_stat(const char *text, size_t size, struct proc_stat *ret);

/** status of a process: view->info, credentials, signal actions. */
struct strobe_error *proc_read_status(struct strobe_view *view, const char *text, size_t size)
	STROBE_MUST_CHECK;
/** All that view->facts.proc_files tell, of the process and its threads. */
struct strobe_error *proc_read_files(struct strobe_view *view) STROBE_MUST_CHECK;

#endif
