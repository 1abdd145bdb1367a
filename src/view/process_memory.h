// SPDX-License-Identifier: Apache-2.0
#ifndef VIEW_PROCESS_MEMORY_H
#define VIEW_PROCESS_MEMORY_H

#include "view/lazy.h"

// The memory of a process that stands still (a clone made for us) as a source. Its files in /proc
// are opened once: an id that another process gets later does no harm.

struct process_memory;
struct strobe_view;

/** Descriptors of files in /proc/PID that somebody opened for us, who was allowed to and knew which
 *  process that is. Borrowed; -1 = open it by the process's id. */
struct process_files {
	int memory, pagemap, maps;
};

/** `files` may be NULL. `no_scan`: as on kernels before 6.7, which lack the PAGEMAP_SCAN call. Errors: SYSTEM. */
struct strobe_error *process_memory_open(int pid, const struct process_files *files, bool no_scan,
					 struct process_memory **ret) STROBE_MUST_CHECK;
struct process_memory *process_memory_close(struct process_memory *memory);

/** A source whose positions are addresses; owns `memory` if it is closed. */
struct lazy_source process_memory_source(struct process_memory *memory);
/** Where the answer changes (at most `limit`), and in `*why` what keeps memory at `address` from
 *  being read; NULL if nothing is known to. */
uint64_t process_memory_check(struct process_memory *memory, uint64_t address, uint64_t limit,
			      const char **why);

/** Every part of a mapping that no segment covers becomes memory of process `pid`. What cannot be
 *  opened is a warning; only out-of-memory is an error. After the mappings are made. */
struct strobe_error *view_add_process_memory(struct strobe_view *view, int pid) STROBE_MUST_CHECK;

#endif
