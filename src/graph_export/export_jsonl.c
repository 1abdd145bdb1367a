// SPDX-License-Identifier: Apache-2.0
// JSON lines: first the graph, then a node a line (docs/json.md).

#include "graph_export/export.h"
#include "graph_export/json_output.h"
#include "graph_export/label.h"
#include "graph_export/member.h"
#include "graph_export/preview.h"
#include "graph_export/progress.h"

static void put_graph(struct json_output *json, const struct strobe_graph *graph)
{
	const struct strobe_graph_summary *all = &graph->summary;
	json_open(json, NULL, '{');
	json_text(json, "kind", "graph");
	json_number(json, "version", 1);
	json_text(json, "target", member_target_name(graph));
	json_number(json, "nodes", graph->node_count);
	json_number(json, "edges", graph->edge_count);
	json_number(json, "guessed_edges", all->guessed_edges);
	json_number(json, "allocated_bytes", all->allocated_bytes);
	json_number(json, "allocated_blocks", all->allocated_blocks);
	json_number(json, "reachable_bytes", all->reachable_bytes);
	json_number(json, "leaked_bytes", all->leaked_bytes);
	json_number(json, "free_bytes", all->free_bytes);
	json_close(json, '}');
}

static void put_member(struct json_output *json, const struct strobe_graph *graph,
		       const struct member *member)
{
	char text[PREVIEW_SIZE + 1];
	bool surrogate = member->kind == STROBE_NODE_SURROGATE;
	json_number(json, "id", member->node);
	json_text(json, "kind", member_kind_name(member->kind));
	json_text(json, "name", member->name);
	json_address(json, "address", member->address);
	json_number(json, "size_bytes", member->size_bytes);
	json_number(json, "retained_bytes", member->retained_bytes);
	json_text(json, "type", member->type_name);
	json_number(json, "elements", member->element_count);
	json_text(json, "evidence", strobe_evidence_name(member->evidence));
	json_bool(json, "reachable", member->reachable);
	json_bool(json, "precise", member->precise);
	if (member->dominator == NODE_NONE)
		json_null(json, "dominator");
	else
		json_number(json, "dominator", member->dominator);
	if (preview_text(graph, member, text))
		json_text(json, "text", text);
	json_text(json, "reason", surrogate ? strobe_surrogate_reason_name(member->reason) : NULL);
}

static bool put_reference(void *context, const struct label *label)
{
	struct json_output *json = context;
	json_open(json, NULL, '{');
	json_number(json, "to", label->to);
	json_number(json, "offset", label->offset);
	json_text(json, "name", label->name);
	if (label->guessed)
		json_bool(json, "guessed", true);
	if (label->maybe)
		json_bool(json, "maybe", true);
	json_close(json, '}');
	return true;
}

static struct strobe_error *put_line(struct json_output *json, struct strobe_graph *graph,
				     uint32_t node)
{
	struct member member;
	member_get(graph, node, &member);
	json->comma = false;
	output_char(json->out, '\n');
	json_open(json, NULL, '{');
	put_member(json, graph, &member);
	json_open(json, "references", '[');
	struct strobe_error *error = labels_visit(graph, node, put_reference, json);
	json_close(json, ']');
	json_close(json, '}');
	return error;
}

static struct strobe_error *write_lines(const struct export_job *job, struct output *out)
{
	struct strobe_graph *graph = job->graph;
	struct json_output json = {.out = out};
	struct strobe_error *error = NULL;
	put_graph(&json, graph);
	for (uint32_t i = 0; i < graph->node_count && !error; i++) {
		error = put_line(&json, graph, i);
		if (!error && !(i & PROGRESS_MASK))
			error = progress_tell(job, "writing objects", i, graph->node_count);
		if (!error)
			error = output_check(out);
	}
	output_char(out, '\n');
	return error;
}

struct strobe_error *graph_export_jsonl(const struct export_job *job)
{
	struct output out;
	struct strobe_error *error = output_open(&out, job->path);
	if (error)
		return error;
	error = write_lines(job, &out);
	if (!error)
		return output_commit(&out);
	output_discard(&out);
	return error;
}
