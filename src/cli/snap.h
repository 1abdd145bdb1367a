// SPDX-License-Identifier: Apache-2.0
#ifndef CLI_SNAP_H
#define CLI_SNAP_H

// What the parts of `strobe snap` share.

#include <stdbool.h>
#include <strobe/snapshot.h>

#include "command.h"

/** One snapshot that was taken, or copied from a view. Strings and ranges are borrowed. */
struct snap_result {
	const char *file, *hold; // where it went; "-" = standard output
	int pid;		 // -1 = not known
	const char *name;	 // of the process, "" = not known
	const char *method;	 // "clone", "copy", "crash"; NULL = not known
	const char *method_why;	 // why there is no clone, or NULL
	int64_t pause_ns;	 // -1 = not known
	uint64_t thread_count, memory_bytes;
	uint64_t total_ns;
	uint64_t missing_bytes; // that could not be read, and should have been
	size_t not_atomic_count;
	const struct strobe_not_atomic *not_atomic; // NULL: those of `view`
	const struct strobe_view *view;
	const struct strobe_written *written; // NULL for a hold
};

/** What `info` says. */
void snap_set_info(struct snap_result *result, const struct strobe_snapshot_info *info);
/** What `view`, which was copied, says of itself. */
void snap_set_view(struct snap_result *result, const struct strobe_view *view);
/** JSON of one snapshot: an element of an array, or the document. */
void snap_json(struct json *json, const struct snap_result *result);
/** The line for people, and warnings for what is not atomic. */
void snap_text(const struct command *command, FILE *out, const struct snap_result *result);
/** Warnings that belong to it, whatever the output. */
void snap_warn(const struct command *command, const struct snap_result *result);

/** `strobe snap --core-pattern`. */
int snap_crash(const struct command *command, const struct strobe_write_options *write);

/** What the %-escapes of a file name stand for. */
struct snap_name {
	int pid;
	const char *name; // of the process
	int signal;	  // 0 = none
	int64_t time;	  // seconds since 1970
};
/** Expands %p %n %t %s %%; NULL when memory is short or an escape is unknown (`*bad` = its letter).
 *  The caller's to free. A '/' or a leading '.' in a process's name becomes '_'. */
char *snap_expand(const char *template, const struct snap_name *name, char *bad);

#endif
