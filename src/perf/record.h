// SPDX-License-Identifier: Apache-2.0
#ifndef PERF_RECORD_H
#define PERF_RECORD_H

// The records of a perf.data, one behind the other. Layouts: perf_event_open(2) for types below 64, which
// the kernel writes; the others are perf's own (perf.data-file-format.txt).

#include <stdbool.h>
#include <stdint.h>
#include <strobe/error.h>

#include "perf/header.h"

enum perf_record_type {
	PERF_MMAP = 1,
	PERF_LOST = 2,
	PERF_COMM = 3,
	PERF_EXIT = 4,
	PERF_FORK = 7,
	PERF_SAMPLE = 9,
	PERF_MMAP2 = 10,
	PERF_AUX = 11,
	PERF_ITRACE_START = 12,
	PERF_SWITCH = 14,
	PERF_SWITCH_CPU_WIDE = 15,
	PERF_KERNEL_TYPES = 64, // below: the kernel's
	PERF_HEADER_ATTR = 64,
	PERF_HEADER_TRACING_DATA = 66,
	PERF_HEADER_BUILD_ID = 67,
	PERF_AUXTRACE_INFO = 70,
	PERF_AUXTRACE = 71,
	PERF_THREAD_MAP = 73,
	PERF_TIME_CONV = 79,
	PERF_HEADER_FEATURE = 80,
	PERF_COMPRESSED = 81,
	PERF_COMPRESSED2 = 83,
};

/** Bits of perf_event_header.misc; their meaning depends on the type. */
enum perf_misc {
	PERF_MISC_CPU_MODE = 7, // mask
	PERF_MISC_KERNEL = 1,
	PERF_MISC_MMAP_DATA = 1 << 13,
	PERF_MISC_COMM_EXEC = 1 << 13,
	PERF_MISC_SWITCH_OUT = 1 << 13,
	PERF_MISC_MMAP_BUILD_ID = 1 << 14,
	PERF_MISC_BUILD_ID_SIZE = 1 << 15,
};

/** What a record ends with, where the attributes ask for it: who, when and where. */
struct perf_sample_id {
	int pid, tid;	    // -1 = not told
	int cpu;	    // -1 = not told
	uint64_t time;	    // ns of the perf clock; 0 = not told, or from before
	uint64_t attribute; // index of the event
};

struct perf_record {
	uint32_t type;
	uint16_t misc;
	uint64_t offset;	   // in the file
	const uint8_t *bytes;	   // behind its header of 8 bytes
	uint64_t size;		   // of these, without `id`
	struct perf_span trailing; // of PERF_AUXTRACE: the packets
	struct perf_sample_id id;
};

/** A walk over the records: start at header->start. */
struct perf_walk {
	const struct perf_header *header;
	uint64_t position;
	const char *problem; // why the walk ended early, at `position`; NULL = it did not
};

/** The next record; false at the end, or at damage. */
bool perf_record_next(struct perf_walk *walk, struct perf_record *ret);
/** A number of 4 or 8 bytes at `offset` of the record; 0 behind its end. */
uint64_t perf_record_number(const struct perf_record *record, uint64_t offset, unsigned size);
/** A string from `offset` on, up to its NUL or the record's end. */
struct perf_span perf_record_string(const struct perf_record *record, uint64_t offset);

#endif
