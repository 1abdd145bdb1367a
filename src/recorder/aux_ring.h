// SPDX-License-Identifier: Apache-2.0
#ifndef RECORDER_AUX_RING_H
#define RECORDER_AUX_RING_H

// Reads the two rings of a perf event with an AUX area (perf_event_open(2), "MMAP layout"): records, and raw trace data.
// They are memory that somebody else writes to; tests give them memory of their own.

#include <linux/perf_event.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <strobe/error.h>

struct aux_ring {
	struct perf_event_mmap_page *page; // its data_* and aux_* fields are used
	const uint8_t *data;		   // data_size bytes, a power of two
	uint64_t data_size;
	const uint8_t *aux; // aux_size bytes, a power of two
	uint64_t aux_size;
};

/** A record, whole, also where the ring wraps around; `size` bytes with its header. */
typedef struct strobe_error *(*aux_record)(void *context, const struct perf_event_header *record,
					   size_t size);
/** Gives all records that are new, and takes them out of the ring. Damage ends it: what follows is skipped. */
struct strobe_error *aux_ring_records(struct aux_ring *ring, aux_record visit, void *context)
	STROBE_MUST_CHECK;

typedef struct strobe_error *(*aux_bytes)(void *context, const uint8_t *bytes, size_t size);
/** Gives the trace data that are new, in their order, and takes them out. `*ret_lost` grows by what was overwritten. */
struct strobe_error *aux_ring_trace(struct aux_ring *ring, aux_bytes visit, void *context,
				    uint64_t *ret_lost) STROBE_MUST_CHECK;
/**
 * Of a ring that is written over and over (a snapshot), and not written now: the newest data, oldest first. `full`: it was
 * gone round at least once.
 */
struct strobe_error *aux_ring_snapshot(const struct aux_ring *ring, bool full, aux_bytes visit,
				       void *context) STROBE_MUST_CHECK;

#endif
