// SPDX-License-Identifier: Apache-2.0
// The report: a page (report.html, report.css, report.js, put together by tools/embed_page.py) with the data as JSON inside. Only the
// script that it was built with runs there: the page's security policy has its hash. All text is put as text, never as markup.

#include "base/error.h"
#include "graph_export/export.h"
#include "graph_export/fold.h"
#include "graph_export/json_output.h"
#include "graph_export/progress.h"
#include "graph_export/report_data.h"
#include "graph_export/report_page.h"

// Names of templates may have megabytes.
enum { TEXT_LIMIT = 600 };
enum { DEFAULT_GROUPS = 3000, MAX_DEPTH = 60, ALONE_SHARE = 500 };

static struct strobe_error *put_answers(struct json_output *json, const struct export_job *job)
{
	static const struct {
		const char *what;
		struct strobe_error *(*put)(struct json_output *, const struct export_job *);
	} parts[] = {
		{"counting types", report_types},     {"looking for suspects", report_suspects},
		{"looking for leaks", report_leaks},  {"comparing blocks", report_duplicates},
		{"looking at arenas", report_arenas},
	};
	struct strobe_error *error = NULL;
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]) && !error; i++) {
		error = progress_tell(job, parts[i].what, i, sizeof(parts) / sizeof(parts[0]));
		if (!error)
			error = parts[i].put(json, job);
	}
	return error;
}

static struct strobe_error *write_page(const struct export_job *job, const struct fold *fold,
				       struct output *out)
{
	struct json_output json = {.out = out, .in_page = true, .limit = TEXT_LIMIT};
	output_bytes(out, report_page_head, report_page_head_size);
	json_open(&json, NULL, '{');
	report_summary(&json, job);
	report_tree(&json, job->graph, fold);
	report_unknown(&json, job->graph);
	struct strobe_error *error = put_answers(&json, job);
	json_close(&json, '}');
	output_bytes(out, report_page_tail, report_page_tail_size);
	return error;
}

static struct strobe_error *write_report(const struct export_job *job, const struct fold *fold)
{
	struct output out;
	struct strobe_error *error = output_open(&out, job->path);
	if (error)
		return error;
	error = write_page(job, fold, &out);
	if (!error)
		return output_commit(&out);
	output_discard(&out);
	return error;
}

struct strobe_error *graph_export_html(const struct export_job *job)
{
	const struct fold_options options = {
		.node = 0,
		.alone_bytes = job->graph->retained[0] / ALONE_SHARE + 1,
		.max_depth = MAX_DEPTH,
		.max_groups = job->options.max_nodes ? job->options.max_nodes : DEFAULT_GROUPS,
		.with_unreachable = true,
	};
	struct fold fold;
	struct strobe_error *error = fold_make(&fold, job, &options);
	if (!error)
		error = write_report(job, &fold);
	fold_fini(&fold);
	return error;
}
