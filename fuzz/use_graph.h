// SPDX-License-Identifier: Apache-2.0
#ifndef FUZZ_USE_GRAPH_H
#define FUZZ_USE_GRAPH_H

// What people do with a graph, of which they do not know whether it is sound: nothing of it may lead out of the arrays, or
// take for ever.

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/hash_page.h"
#include "graph/graph_check.h"
#include "graph/store.h"

/** Makes the sums of a stored graph right, as far as its layout makes any sense; its version and sizes too. */
static inline void put_graph_right(uint8_t *bytes, size_t size)
{
	struct store_header header;
	if (size < sizeof(header))
		return;
	memcpy(&header, bytes, sizeof(header));
	memcpy(header.magic, STORE_MAGIC, sizeof(header.magic));
	header.version = STORE_VERSION;
	header.size = sizeof(header);
	header.builder = store_builder();
	header.file_size = size;
	uint64_t number = 0;
	for (unsigned kind = 0; kind < STORE_SECTION_COUNT; kind++) {
		const struct store_section *section = &header.sections[kind];
		if (section->offset > size || section->size > size - section->offset)
			break;
		for (uint64_t at = 0; at < section->size; at += STORE_CHUNK, number++) {
			uint64_t left = section->size - at;
			uint64_t sum = page_hash(bytes + section->offset + at,
						 left < STORE_CHUNK ? left : STORE_CHUNK);
			uint64_t place = header.sums.offset + number * 8;
			if (place <= size && size - place >= 8)
				memcpy(bytes + place, &sum, 8);
		}
	}
	if (header.sums.offset <= size && header.sums.size <= size - header.sums.offset)
		header.sums_sum = page_hash(bytes + header.sums.offset, header.sums.size);
	header.header_sum = hash_bytes(&header, offsetof(struct store_header, header_sum));
	memcpy(bytes, &header, sizeof(header));
}

static inline bool use_target(void *context, uint32_t node)
{
	return node % 7 == *(uint32_t *)context;
}

static inline bool use_path(void *context, const struct graph_path *path)
{
	(void)context;
	return path->nodes.count < 1000000;
}

static inline uint64_t use_node(struct strobe_graph *graph, uint32_t index)
{
	struct strobe_node node;
	uint64_t sum = 0, found, offset;
	strobe_graph_node(graph, index, &node);
	sum += node.name ? strlen(node.name) : 0;
	sum += node.type_name ? strlen(node.type_name) : 0;
	sum += strlen(strobe_evidence_name(node.evidence)) + node.element_count;
	if (node.dominator != UINT64_MAX)
		sum += graph->retained[node.dominator];
	if (strobe_graph_node_at(graph, node.address, &found, &offset))
		sum += graph->sizes[found];
	for (uint64_t i = graph_edges_begin(graph, index); i < graph_edges_end(graph, index); i++)
		sum += graph->types[graph->edges[i] & EDGE_TARGET];
	return sum;
}

/** Uses all of it; the sum is so that nothing is optimised away. */
static inline uint64_t use_graph(struct strobe_graph *graph)
{
	const struct graph_path_options options = {.limit = 5, .max_work = 100000};
	uint64_t sum = 0, bytes, nodes;
	struct strobe_graph_summary summary;
	strobe_graph_summary(graph, &summary);
	for (uint32_t node = 0; node < graph->node_count; node++)
		sum += use_node(graph, node);
	for (size_t i = 0; i < strobe_graph_type_count(graph); i++) {
		struct strobe_graph_type type;
		strobe_graph_type(graph, i, &type);
		sum += strlen(type.name) + strlen(type.language);
	}
	for (size_t i = 0; i < graph->root_count; i++)
		sum += graph->types[graph->roots[i].parent] + graph->roots[i].value_count;
	uint32_t target = 3, set[2] = {graph->node_count - 1, graph->node_count / 2};
	strobe_error_free(graph_paths(graph, use_target, &target, &options, use_path, NULL));
	strobe_error_free(graph_retained_of(graph, set, 2, &bytes, &nodes, NULL));
	strobe_error_free(graph_referrers_make(graph));
	return sum + (graph_check(graph) != NULL) + summary.nodes;
}

#endif
