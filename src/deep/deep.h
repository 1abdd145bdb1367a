// SPDX-License-Identifier: Apache-2.0
#ifndef DEEP_DEEP_H
#define DEEP_DEEP_H

// A server in DEEP's protocol: polled for tracepoints, sent snapshots.

#include <strobe/tracepoint_server.h>

#include "tracepoint/result.h"

/** What the server's tracepoints are given to: all of them, in place of those before. An error leaves the server's hash as it was: it is
 *  asked for all again. */
struct deep_host {
	struct strobe_error *(*configure)(void *context, const char *hash,
					  const struct strobe_tracepoint *tracepoints, size_t count,
					  const struct strobe_tracepoint_problem **problems,
					  size_t *problem_count);
	void *context;
};
/** `resource` is borrowed as long as it lives. Errors: as strobe_watch_deep(). On success `*ret` is a sink: close() frees it. */
struct strobe_error *deep_open(const struct strobe_deep_options *options,
			       const struct strobe_pair *resource, size_t resource_count,
			       const struct deep_host *host, struct result_sink *ret)
	STROBE_MUST_CHECK;
/** Whether the server has answered a poll. */
bool deep_answered(const struct result_sink *sink);

#endif
