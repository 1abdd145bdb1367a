// SPDX-License-Identifier: Apache-2.0
// Suspects in words.

#include <inttypes.h>
#include <stdlib.h>

#include "base/error.h"
#include "query/groups.h"
#include "query/node_name.h"
#include "query/size_text.h"
#include "query/suspects.h"

/** What a node holds directly, by group. */
struct child_group {
	uint64_t bytes, count;
};

static bool has_alike_child(const struct strobe_graph *graph, const struct tree *tree,
			    uint32_t node, uint32_t group)
{
	for (uint32_t child = tree->first[node]; child; child = tree->sibling[child])
		if (node_is_block(graph, child) && groups_of(graph, child) == group)
			return node_is_block(graph, node);
	return false;
}

struct alike_count {
	const struct strobe_graph *graph;
	uint32_t group;
	uint64_t count;
};

static void count_alike(void *context, uint32_t node)
{
	struct alike_count *c = context;
	c->count += node_is_block(c->graph, node) && groups_of(c->graph, node) == c->group;
}

static void pass(void *context, uint32_t node)
{
	(void)context;
	(void)node;
}

static void set_children(struct strobe_suspect *suspect, const struct strobe_graph *graph,
			 uint32_t group, uint64_t count, uint64_t all)
{
	suspect->child_type = groups_type_name(graph, group);
	suspect->child_type_count = count;
	suspect->children = all;
}

static struct strobe_error *count_children(const struct strobe_graph *graph,
					   const struct tree *tree, struct strobe_suspect *suspect,
					   bool *is_list)
{
	uint32_t node = (uint32_t)(suspect->accumulation == UINT64_MAX ? suspect->node
								       : suspect->accumulation);
	uint32_t group = groups_of(graph, node), best = 0;
	*is_list = has_alike_child(graph, tree, node, group);
	if (*is_list) {
		struct alike_count c = {graph, group, 0};
		tree_walk(tree, node, count_alike, pass, &c);
		set_children(suspect, graph, group, c.count, c.count);
		return NULL;
	}
	struct child_group *groups = calloc(groups_count(graph), sizeof(*groups));
	uint64_t all = 0;
	if (!groups)
		return error_no_memory();
	for (uint32_t child = tree->first[node]; child; child = tree->sibling[child], all++) {
		uint32_t of = groups_of(graph, child);
		groups[of].count++;
		groups[of].bytes += graph->retained[child];
		if (groups[of].bytes > groups[best].bytes)
			best = of;
	}
	set_children(suspect, graph, best, groups[best].count, all);
	free(groups);
	return NULL;
}

// 'server' if it has a name, else what and where it is.
static void put_node(struct strobe_graph *graph, uint64_t index, struct text *text)
{
	struct strobe_node node;
	strobe_graph_node(graph, index, &node);
	if (node.name) {
		node_name_append(node.kind, node.name, text);
		return;
	}
	if (node.type_name)
		text_append(text, node.type_name);
	else
		text_printf(text, "an untyped block of %" PRIu64 " bytes", node.size_bytes);
	text_printf(text, " at 0x%" PRIx64, node.address);
}

static void put_bytes(const struct strobe_suspect *suspect, bool grown, struct text *text)
{
	size_text_append(suspect->retained_bytes, text);
	if (grown) {
		text_append(text, ", ");
		size_text_append(suspect->explained_bytes, text);
		text_printf(text, " of them new (%.1f %% of the growth)", 100 * suspect->share);
	} else if (suspect->explained_bytes != suspect->retained_bytes) {
		text_append(text, ", ");
		size_text_append(suspect->explained_bytes, text);
		text_printf(text, " of them by itself (%.1f %% of the heap)", 100 * suspect->share);
	} else {
		text_printf(text, " (%.1f %% of the heap)", 100 * suspect->share);
	}
}

static void put_children(const struct strobe_suspect *suspect, bool is_list, struct text *text)
{
	const char *type = suspect->child_type ? suspect->child_type : "untyped blocks";
	if (is_list)
		text_printf(text, ", a list or tree of %" PRIu64 " %s", suspect->children, type);
	else if (suspect->children == 1)
		text_append(text, ", which holds one more");
	else if (suspect->children)
		text_printf(text,
			    ", which holds %" PRIu64 " nodes directly, %" PRIu64 " of them %s",
			    suspect->children, suspect->child_type_count, type);
}

static void describe_object(struct strobe_graph *graph, const struct strobe_suspect *suspect,
			    bool grown, bool is_list, struct text *text)
{
	put_node(graph, suspect->node, text);
	text_append(text, " retains ");
	put_bytes(suspect, grown, text);
	if (suspect->accumulation != UINT64_MAX) {
		text_append(text, "; it gathers in ");
		put_node(graph, suspect->accumulation, text);
	}
	put_children(suspect, is_list, text);
}

static void describe_many(struct strobe_graph *graph, const struct strobe_suspect *suspect,
			  bool grown, struct text *text)
{
	const char *type = suspect->type ? suspect->type : "untyped blocks";
	bool leaked = suspect->kind == STROBE_SUSPECT_LEAK;
	text_printf(text, "%" PRIu64 " %s%s %s ", suspect->count, leaked ? "leaked " : "", type,
		    leaked ? "hold, with themselves," : "retain together");
	put_bytes(suspect, grown, text);
	if (suspect->accumulation != UINT64_MAX) {
		text_append(text, ", all of them held by ");
		put_node(graph, suspect->accumulation, text);
	}
}

static struct strobe_error *set_name(struct strobe_graph *graph, struct arena *arena,
				     struct strobe_suspect *suspect)
{
	struct strobe_node node;
	strobe_graph_node(graph, suspect->node, &node);
	suspect->name = arena_strdup(arena, node.name);
	return node.name && !suspect->name ? error_no_memory() : NULL;
}

struct strobe_error *suspects_describe(struct strobe_graph *graph, const struct tree *tree,
				       bool grown, struct arena *arena,
				       struct strobe_suspect *suspect)
{
	cleanup_text struct text text = {0};
	bool is_list = false;
	struct strobe_error *error = set_name(graph, arena, suspect);
	if (!error && suspect->kind == STROBE_SUSPECT_OBJECT)
		error = count_children(graph, tree, suspect, &is_list);
	if (error)
		return error;
	if (suspect->kind == STROBE_SUSPECT_OBJECT)
		describe_object(graph, suspect, grown, is_list, &text);
	else
		describe_many(graph, suspect, grown, &text);
	suspect->text = arena_copy_string(arena, text_string(&text), text.size);
	return text.failed || !suspect->text ? error_no_memory() : NULL;
}
