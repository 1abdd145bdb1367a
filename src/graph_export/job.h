// SPDX-License-Identifier: Apache-2.0
#ifndef GRAPH_EXPORT_JOB_H
#define GRAPH_EXPORT_JOB_H

#include <strobe/graph_export.h>

/** An export that is to be made. */
struct export_job {
	struct strobe_graph *graph;
	const char *path;
	struct strobe_graph_export_options options;
};

#endif
