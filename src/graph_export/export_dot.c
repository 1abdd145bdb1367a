// SPDX-License-Identifier: Apache-2.0
// Graphviz: the objects around one, by edges either way. Guessed edges are dashed, surrogates dotted.

#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/error.h"
#include "graph_export/export.h"
#include "graph_export/label.h"
#include "graph_export/member.h"
#include "graph_export/output.h"
#include "graph_export/progress.h"
#include "graph_export/utf8.h"

enum { DEFAULT_DISTANCE = 2, DEFAULT_NODES = 200, MAX_DISTANCE = 200, EDGES_A_NODE = 10 };

struct neighbourhood {
	const struct export_job *job;
	const struct strobe_graph *graph;
	struct output out;
	uint64_t limit;
	uint8_t *marks; // by node: its distance and one; 0 = not in it
	ARRAY(uint32_t) nodes;
	bool cut;	// there is more than the limit
	bool failed;	// memory is short
	uint32_t from;	// whose edges are written
	uint64_t edges; // written
};

/** Takes `node` in at `level`; false when there is no more room. */
static bool take(struct neighbourhood *around, uint32_t node, unsigned level, uint64_t limit)
{
	if (around->marks[node])
		return true;
	if (around->nodes.count >= limit) {
		around->cut = true;
		return false;
	}
	around->failed = !array_push(&around->nodes, node);
	around->marks[node] = (uint8_t)(level + 1);
	return !around->failed;
}

/** Those that nodes [first, end) of the list refer to. */
static void take_references(struct neighbourhood *around, size_t first, size_t end, unsigned level)
{
	const struct strobe_graph *graph = around->graph;
	for (size_t i = first; i < end; i++) {
		uint32_t node = around->nodes.items[i];
		uint64_t last = graph_edges_end(graph, node);
		for (uint64_t e = graph_edges_begin(graph, node); e < last; e++)
			if (!take(around, graph->edges[e] & EDGE_TARGET, level, around->limit))
				return;
	}
}

/** Those that refer to nodes of distance level - 1: they are found by looking at all edges. */
static void take_referrers(struct neighbourhood *around, unsigned level, uint64_t limit)
{
	const struct strobe_graph *graph = around->graph;
	for (uint32_t node = 0; node < graph->node_count; node++) {
		uint64_t last = graph_edges_end(graph, node);
		bool refers = false;
		for (uint64_t e = graph_edges_begin(graph, node); e < last && !refers; e++)
			refers = around->marks[graph->edges[e] & EDGE_TARGET] == level;
		if (refers && !take(around, node, level, limit))
			return;
	}
}

static struct strobe_error *collect(struct neighbourhood *around, unsigned distance)
{
	struct strobe_error *error = NULL;
	size_t first = 0;
	take(around, (uint32_t)around->job->options.node, 0, around->limit);
	for (unsigned level = 1; level <= distance && first < around->nodes.count; level++) {
		size_t end = around->nodes.count;
		error = progress_tell(around->job, "looking around", level, distance);
		if (error)
			return error;
		// Neither side takes all the room.
		take_referrers(around, level, end + (around->limit - end + 1) / 2);
		take_references(around, first, end, level);
		first = end;
	}
	return around->failed ? error_no_memory() : NULL;
}

/** Inside a label's quotes: Graphviz has escapes of its own, and knows HTML's entities. */
static void put_escaped(struct output *out, const char *text)
{
	for (size_t left = strlen(text); left;) {
		unsigned size = utf8_sequence(text, left);
		if (size == 1 && (*text == '"' || *text == '\\'))
			output_char(out, '\\');
		if (size == 1 && *text == '&')
			output_string(out, "&amp;");
		else if (size == 0 || (size == 1 && (*text < 0x20 || *text == 0x7f)))
			output_char(out, '?');
		else
			output_bytes(out, text, size);
		text += size ? size : 1;
		left -= size ? size : 1;
	}
}

static void put_size(struct output *out, const char *before, uint64_t size)
{
	output_string(out, before);
	output_unsigned(out, size);
	output_string(out, size == 1 ? " byte" : " bytes");
}

/** What stands in the box of a node. */
static void put_label(struct output *out, const struct member *member)
{
	if (member->name)
		put_escaped(out, member->name);
	if (member->name && member->type_name)
		output_string(out, ": ");
	if (member->type_name)
		put_escaped(out, member->type_name);
	if (member->element_count > 1) {
		output_string(out, " [");
		output_unsigned(out, member->element_count);
		output_char(out, ']');
	}
	if (member->kind == STROBE_NODE_SURROGATE)
		output_string(out, strobe_surrogate_reason_name(member->reason));
	else if (!member->name && !member->type_name)
		output_string(out, "(untyped)");
	if (member->address) {
		output_string(out, "\\n");
		output_hex(out, member->address);
	}
	if (member->kind == STROBE_NODE_SURROGATE)
		return;
	put_size(out, "\\n", member->size_bytes);
	put_size(out, ", retains ", member->retained_bytes);
}

static void put_node(struct neighbourhood *around, uint32_t node)
{
	struct member member;
	struct output *out = &around->out;
	member_get(around->job->graph, node, &member);
	output_string(out, "\tn");
	output_unsigned(out, node);
	output_string(out, " [label=\"");
	put_label(out, &member);
	output_char(out, '"');
	if (member.kind == STROBE_NODE_SURROGATE)
		output_string(out, ", style=dotted");
	else if (member.kind != STROBE_NODE_BLOCK)
		output_string(out, ", style=rounded");
	if (!member.reachable)
		output_string(out, ", color=red");
	if (node == around->job->options.node)
		output_string(out, ", penwidth=3");
	output_string(out, "];\n");
}

static bool put_edge(void *context, const struct label *label)
{
	struct neighbourhood *around = context;
	struct output *out = &around->out;
	if (!around->marks[label->to])
		return true;
	if (around->edges++ >= around->limit * EDGES_A_NODE) {
		around->cut = true;
		return false;
	}
	output_string(out, "\tn");
	output_unsigned(out, around->from);
	output_string(out, " -> n");
	output_unsigned(out, label->to);
	output_string(out, " [label=\"");
	put_escaped(out, label->name);
	output_string(out, label->guessed ? "\", style=dashed" : "\"");
	output_string(out, label->maybe ? ", color=gray];\n" : "];\n");
	return true;
}

static struct strobe_error *write_dot(struct neighbourhood *around)
{
	struct output *out = &around->out;
	struct strobe_error *error = NULL;
	output_string(out, "digraph strobe {\n\trankdir=LR;\n\tnode [shape=box, "
			   "fontname=\"sans-serif\", fontsize=10];\n"
			   "\tedge [fontname=\"sans-serif\", fontsize=9];\n");
	for (size_t i = 0; i < around->nodes.count; i++)
		put_node(around, around->nodes.items[i]);
	for (size_t i = 0; i < around->nodes.count && !error; i++) {
		around->from = around->nodes.items[i];
		error = labels_visit(around->job->graph, around->from, put_edge, around);
	}
	if (around->cut)
		output_string(out, "\tlabel=\"There is more around it than is shown.\";\n");
	output_string(out, "}\n");
	return error;
}

static struct strobe_error *draw(struct neighbourhood *around, unsigned distance)
{
	struct strobe_error *error = collect(around, distance);
	if (!error)
		error = output_open(&around->out, around->job->path);
	if (error)
		return error;
	error = write_dot(around);
	if (!error)
		return output_commit(&around->out);
	output_discard(&around->out);
	return error;
}

struct strobe_error *graph_export_dot(const struct export_job *job)
{
	const struct strobe_graph_export_options *options = &job->options;
	struct neighbourhood around = {
		.job = job,
		.graph = job->graph,
		.limit = options->max_nodes ? options->max_nodes : DEFAULT_NODES,
		.marks = calloc(job->graph->node_count, 1),
	};
	unsigned distance = options->distance ? options->distance : DEFAULT_DISTANCE;
	struct strobe_error *error =
		around.marks ? draw(&around, distance < MAX_DISTANCE ? distance : MAX_DISTANCE)
			     : error_no_memory();
	free(around.marks);
	array_fini(&around.nodes);
	return error;
}
