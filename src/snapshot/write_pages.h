// SPDX-License-Identifier: Apache-2.0
#ifndef SNAPSHOT_WRITE_PAGES_H
#define SNAPSHOT_WRITE_PAGES_H

// The pages of a layout's stored loads, in one pass: read, changed where redacted, hashed, written.

#include <strobe/snapshot.h>

#include "snapshot/write_hashes.h"
#include "snapshot/write_layout.h"
#include "snapshot/write_output.h"
#include "snapshot/write_pack.h"
#include "snapshot/write_redact.h"

struct pages {
	const struct strobe_view *view;
	const struct layout *layout;
	struct output *output;
	struct pack *pack;	   // NULL = zeros stay where they are
	struct hashes *hashes;	   // NULL = none are wanted
	struct redactor *redactor; // NULL = nothing to redact
	strobe_progress progress;  // may be NULL
	void *context;
	uint64_t done_bytes;	// told to `progress`: what was done before the first page
	uint64_t total_bytes;	// likewise: when all is done
	uint64_t nonzero_bytes; // result: of memory in pages that are not zero
};

/** Errors: UNREADABLE with the address (memory that went away), LIMIT (cancelled), what writing
 *  fails with. */
struct strobe_error *pages_write(struct pages *pages) STROBE_MUST_CHECK;
/** The error of a cancel. */
struct strobe_error *pages_cancelled(void);
/** Is a page zero? */
bool page_is_zero(const uint8_t *page);

#endif
