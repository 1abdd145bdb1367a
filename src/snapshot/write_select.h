// SPDX-License-Identifier: Apache-2.0
#ifndef SNAPSHOT_WRITE_SELECT_H
#define SNAPSHOT_WRITE_SELECT_H

// Which pages of a view go into its file.

#include <strobe/snapshot.h>

#include "snapshot/write_layout.h"
#include "snapshot/write_reachable.h"
#include "snapshot/write_since.h"
#include "view/view.h"

/** Longer stretches of zeros are left out: file systems end at 16 TiB, pipes carry every byte. */
static const uint64_t select_zero_limit = UINT64_C(128) << 30;
static const uint64_t select_zero_limit_pipe = UINT64_C(1) << 30;

struct selection {
	const struct strobe_view *view;
	enum strobe_contents contents;
	struct reachable_limits limits; // of STROBE_CONTENTS_REACHABLE
	uint64_t zero_limit;		// longer zero runs are left out
	struct since *since;		// NULL = do not compare
	strobe_progress progress;	// of comparing; may be NULL
	void *context;
};

/** Fills `layout`. Reads no memory but first pages (unless it compares, or
 *  looks for what is reachable). Errors: NO_MEMORY; what
 *  `since` fails with; LIMIT (cancelled). */
struct strobe_error *select_pages(const struct selection *selection, struct layout *layout)
	STROBE_MUST_CHECK;

#endif
