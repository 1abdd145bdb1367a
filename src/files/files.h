// SPDX-License-Identifier: Apache-2.0
#ifndef FILES_FILES_H
#define FILES_FILES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <strobe/error.h>

#include "base/file.h"

// Finds the files that belong to a process, on this machine or by debuginfod: only here.

struct files;

struct files_options {
	const char *sysroot;	       // NULL = none
	const char *debug_directories; // NULL = "/usr/lib/debug"
	bool no_debuginfod;
};

struct strobe_error *files_new(const struct files_options *options, struct files **ret)
	STROBE_MUST_CHECK;
struct files *files_free(struct files *files);

/** A file that the source of the view carries with it. Text is borrowed. */
struct files_embedded {
	enum files_kind { FILES_EXECUTABLE, FILES_DEBUG, FILES_ALTERNATE, FILES_COMPANION } kind;
	const char *build_id; // NULL = none
	const char *path;
};
/** Opens number `index` of the list; called once for each that is wanted. */
typedef struct strobe_error *(*files_open_embedded)(void *context, size_t index, struct file **ret);
/** Files that every search finds before those on this machine; `list` is borrowed. */
void files_set_embedded(struct files *files, const struct files_embedded *list, size_t count,
			files_open_embedded open, void *context);

/**
 * The executable or library that was mapped from `path` and has `build_id` (hex; NULL = unknown,
 * then any ELF file is taken and `*unchecked` set). Tries: sysroot + path (only that, if a sysroot
 * is set, then the path itself), DEBUGDIR/.build-id/xx/yyyy (without .debug), debuginfod.
 * Not found: `*ret` = NULL and `*problem` is a malloc'ed line with what was tried; a file with
 * another build id is named there with both ids. Only out-of-memory is an error.
 */
struct strobe_error *files_find_executable(struct files *files, const char *path,
					   const char *build_id, struct file **ret, bool *unchecked,
					   char **problem) STROBE_MUST_CHECK;

/** The same without asking servers: for what must be quick. */
struct strobe_error *files_find_local(struct files *files, const char *path, const char *build_id,
				      struct file **ret, bool *unchecked, char **problem)
	STROBE_MUST_CHECK;
/** True if servers would be asked. */
bool files_ask_servers(const struct files *files);

/**
 * The separate debug file of a module: DEBUGDIR/.build-id/xx/yyyy.debug, then `.gnu_debuglink`'s
 * name (`debuglink`, NULL if none, CRC32 `crc`) beside `path`, in `.debug/`, and in
 * DEBUGDIR/<path's directory>, each with and without sysroot, then debuginfod.
 */
struct strobe_error *files_find_debug(struct files *files, const char *path, const char *build_id,
				      const char *debuglink, uint32_t crc, struct file **ret,
				      char **problem) STROBE_MUST_CHECK;

/**
 * The dwz file `name` (from .gnu_debugaltlink, relative to the directory of `referrer`) with
 * `build_id`.
 */
struct strobe_error *files_find_alternate(struct files *files, const char *referrer,
					  const char *name, const char *build_id, struct file **ret,
					  char **problem) STROBE_MUST_CHECK;

/**
 * A plain companion file (.dwo, .dwp, source): `name` itself if absolute, else below `directory`
 * (may be NULL), each under the sysroot first, then beside `beside` (may be NULL) by last
 * component.
 */
struct strobe_error *files_find_companion(struct files *files, const char *directory,
					  const char *name, const char *beside, struct file **ret)
	STROBE_MUST_CHECK;

/** A source file by debuginfod; `*ret` = NULL if the servers do not have it or none is set. */
struct strobe_error *files_fetch_source(struct files *files, const char *build_id, const char *path,
					struct file **ret) STROBE_MUST_CHECK;

#endif
