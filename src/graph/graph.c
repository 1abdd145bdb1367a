// SPDX-License-Identifier: Apache-2.0
// What a graph's arrays say. Numbers and offsets that lead from one array into another are checked where they are used: the
// arrays may be those of a stored file, that is damaged.
#include "graph/graph.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "graph/storage.h"

struct strobe_graph *strobe_graph_close(struct strobe_graph *graph)
{
	if (!graph)
		return NULL;
	graph_referrers_forget(graph);
	graph_walks_free(graph->walks);
	lens_free(graph->lens);
	strobe_heap_close(graph->heap);
	graph_storage_free(graph->storage);
	file_close(graph->file);
	free(graph->lens_types);
	text_fini(&graph->name_cache);
	text_fini(&graph->type_cache);
	free(graph);
	return NULL;
}

struct strobe_symbols *strobe_graph_symbols(const struct strobe_graph *graph)
{
	return graph->symbols;
}

struct strobe_heap *strobe_graph_heap(struct strobe_graph *graph)
{
	if (!graph->heap) {
		struct strobe_error *error = strobe_heap_open(graph->symbols, &graph->heap);
		strobe_error_free(error); // memory is short: NULL says so
	}
	return graph->heap;
}

bool strobe_graph_was_stored(const struct strobe_graph *graph)
{
	return graph->stored;
}

void strobe_graph_summary(const struct strobe_graph *graph, struct strobe_graph_summary *ret)
{
	*ret = graph->summary;
}

uint64_t strobe_graph_surrogate_count(const struct strobe_graph *graph,
				      enum strobe_surrogate_reason reason)
{
	return reason < STROBE_SURROGATE_REASON_COUNT ? graph->surrogate_counts[reason] : 0;
}

const char *strobe_surrogate_reason_name(enum strobe_surrogate_reason reason)
{
	static const char *const names[] = {
		[STROBE_SURROGATE_UNMAPPED] = "unmapped",
		[STROBE_SURROGATE_NOT_CAPTURED] = "not captured",
		[STROBE_SURROGATE_FREED] = "freed",
		[STROBE_SURROGATE_IMPLAUSIBLE] = "implausible",
		[STROBE_SURROGATE_UNTYPED] = "untyped",
		[STROBE_SURROGATE_LIMIT] = "limit",
	};
	_Static_assert(sizeof(names) / sizeof(names[0]) == STROBE_SURROGATE_REASON_COUNT, "all");
	return reason < STROBE_SURROGATE_REASON_COUNT ? names[reason] : "unknown";
}

const char *strobe_evidence_name(enum strobe_evidence evidence)
{
	static const char *const names[] = {
		[STROBE_EVIDENCE_NONE] = "none",
		[STROBE_EVIDENCE_ALIKE] = "alike",
		[STROBE_EVIDENCE_LINK] = "link",
		[STROBE_EVIDENCE_POINTER] = "pointer",
		[STROBE_EVIDENCE_VTABLE] = "virtual table",
		[STROBE_EVIDENCE_DECLARED] = "declared",
	};
	return evidence < sizeof(names) / sizeof(names[0]) ? names[evidence] : "unknown";
}

uint64_t graph_edges_end(const struct strobe_graph *graph, uint32_t node)
{
	uint64_t end = graph_edges_begin(graph, node + 1);
	return end < graph->edge_count ? end : graph->edge_count;
}

uint64_t graph_node_size(const struct strobe_graph *graph, uint32_t node)
{
	uint32_t size = graph->sizes[node];
	if (!(size & NODE_LARGE))
		return size;
	size &= ~NODE_LARGE;
	return size < graph->large_count ? graph->large_sizes[size] : 0;
}

const struct graph_root *graph_root_of(const struct strobe_graph *graph, uint32_t node)
{
	size_t low = 0, high = graph->root_count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (graph->roots[middle].node < node)
			low = middle + 1;
		else
			high = middle;
	}
	bool found = low < graph->root_count && graph->roots[low].node == node;
	return found ? &graph->roots[low] : NULL;
}

static enum strobe_node_kind kind_of_root(uint8_t kind)
{
	switch (kind) {
	case ROOT_ARGUMENT:
	case ROOT_LOCAL:
	case ROOT_THREAD_LOCAL:
	case ROOT_GLOBAL:
	case ROOT_STATIC:
		return STROBE_NODE_VARIABLE;
	case ROOT_KIND_NODE + STROBE_NODE_GROUP:
	case ROOT_KIND_NODE + STROBE_NODE_THREAD:
	case ROOT_KIND_NODE + STROBE_NODE_FRAME:
		return (enum strobe_node_kind)(kind - ROOT_KIND_NODE);
	default:
		return STROBE_NODE_AREA;
	}
}

enum strobe_node_kind graph_node_kind(const struct strobe_graph *graph, uint32_t node)
{
	if (node == 0)
		return STROBE_NODE_ROOT;
	if (node >= graph->surrogate_begin)
		return STROBE_NODE_SURROGATE;
	if (graph->types[node] & NODE_BLOCK)
		return STROBE_NODE_BLOCK;
	const struct graph_root *root = graph_root_of(graph, node);
	return root ? kind_of_root(root->kind) : STROBE_NODE_AREA;
}

uint32_t graph_node_type(const struct strobe_graph *graph, uint32_t node)
{
	uint32_t type = graph->types[node] & NODE_TYPE_MASK;
	return type < graph->type_count ? type : 0;
}

uint64_t graph_extent(const struct strobe_graph *graph, uint32_t node)
{
	size_t low = 0, high = graph->extent_count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (graph->extents[middle].node < node)
			low = middle + 1;
		else
			high = middle;
	}
	bool found = low < graph->extent_count && graph->extents[low].node == node;
	return found ? graph->extents[low].count : 0;
}

uint64_t graph_element_count(const struct strobe_graph *graph, uint32_t node)
{
	uint64_t known = graph_extent(graph, node);
	if (known)
		return known == LENS_COUNT_NONE ? 0 : known;
	uint32_t type = graph_node_type(graph, node);
	uint64_t size = type ? graph->graph_types[type].size_bytes : 0;
	if (type && graph->graph_types[type].flags & GRAPH_TYPE_OPEN)
		return 1;
	uint64_t count = size ? graph_node_size(graph, node) / size : 1;
	return count ? count : 1;
}

uint32_t graph_node_find(const struct strobe_graph *graph, uint64_t address)
{
	uint32_t low = 0,
		 high = graph->memory_count; // the node is in [low, high], 0 stands for none
	while (low < high) {
		uint32_t middle = low + (high - low + 1) / 2;
		if (graph->addresses[middle] <= address)
			low = middle;
		else
			high = middle - 1;
	}
	if (low == 0)
		return 0;
	uint64_t offset = address - graph->addresses[low], size = graph_node_size(graph, low);
	// An allocation of no bytes is still found by its address.
	return offset < size || (offset == 0 && size == 0) ? low : 0;
}

bool strobe_graph_node_at(const struct strobe_graph *graph, uint64_t address, uint64_t *ret,
			  uint64_t *offset)
{
	uint32_t node = graph_node_find(graph, address);
	if (!node)
		return false;
	*ret = node;
	*offset = address - graph->addresses[node];
	return true;
}

uint64_t strobe_graph_node_count(const struct strobe_graph *graph)
{
	return graph->node_count;
}

const char *graph_string(const struct strobe_graph *graph, uint32_t offset)
{
	return offset < graph->strings_size ? graph->strings + offset : "";
}

static const char *name_type(struct strobe_graph *graph, uint32_t type, uint64_t count)
{
	const char *name = graph_string(graph, graph->graph_types[type].name);
	if (count == 1)
		return name;
	text_truncate(&graph->type_cache, 0);
	text_printf(&graph->type_cache, "%s [%llu]", name, (unsigned long long)count);
	return graph->type_cache.failed ? name : text_string(&graph->type_cache);
}

static const char *name_node(const struct strobe_graph *graph, uint32_t node,
			     enum strobe_node_kind kind)
{
	if (kind == STROBE_NODE_ROOT)
		return "roots";
	if (kind == STROBE_NODE_BLOCK || kind == STROBE_NODE_SURROGATE)
		return NULL;
	const struct graph_root *root = graph_root_of(graph, node);
	return root ? graph_string(graph, root->name) : NULL;
}

enum strobe_surrogate_reason graph_surrogate_reason(const struct strobe_graph *graph, uint32_t node)
{
	uint8_t reason = graph->surrogate_reasons[node - graph->surrogate_begin];
	return reason < STROBE_SURROGATE_REASON_COUNT ? (enum strobe_surrogate_reason)reason
						      : STROBE_SURROGATE_IMPLAUSIBLE;
}

void strobe_graph_node(struct strobe_graph *graph, uint64_t index, struct strobe_node *ret)
{
	uint32_t node = (uint32_t)index, word = graph->types[node];
	uint32_t type = graph_node_type(graph, node), idom = graph->idom[node];
	uint64_t begin = graph_edges_begin(graph, node), end = graph_edges_end(graph, node);
	*ret = (struct strobe_node){
		.index = index,
		.kind = graph_node_kind(graph, node),
		.address = graph->addresses[node],
		.size_bytes = graph_node_size(graph, node),
		.retained_bytes = graph->retained[node],
		.type = type ? type - 1 : SIZE_MAX,
		.element_count = graph_element_count(graph, node),
		.evidence =
			(enum strobe_evidence)((word & NODE_EVIDENCE_MASK) >> NODE_EVIDENCE_SHIFT),
		.reachable = word & NODE_REACHABLE,
		.precise = word & NODE_PRECISE,
		.dominator = idom < graph->node_count ? idom : UINT64_MAX,
		.reference_count = begin < end ? end - begin : 0,
	};
	if (type)
		ret->type_name = name_type(graph, type, ret->element_count);
	ret->name = name_node(graph, node, ret->kind);
	if (ret->kind == STROBE_NODE_SURROGATE)
		ret->reason = graph_surrogate_reason(graph, node);
}

size_t strobe_graph_type_count(const struct strobe_graph *graph)
{
	return graph->type_count ? graph->type_count - 1 : 0;
}

void strobe_graph_type(const struct strobe_graph *graph, size_t index,
		       struct strobe_graph_type *ret)
{
	const struct graph_type *type = &graph->graph_types[index + 1];
	*ret = (struct strobe_graph_type){
		.name = graph_string(graph, type->name),
		.language = graph_string(graph, type->language),
		.size_bytes = type->size_bytes,
		.count = type->count,
		.total_bytes = type->total_bytes,
	};
}
