// SPDX-License-Identifier: Apache-2.0
// How many nodes there are of each type, how big they are, and what they retain together.

#include <stdlib.h>
#include <string.h>
#include <strobe/graph_query.h>
#include <strobe/memory.h>

#include "base/error.h"
#include "query/groups.h"
#include "query/options.h"
#include "query/tree.h"

struct counter {
	uint64_t count, size_bytes, retained_bytes;
	uint64_t above; // nodes of it that hold the one we are at
};

struct histogram {
	struct strobe_graph *graph;
	struct strobe_histogram_options options;
	uint32_t *counter_of; // by group
	uint32_t counter_count;
	struct counter *counters;
};

static bool counts(const struct histogram *h, uint32_t node)
{
	const struct strobe_graph *graph = h->graph;
	if (!node_is_block(graph, node) && !(h->options.with_roots && node_is_memory(graph, node)))
		return false;
	if (h->options.leaked_only && !node_is_leaked(graph, node))
		return false;
	return !h->options.reachable_only || node_is_reachable(graph, node);
}

// The module of an object's virtual table: of those that describe its class, the one whose code made it. 0 if it has none.
static uint32_t table_module(const struct histogram *h, uint32_t node)
{
	const struct strobe_graph *graph = h->graph;
	uint32_t evidence = (graph->types[node] & NODE_EVIDENCE_MASK) >> NODE_EVIDENCE_SHIFT;
	uint64_t table;
	if (evidence != EVIDENCE_VTABLE || !graph->view ||
	    strobe_memory_read(graph->view, graph->addresses[node], &table, 8) != 8)
		return 0;
	size_t module = strobe_view_module_at(graph->view, table);
	return module < h->counter_count - 1 ? (uint32_t)module + 1 : 0;
}

static struct counter *counter_of(const struct histogram *h, uint32_t node)
{
	uint32_t module = h->options.by_module ? table_module(h, node) : 0;
	return &h->counters[module ? module : h->counter_of[groups_of(h->graph, node)]];
}

static void enter(void *context, uint32_t node)
{
	struct histogram *h = context;
	if (!counts(h, node))
		return;
	struct counter *counter = counter_of(h, node);
	counter->count++;
	counter->size_bytes += graph_node_size(h->graph, node);
	if (counter->above++ == 0)
		counter->retained_bytes += h->graph->retained[node];
}

static void leave(void *context, uint32_t node)
{
	struct histogram *h = context;
	if (counts(h, node))
		counter_of(h, node)->above--;
}

// Leaked blocks are in no tree: each retains itself.
static void count_leaked(struct histogram *h)
{
	if (h->options.reachable_only)
		return;
	for (uint32_t node = 1; node <= h->graph->memory_count; node++) {
		if (h->graph->idom[node] != NODE_NONE || !counts(h, node))
			continue;
		struct counter *counter = counter_of(h, node);
		counter->count++;
		counter->size_bytes += graph_node_size(h->graph, node);
		counter->retained_bytes += graph_node_size(h->graph, node);
	}
}

// By module: 0 is for what is in none, module i is i + 1.
static uint32_t module_counter(const struct histogram *h, uint32_t group)
{
	if (group == 0 || group >= h->graph->type_count)
		return 0;
	uint32_t module = h->graph->graph_types[group].module;
	return module < h->counter_count - 1 ? module + 1 : 0;
}

static struct strobe_error *make_counters(struct histogram *h)
{
	uint32_t groups = groups_count(h->graph);
	h->counter_count = groups;
	if (h->options.by_module)
		h->counter_count =
			1 +
			(h->graph->view ? (uint32_t)strobe_view_module_count(h->graph->view) : 0);
	h->counter_of = calloc(groups, sizeof(*h->counter_of));
	h->counters = calloc(h->counter_count, sizeof(*h->counters));
	if (!h->counter_of || !h->counters)
		return error_no_memory();
	for (uint32_t i = 0; i < groups; i++)
		h->counter_of[i] = h->options.by_module ? module_counter(h, i) : i;
	return NULL;
}

static void name_of(const struct histogram *h, uint32_t counter, struct text *ret)
{
	if (!h->options.by_module)
		groups_name(h->graph, counter, ret);
	else if (counter == 0)
		text_append(ret, "(untyped)");
	else
		text_append(ret, strobe_view_module(h->graph->view, counter - 1)->name);
}

static int by_size(const void *first, const void *second)
{
	const struct strobe_histogram_row *a = first, *b = second;
	if (a->size_bytes != b->size_bytes)
		return a->size_bytes < b->size_bytes ? 1 : -1;
	return strcmp(a->type, b->type);
}

// Rows and their names in one piece of memory.
static struct strobe_error *make_rows(struct histogram *h, struct strobe_histogram_row **ret,
				      size_t *count)
{
	cleanup_text struct text names = {0};
	size_t used = 0;
	for (uint32_t i = 0; i < h->counter_count; i++) {
		if (!h->counters[i].count)
			continue;
		used++;
		name_of(h, i, &names);
		text_append_char(&names, '\0');
	}
	struct strobe_histogram_row *rows = malloc(used * sizeof(*rows) + names.size + 1);
	if (!rows || names.failed) {
		free(rows);
		return error_no_memory();
	}
	char *name = (char *)(rows + used);
	if (names.size)
		memcpy(name, names.data, names.size);
	size_t row = 0;
	for (uint32_t i = 0; i < h->counter_count; i++) {
		const struct counter *counter = &h->counters[i];
		if (!counter->count)
			continue;
		rows[row++] = (struct strobe_histogram_row){
			name, counter->count, counter->size_bytes, counter->retained_bytes};
		name += strlen(name) + 1;
	}
	qsort(rows, used, sizeof(*rows), by_size);
	*ret = rows;
	*count = used;
	return NULL;
}

struct strobe_error *strobe_graph_histogram(struct strobe_graph *graph,
					    const struct strobe_histogram_options *options,
					    struct strobe_histogram_row **ret, size_t *count)
{
	struct histogram h = {.graph = graph};
	struct tree tree = {0};
	OPTIONS_TAKE(&h.options, options);
	struct strobe_error *error = make_counters(&h);
	if (!error && !h.options.leaked_only)
		error = tree_init(&tree, graph);
	if (!error) {
		if (!h.options.leaked_only)
			tree_walk(&tree, 0, enter, leave, &h);
		count_leaked(&h);
		error = make_rows(&h, ret, count);
	}
	tree_fini(&tree);
	free(h.counter_of);
	free(h.counters);
	return error;
}
