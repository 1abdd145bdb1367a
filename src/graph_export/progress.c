// SPDX-License-Identifier: Apache-2.0
#include "graph_export/progress.h"

#include "base/error.h"

struct strobe_error *progress_tell(const struct export_job *job, const char *what, uint64_t done,
				   uint64_t total)
{
	double share = total ? (double)done / (double)total : 1;
	if (!job->options.progress ||
	    job->options.progress(job->options.progress_context, what, share))
		return NULL;
	return error_new(STROBE_ERROR_LIMIT, "cancelled");
}
