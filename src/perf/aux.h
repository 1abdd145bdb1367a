// SPDX-License-Identifier: Apache-2.0
#ifndef PERF_AUX_H
#define PERF_AUX_H

// The AUX area: packets, copied out of ring buffers piece by piece, each behind a record that says whose they are.
// A full trace's pieces follow one another. A snapshot is a copy of a whole ring, so that two in a row may have
// the same packets: what the later one repeats is cut away.

#include <stdbool.h>
#include <stdint.h>
#include <strobe/error.h>

#include "base/hash.h"
#include "perf/record.h"
#include "pt/input.h"

/** A piece, as recorded. */
struct perf_aux_piece {
	uint64_t offset; // in the ring buffer's stream
	struct pt_piece packets;
	uint64_t record; // its offset in the file
};

/** The pieces of one ring buffer. */
struct perf_aux_queue {
	uint32_t index; // which ring
	int cpu, tid;	// -1 = not by CPU, not by thread
	ARRAY(struct perf_aux_piece) pieces;
};

struct perf_aux {
	ARRAY(struct perf_aux_queue) queues;
	struct hash by_index;	 // -> index in `queues` + 1
	uint64_t repeated_bytes; // cut away by perf_aux_join()
	uint64_t gap_count;	 // places of a full trace where bytes are missing
};

/** Takes a record of AUXTRACE. */
struct strobe_error *perf_aux_note(struct perf_aux *aux, const struct perf_record *record)
	STROBE_MUST_CHECK;
/** Appends a queue's pieces to a stream. `snapshots`: they are whole rings. */
struct strobe_error *perf_aux_join(struct perf_aux *aux, const struct perf_aux_queue *queue,
				   bool snapshots, struct pt_stream *ret) STROBE_MUST_CHECK;
void perf_aux_fini(struct perf_aux *aux);

/** What two snapshots have in common. */
struct perf_aux_overlap {
	uint64_t size;	  // bytes of the later one's beginning
	uint64_t padding; // bytes at the earlier one's end that are no packets: it was filled up
};
/** What `later` begins with and `earlier` ends with; nothing if it is too little to tell from chance. */
struct perf_aux_overlap perf_aux_overlap(const struct pt_piece *earlier,
					 const struct pt_piece *later);

#endif
