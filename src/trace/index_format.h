// SPDX-License-Identifier: Apache-2.0
#ifndef TRACE_INDEX_FORMAT_H
#define TRACE_INDEX_FORMAT_H

// The index's file: docs/format/trace-index.md. Little-endian; each table begins at a multiple of 8.

#include <stdint.h>
#include <strobe/trace.h>

enum { INDEX_VERSION = 1, INDEX_GROUP_UNITS = 64, INDEX_CHECK_CHUNK = 1 << 20 };
#define INDEX_MAGIC "STROBETI"

/** A table: `count` entries at `offset`. */
struct index_table {
	uint64_t offset, count;
};

struct index_header {
	char magic[8];
	uint32_t version, size; // of the header
	uint64_t decoder;	// which decoder's: items depend on it
	uint8_t fingerprint[16];
	uint64_t raw_bytes; // of the trace
	uint64_t file_size;
	uint64_t lowest_clock;
	uint64_t has_clock;
	struct index_table data;    // bytes: groups' units
	struct index_table groups;  // struct index_group, thread by thread
	struct index_table threads; // struct index_thread
	struct index_table streams; // uint64_t: blocks that are in the index
	struct index_table cpus;    // int32_t
	struct index_table errors;  // struct index_error
	struct index_table texts;   // bytes
	uint64_t content_sum;	    // of all behind the header, by chunks
	uint64_t header_sum;	    // of all before it
};
_Static_assert(sizeof(struct index_header) == 200, "on disk");

struct index_thread {
	int32_t pid, tid;
	uint64_t item_count, instruction_count, error_count, raw_bytes;
	uint64_t event_counts[STROBE_EVENT_TYPE_COUNT];
	uint64_t unit_count, first_group, data_bytes;
	uint64_t first_clock_id, first_clock, last_clock_id, last_clock;
	int32_t last_cpu;
	uint32_t has_clock;
	uint32_t first_cpu, cpu_count;	   // in cpus
	uint32_t first_error, error_texts; // in errors
};
_Static_assert(sizeof(struct index_thread) == 40 + 8 * STROBE_EVENT_TYPE_COUNT + 80, "on disk");

struct index_error {
	uint64_t count;
	uint32_t text, text_size; // in texts
};
_Static_assert(sizeof(struct index_error) == 16, "on disk");

// Bits of index_group.mask above those of event types.
#define INDEX_MASK_ERRORS (UINT32_C(1) << 26)
#define INDEX_MASK_CLOCKS (UINT32_C(1) << 27)
#define INDEX_MASK_BEFORE (UINT32_C(1) << 28) // before_id and before_value are valid
_Static_assert(STROBE_EVENT_TYPE_COUNT <= 26, "another bit is needed");

/** Up to INDEX_GROUP_UNITS units, whose bytes are decoded together. */
struct index_group {
	uint64_t first_id;
	uint64_t before_id, before_value; // the last clock point before it
	uint64_t data;			  // in data
	uint32_t data_size;
	uint32_t mask; // of what its units have
	int32_t cpu;   // before it
	uint32_t reserved;
};
_Static_assert(sizeof(struct index_group) == 48, "on disk");

#endif
