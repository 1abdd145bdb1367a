// SPDX-License-Identifier: Apache-2.0
#ifndef PROCESS_PROC_H
#define PROCESS_PROC_H

// Reading /proc (proc(5), Documentation/filesystems/proc.rst). A process may end at any time: what
// is gone reads as nothing, which is no error.

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/array.h"
#include "base/text.h"

/** No file of /proc is read beyond this. */
#define PROC_FILE_LIMIT (UINT64_C(256) << 20)

/** Appends the whole of /proc/`name` ("1234/maps") to `text`. Returns 0 or an errno. */
int proc_read(const char *name, struct text *text);
/** Appends where the link /proc/`name` leads. Returns 0 or an errno. */
int proc_read_link(const char *name, struct text *text);
/** The text after "Field:" and blanks in a file like status, up to the end of its line: its length,
 *  0 and NULL in `*ret` if there is none. */
size_t proc_field(const char *text, const char *field, const char **ret);
/** That text as a number in `base`; false if there is none. */
bool proc_field_number(const char *text, const char *field, int base, uint64_t *ret);
/** Field `number` (1-based, as in proc(5), at least 3) of a stat file; NULL if there is none. */
const char *proc_stat_field(const char *stat, unsigned number);

/** A mapping, as /proc/PID/maps has it. */
struct proc_mapping {
	uint64_t start, end;
	bool readable, writable, executable, shared;
	uint64_t offset;
	uint64_t inode;
	const char *path; // in the text that it was parsed from; not terminated
	size_t path_size;
};
/** The next mapping of a maps text, from `*at` on; false at its end. */
bool proc_next_mapping(const char **at, struct proc_mapping *ret);
/** True if the mapping's path is `name`. */
bool proc_mapping_is(const struct proc_mapping *mapping, const char *name);

struct proc_tids {
	ARRAY(pid_t) list;
};
/** The threads of a process, by number. Returns 0 or an errno. */
int proc_threads(pid_t pid, struct proc_tids *ret);

#endif
