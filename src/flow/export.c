// SPDX-License-Identifier: Apache-2.0
#include "flow/export.h"

#include <string.h>

#include "base/error.h"
#include "flow/timeline.h"

static struct strobe_error *check(struct export_job *job)
{
	size_t count = strobe_trace_thread_count(job->trace);
	job->end_thread = count;
	if (job->options.one_thread) {
		if (job->options.thread_index >= count)
			return error_new(STROBE_ERROR_INVALID, "no thread %zu",
					 job->options.thread_index);
		job->first_thread = job->options.thread_index;
		job->end_thread = job->first_thread + 1;
	} else {
		job->options.from_id = job->options.end_id = 0;
	}
	for (size_t i = job->first_thread; i < job->end_thread; i++)
		job->summary.has_time |= timeline_has_time(job->trace, i);
	if (job->options.by_time && !job->summary.has_time)
		return error_new(STROBE_ERROR_INVALID,
				 "the trace has no time to weigh stacks by, only instructions");
	return NULL;
}

struct strobe_error *strobe_trace_export(struct strobe_trace *trace, struct strobe_symbols *symbols,
					 enum strobe_trace_export_format format, const char *path,
					 const struct strobe_trace_export_options *options,
					 struct strobe_trace_export_summary *ret)
{
	struct export_job job = {.trace = trace, .symbols = symbols, .path = path};
	if (options)
		memcpy(&job.options, options,
		       options->size < sizeof(*options) ? options->size : sizeof(*options));
	struct strobe_error *error = check(&job);
	if (error)
		return error;
	switch (format) {
	case STROBE_TRACE_EXPORT_PERFETTO:
		error = export_perfetto(&job);
		break;
	case STROBE_TRACE_EXPORT_FOLDED:
		error = export_folded(&job);
		break;
	case STROBE_TRACE_EXPORT_CTF:
		error = export_ctf(&job);
		break;
	default:
		error = error_new(STROBE_ERROR_INVALID, "no export format %d", (int)format);
	}
	if (!error && ret)
		*ret = job.summary;
	return error;
}
