// SPDX-License-Identifier: Apache-2.0
#include "graph_export/export.h"

#include <string.h>

#include "base/error.h"
#include "graph/graph.h"

struct strobe_error *strobe_graph_export(struct strobe_graph *graph,
					 enum strobe_graph_format format, const char *path,
					 const struct strobe_graph_export_options *options)
{
	struct export_job job = {.graph = graph, .path = path};
	if (options)
		memcpy(&job.options, options,
		       options->size < sizeof(*options) ? options->size : sizeof(*options));
	if (job.options.node >= graph->node_count)
		return error_new(STROBE_ERROR_INVALID, "no node %llu",
				 (unsigned long long)job.options.node);
	switch (format) {
	case STROBE_GRAPH_SQLITE:
		return graph_export_sqlite(&job);
	case STROBE_GRAPH_HEAPSNAPSHOT:
		return graph_export_heapsnapshot(&job);
	case STROBE_GRAPH_DOT:
		return graph_export_dot(&job);
	case STROBE_GRAPH_JSONL:
		return graph_export_jsonl(&job);
	case STROBE_GRAPH_FOLDED:
		return graph_export_folded(&job);
	case STROBE_GRAPH_HTML:
		return graph_export_html(&job);
	}
	return error_new(STROBE_ERROR_INVALID, "no export format %d", (int)format);
}
