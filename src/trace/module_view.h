// SPDX-License-Identifier: Apache-2.0
#ifndef TRACE_MODULE_VIEW_H
#define TRACE_MODULE_VIEW_H

// A view made of modules' files alone: what a trace without a snapshot knows of its process.

#include <stddef.h>
#include <stdint.h>
#include <strobe/error.h>
#include <strobe/view.h>

/** A file's place in memory. */
struct module_place {
	const char *path;     // as in the process
	const char *file;     // where it is now; NULL = at `path`, below the sysroot
	const char *build_id; // lower-case hex; NULL = not known: the file is taken as it is
	uint64_t start;	      // run-time address of `offset`
	uint64_t
		size; // 0 = as the file's program headers say; start is then that of its first byte
	uint64_t offset;
};

/** Bytes of memory that no file has: code made at run time, the vdso. */
struct memory_place {
	uint64_t start;
	const uint8_t *data; // must outlive the view
	uint64_t size;
	const char *name; // "[vdso]"; NULL = none
};

/**
 * `*ret` is the caller's. A file that is missing is no error: its module has no file, and the view a warning.
 * Memory that stands in no file reads as "not recorded".
 */
struct strobe_error *module_view_new(int pid, const struct module_place *modules,
				     size_t module_count, const struct memory_place *memory,
				     size_t memory_count, const struct strobe_view_options *options,
				     struct strobe_view **ret) STROBE_MUST_CHECK;

#endif
