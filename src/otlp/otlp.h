// SPDX-License-Identifier: Apache-2.0
#ifndef OTLP_OTLP_H
#define OTLP_OTLP_H

// A collector that takes OTLP/HTTP.

#include <strobe/tracepoint_server.h>

#include "tracepoint/result.h"

/** `resource` is borrowed as long as it lives. Errors: as strobe_watch_otlp(). On success `*ret` is a sink: close() frees it. */
struct strobe_error *otlp_open(const struct strobe_otlp_options *options,
			       const struct strobe_pair *resource, size_t resource_count,
			       struct result_sink *ret) STROBE_MUST_CHECK;

#endif
