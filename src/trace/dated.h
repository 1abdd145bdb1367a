// SPDX-License-Identifier: Apache-2.0
#ifndef TRACE_DATED_H
#define TRACE_DATED_H

// Units of CPUs' streams, put into the order of time. They wait in a file: memory is for a buffer a stream.

#include <stdint.h>
#include <strobe/error.h>

#include "base/array.h"
#include "trace/scan.h"
#include "trace/spool.h"

struct dated_units {
	struct spool spool;
	ARRAY(uint64_t) starts; // of streams' stretches of the spool
	uint64_t date;		// of the last one of the last stream
};

void dated_init(struct dated_units *dated);
void dated_fini(struct dated_units *dated);
/** What follows is stream `stream`'s, later than all streams before. */
struct strobe_error *dated_begin_stream(struct dated_units *dated, uint32_t stream)
	STROBE_MUST_CHECK;
/** Appends the stream's next unit; one without items, or of nobody, tells the time only. */
struct strobe_error *dated_add(struct dated_units *dated, const struct scanned_unit *scanned)
	STROBE_MUST_CHECK;

typedef struct strobe_error *(*dated_take)(void *context, const struct scanned_unit *scanned);
/** Gives all units, ordered by when they began, those of one time by stream, those of one stream as they were added. */
struct strobe_error *dated_merge(struct dated_units *dated, dated_take take, void *context)
	STROBE_MUST_CHECK;

#endif
