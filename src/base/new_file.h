// SPDX-License-Identifier: Apache-2.0
#ifndef BASE_NEW_FILE_H
#define BASE_NEW_FILE_H

// A file that appears under its name whole or not at all.

#include <stdbool.h>
#include <strobe/error.h>

struct new_file {
	int fd;
	int directory;	 // where it will stand; -1 = written in place
	char *path;	 // as asked for
	char *name;	 // last component of where it will stand
	char *temporary; // its name until then; NULL = it has none
};

/** Something to write `path` to. A device or a pipe under that name is opened as it is; a symbolic
 *  link is followed. Errors: SYSTEM, INVALID (a directory), NO_MEMORY. */
struct strobe_error *new_file_open(struct new_file *file, const char *path) STROBE_MUST_CHECK;
/** Puts it in its place: done, or it is as if never opened. Errors: SYSTEM. */
struct strobe_error *new_file_commit(struct new_file *file, bool no_fsync) STROBE_MUST_CHECK;
/** Leaves nothing behind; nothing to do after a commit. */
void new_file_discard(struct new_file *file);

#endif
