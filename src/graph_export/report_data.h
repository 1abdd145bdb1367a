// SPDX-License-Identifier: Apache-2.0
#ifndef GRAPH_EXPORT_REPORT_DATA_H
#define GRAPH_EXPORT_REPORT_DATA_H

// What a report shows, as the JSON that its page reads.

#include "graph_export/fold.h"
#include "graph_export/job.h"
#include "graph_export/json_output.h"

/** Who it is, and all in numbers. */
void report_summary(struct json_output *json, const struct export_job *job);
/** The dominator tree: names once, groups as rows of numbers in the order of TREE_ROW in report.js. */
void report_tree(struct json_output *json, struct strobe_graph *graph, const struct fold *fold);
/** References to what could not be had, and damage. */
void report_unknown(struct json_output *json, struct strobe_graph *graph);
struct strobe_error *report_types(struct json_output *json, const struct export_job *job)
	STROBE_MUST_CHECK;
struct strobe_error *report_suspects(struct json_output *json, const struct export_job *job)
	STROBE_MUST_CHECK;
struct strobe_error *report_leaks(struct json_output *json, const struct export_job *job)
	STROBE_MUST_CHECK;
struct strobe_error *report_duplicates(struct json_output *json, const struct export_job *job)
	STROBE_MUST_CHECK;
struct strobe_error *report_arenas(struct json_output *json, const struct export_job *job)
	STROBE_MUST_CHECK;

#endif
