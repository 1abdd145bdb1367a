// SPDX-License-Identifier: Apache-2.0
#ifndef PROCESS_FACTS_H
#define PROCESS_FACTS_H

// What /proc tells of a process as a whole: files and links as they read, and its descriptors.

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/arena.h"
#include "base/array.h"

struct fact_file {
	const char *name; // below /proc/PID
	const char *bytes;
	size_t size;
};
struct fact_descriptor {
	int fd;
	uint32_t mode;	    // st_mode; 0 = not known
	const char *link;   // where it leads
	const char *fdinfo; // "" = not known
	const char *peer;   // what is at the other end; "" = not known
};

/** Zero-initialise; facts_fini() releases everything. */
struct facts {
	struct arena arena;
	ARRAY(struct fact_file) files;
	ARRAY(struct fact_descriptor) descriptors;
};

/** Reads what a clone shares with the process it was made of, from process `pid`. False when
 *  memory is short; what cannot be read is left out. */
bool facts_read_inherited(struct facts *facts, pid_t pid);
/** Reads what is the process's own: counters, timers, and its descriptors. */
bool facts_read_own(struct facts *facts, pid_t pid);
/** Adds descriptors, in the order of /proc: `count` of them (SIZE_MAX = all) after the first `from`.
 *  The kernel holds a file while it tells of it: where the process runs, one that it closes at that
 *  moment stays open some microseconds longer. */
bool facts_read_descriptors(struct facts *facts, pid_t pid, size_t from, size_t count);
/** Adds a text that was read before. */
bool facts_add(struct facts *facts, const char *name, const char *bytes, size_t size);
void facts_fini(struct facts *facts);

#endif
