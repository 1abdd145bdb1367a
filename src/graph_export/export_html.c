// SPDX-License-Identifier: Apache-2.0
#include "base/error.h"
#include "graph_export/export.h"

struct strobe_error *graph_export_html(const struct export_job *job)
{
	return error_new(STROBE_ERROR_UNSUPPORTED, "there is no report yet");
}
