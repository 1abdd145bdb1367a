// SPDX-License-Identifier: Apache-2.0
#ifndef BUNDLE_FOLDER_H
#define BUNDLE_FOLDER_H

// A folder that appears under its name whole or not at all. Its files are its owner's alone.

#include <stdint.h>
#include <strobe/error.h>
#include <strobe/trace.h>

#include "base/array.h"

struct folder {
	char *path;	    // as asked for, without a slash at its end
	char *temporary;    // where it grows; NULL = put in its place, or never made
	ARRAY(char *) made; // files and folders in it, oldest first: relative paths
	uint64_t written_bytes;
	uint64_t expected_bytes; // for the progress; 0 = none is told
	strobe_trace_progress progress;
	void *progress_context;
};

/** Begins a folder beside where it will be. Errors: SYSTEM (also where there is something already). */
struct strobe_error *folder_begin(struct folder *folder, const char *path) STROBE_MUST_CHECK;
/** A new file in it, with the folders on the way; `*ret_fd` is the caller's. Errors: SYSTEM. */
struct strobe_error *folder_open(struct folder *folder, const char *name, int *ret_fd)
	STROBE_MUST_CHECK;
/** Appends bytes. Errors: SYSTEM, LIMIT "cancelled". */
struct strobe_error *folder_write(struct folder *folder, int fd, const void *bytes, uint64_t size)
	STROBE_MUST_CHECK;
/** Writes what is left to the disk and closes the file. Errors: SYSTEM. */
struct strobe_error *folder_close(struct folder *folder, int fd) STROBE_MUST_CHECK;
/** Puts it in its place. Errors: SYSTEM; then it is still to be discarded. */
struct strobe_error *folder_commit(struct folder *folder) STROBE_MUST_CHECK;
/** Leaves nothing behind but what was committed; always the last call. */
void folder_end(struct folder *folder);

#endif
