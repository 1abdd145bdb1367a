// SPDX-License-Identifier: Apache-2.0
#ifndef PERF_HEADER_H
#define PERF_HEADER_H

// The frame of a perf.data: header, attributes, features. Format: tools/perf/Documentation/perf.data-file-format.txt
// of the kernel, and perf_event_open(2) for attributes and records.

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <strobe/error.h>

#include "base/arena.h"
#include "base/array.h"
#include "base/hash.h"

struct file;

/** Bits of perf_event_attr.sample_type that decide what ends a record. */
enum perf_sample_type {
	PERF_HAS_TID = 1 << 1,
	PERF_HAS_TIME = 1 << 2,
	PERF_HAS_ID = 1 << 6,
	PERF_HAS_CPU = 1 << 7,
	PERF_HAS_STREAM_ID = 1 << 9,
	PERF_HAS_IDENTIFIER = 1 << 16,
	PERF_HAS_AUX = 1 << 20,
};

/** An event that was asked for: what Strobe needs of struct perf_event_attr. */
struct perf_attribute {
	uint32_t type;
	uint64_t config;
	uint64_t sample_type;
	bool sample_id_all; // every record ends with who, when and where
	bool exclude_kernel;
};

/** Bytes of the file. */
struct perf_span {
	const uint8_t *bytes;
	uint64_t size;
};

struct perf_header {
	const struct file *file;
	bool pipe;	     // written to a pipe: attributes and features are records
	uint64_t start, end; // of the records in the file
	const char *problem; // why they end early; NULL = they do not
	ARRAY(struct perf_attribute) attributes;
	struct hash ids;	  // of events -> index in `attributes` + 1
	struct perf_span cpu;	  // "GenuineIntel,6,85,4", not terminated
	struct perf_span release; // of the kernel
	struct perf_span build_ids;
};

/** Does a file with these first bytes have this form, of either byte order? */
bool perf_header_is(const uint8_t *bytes, size_t size);
/** Errors: FORMAT, UNSUPPORTED. Fini also after an error. */
struct strobe_error *perf_header_read(const struct file *file, struct perf_header *ret)
	STROBE_MUST_CHECK;
void perf_header_fini(struct perf_header *header);

/** Adds an attribute of `size` bytes and its ids: of the file, or of a record in pipe mode. */
struct strobe_error *perf_header_add(struct perf_header *header, struct perf_span attribute,
				     struct perf_span ids) STROBE_MUST_CHECK;
/** Takes feature `number` if it is one that is used. */
void perf_header_feature(struct perf_header *header, uint64_t number, struct perf_span content);

#endif
