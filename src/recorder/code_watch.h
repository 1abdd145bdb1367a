// SPDX-License-Identifier: Apache-2.0
#ifndef RECORDER_CODE_WATCH_H
#define RECORDER_CODE_WATCH_H

// A living process's code: decoded as it is executed, and written to the recording so that readers find the same
// bytes. Code in files is only named; other code (the vdso, code made at run time, files that were deleted) is copied,
// again whenever it has changed.

#include <stdbool.h>
#include <stdint.h>
#include <strobe/view.h>
#include <sys/types.h>

#include "base/array.h"
#include "code/code_map.h"
#include "recording/writer.h"

enum { FLAGS_NONE = UINT16_MAX };

/** An executable mapping. */
struct watched_mapping {
	uint64_t start, end, offset;
	bool copied; // its bytes stand in the recording, not in a file
	char *path;  // "" = none
};

/** What is known of a stretch of the code map. */
struct watched_stretch {
	const struct code_stretch *stretch; // NULL: no code is there
	const uint8_t *lengths;
	bool system_call; // its last instruction is `syscall`
	uint16_t flags;	  // index of the first pushf or popf; FLAGS_NONE = none
	bool copied;
	uint64_t hash; // of its bytes, if it is copied
};

struct code_watch {
	pid_t pid;
	struct recording_writer *writer;
	struct code_map *map;
	ARRAY(struct watched_mapping) mappings;	 // by address
	ARRAY(struct watched_stretch) stretches; // parallel to those of the map
};

/** Reads the mappings. Errors: as recording_add_mapping(); NOT_FOUND (the process has ended). */
struct strobe_error *code_watch_open(struct code_watch *watch, pid_t pid,
				     struct recording_writer *writer) STROBE_MUST_CHECK;
void code_watch_close(struct code_watch *watch);
/** Mappings may have changed. */
struct strobe_error *code_watch_scan(struct code_watch *watch) STROBE_MUST_CHECK;
/** The process runs another program. */
struct strobe_error *code_watch_exec(struct code_watch *watch) STROBE_MUST_CHECK;
/** The stretch at `address`; `ret->stretch` is NULL where no instruction can be read. */
struct strobe_error *code_watch_find(struct code_watch *watch, uint64_t address,
				     struct watched_stretch *ret) STROBE_MUST_CHECK;
/** Its modules, to find names in. */
struct strobe_error *code_watch_view(const struct code_watch *watch, struct strobe_view **ret)
	STROBE_MUST_CHECK;

enum code_flags { CODE_NO_FLAGS, CODE_PUSHES_FLAGS, CODE_POPS_FLAGS };
/** Whether `bytes` begin with an instruction that pushes or pops all the flags. */
enum code_flags code_flags(const uint8_t *bytes, size_t size);

/** The clock of single steps: CLOCK_MONOTONIC in ns. */
uint64_t record_clock(void);

#endif
