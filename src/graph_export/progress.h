// SPDX-License-Identifier: Apache-2.0
#ifndef GRAPH_EXPORT_PROGRESS_H
#define GRAPH_EXPORT_PROGRESS_H

#include "graph_export/job.h"

/** How often a loop over nodes tells how far it is: when its counter has none of these bits. */
enum { PROGRESS_MASK = (1 << 13) - 1 };

/** Tells that `done` of `total` are through. Errors: LIMIT, "cancelled". */
struct strobe_error *progress_tell(const struct export_job *job, const char *what, uint64_t done,
				   uint64_t total) STROBE_MUST_CHECK;

#endif
