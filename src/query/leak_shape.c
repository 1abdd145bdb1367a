// SPDX-License-Identifier: Apache-2.0
#include "query/leak_shape.h"

#include <string.h>
#include <strobe/memory.h>

#include "base/error.h"
#include "query/text_bytes.h"

/** Bytes of a block that are looked at. */
enum { LOOKED_AT = 256, TEXT_LEAST = 3 };

static bool is_pointer(const struct strobe_graph *graph, uint64_t word)
{
	return graph_node_find(graph, word) ||
	       (word >= 4096 && graph->view && strobe_view_mapping_at(graph->view, word));
}

static uint32_t pointers_in(const struct strobe_graph *graph, const uint8_t *bytes, size_t size)
{
	uint32_t found = 0;
	for (size_t i = 0; i < SHAPE_WORDS && (i + 1) * 8 <= size; i++) {
		uint64_t word;
		memcpy(&word, bytes + i * 8, 8);
		if (word && is_pointer(graph, word))
			found |= 1u << i;
	}
	return found;
}

static bool all_zero(const uint8_t *bytes, size_t size)
{
	for (size_t i = 0; i < size; i++)
		if (bytes[i])
			return false;
	return true;
}

struct shape shape_of(const struct strobe_graph *graph, uint32_t node)
{
	uint8_t bytes[LOOKED_AT];
	uint64_t size = graph_node_size(graph, node);
	size_t wanted = size < LOOKED_AT ? (size_t)size : LOOKED_AT, text;
	size_t known =
		graph->view ? strobe_memory_read(graph->view, graph->addresses[node], bytes, wanted)
			    : 0;
	if (known == 0)
		return (struct shape){SHAPE_UNREADABLE, 0};
	if (all_zero(bytes, known))
		return (struct shape){SHAPE_ZEROS, 0};
	bool whole = known == size;
	if (text_bytes_begin(bytes, known, whole, &text) && text >= TEXT_LEAST &&
	    !text_bytes_address(graph->view, bytes, known))
		return (struct shape){SHAPE_TEXT, 0};
	uint32_t pointers = pointers_in(graph, bytes, known);
	return (struct shape){pointers ? SHAPE_POINTERS : SHAPE_DATA, pointers};
}

void shape_name(const struct shape *shape, struct text *ret)
{
	static const char *const names[] = {[SHAPE_DATA] = "data",
					    [SHAPE_ZEROS] = "zeros",
					    [SHAPE_TEXT] = "text",
					    [SHAPE_POINTERS] = "pointers at",
					    [SHAPE_UNREADABLE] = "unreadable"};
	text_append(ret, names[shape->kind]);
	for (unsigned i = 0; i < SHAPE_WORDS; i++)
		if (shape->pointers >> i & 1)
			text_printf(ret, " +0x%x", i * 8);
}
