// SPDX-License-Identifier: Apache-2.0
#ifndef PERF_MAPS_H
#define PERF_MAPS_H

// What was mapped executable in which process, and when. There is no record of munmap(): a mapping holds until
// another one covers it, its process executes another program, or the trace ends.

#include <stdbool.h>
#include <stdint.h>
#include <strobe/error.h>

#include "base/arena.h"
#include "base/array.h"
#include "perf/record.h"

enum { PERF_KERNEL_PID = -1 };

struct perf_map {
	int pid;
	uint64_t start, end, offset;
	const char *path;
	const char *build_id; // lower-case hex; NULL = not told
	uint64_t from, until; // ns of the perf clock; until UINT64_MAX = to the end
};

/** Something that changes what is mapped. */
struct perf_map_event {
	enum { MAP_ADDED, MAP_FORK, MAP_EXEC } kind;
	uint64_t time, order; // order: as they came
	int pid, parent;
	struct perf_map map;
};

struct perf_maps {
	ARRAY(struct perf_map_event) events;
	ARRAY(struct perf_map) all; // after perf_maps_settle(): ended ones first, then what remains
};

/** Takes a record of MMAP, MMAP2, FORK or COMM if it tells something of mappings. Strings go to `arena`. */
struct strobe_error *perf_maps_note(struct perf_maps *maps, const struct perf_record *record,
				    struct arena *arena) STROBE_MUST_CHECK;
/** Build ids of the file's header: for maps whose records have none. */
struct strobe_error *perf_maps_build_ids(struct perf_maps *maps, struct perf_span content,
					 struct arena *arena) STROBE_MUST_CHECK;
/** Plays all events by their times; afterwards `all` has every mapping with its time. */
struct strobe_error *perf_maps_settle(struct perf_maps *maps) STROBE_MUST_CHECK;
void perf_maps_fini(struct perf_maps *maps);

#endif
