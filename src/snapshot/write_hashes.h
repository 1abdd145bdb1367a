// SPDX-License-Identifier: Apache-2.0
#ifndef SNAPSHOT_WRITE_HASHES_H
#define SNAPSHOT_WRITE_HASHES_H

// The table of page hashes in the making: put to its place piece by piece where the output can
// write ahead, kept in memory (8 bytes for each page that is not zero) where it cannot.

#include <stdint.h>
#include <strobe/error.h>

#include "snapshot/write_output.h"

struct hashes;

/** A table of `count` entries that begins at `offset` of the uncompressed file. */
struct strobe_error *hashes_new(struct output *output, uint64_t offset, uint64_t count,
				struct hashes **ret) STROBE_MUST_CHECK;
struct hashes *hashes_free(struct hashes *hashes);
/** The next page's. */
struct strobe_error *hashes_add(struct hashes *hashes, uint64_t hash) STROBE_MUST_CHECK;
/** The next `count` pages are zero. */
struct strobe_error *hashes_add_zeros(struct hashes *hashes, uint64_t count) STROBE_MUST_CHECK;
/** When the output stands at the table's place: all of it. */
struct strobe_error *hashes_write(struct hashes *hashes) STROBE_MUST_CHECK;

#endif
