// SPDX-License-Identifier: Apache-2.0
#ifndef FLOW_EXPORT_H
#define FLOW_EXPORT_H

// One writer a format; all are called by strobe_trace_export().

#include <strobe/symbols.h>
#include <strobe/trace_export.h>

/** What is to be exported. */
struct export_job {
	struct strobe_trace *trace;
	struct strobe_symbols *symbols;
	const char *path;
	struct strobe_trace_export_options options;
	size_t first_thread, end_thread; // indexes
	struct strobe_trace_export_summary summary;
};

struct strobe_error *export_perfetto(struct export_job *job) STROBE_MUST_CHECK;
struct strobe_error *export_folded(struct export_job *job) STROBE_MUST_CHECK;
struct strobe_error *export_ctf(struct export_job *job) STROBE_MUST_CHECK;

#endif
