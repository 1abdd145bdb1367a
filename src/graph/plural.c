// SPDX-License-Identifier: Apache-2.0
// A pointer does not say how many objects it leads to. A block that has room for several of its type is an array of them if
// what would be the others could be: else it is one, and what follows it is something else (a pool behind its header).
#include "graph/walking.h"

enum { LOOKED_AT = 8 }; // elements behind the first

struct look {
	const struct build *build;
	bool wrong;
};

static bool visit(void *context, const struct lens_reference *reference)
{
	struct look *look = context;
	const struct build *build = look->build;
	if (!reference->target || reference->guessed)
		return true;
	uint32_t node = reference->code ? 0 : locate_node(&build->locate, reference->target);
	if (!node) {
		look->wrong = graph_memory_state(build->memory, reference->target) !=
			      GRAPH_MEMORY_READABLE;
	} else if (reference->type) {
		uint64_t offset = reference->target - build_addresses(build)[node];
		uint64_t size = lens_type(build->lens, reference->type)->size_bytes;
		look->wrong = size > build_node_size(build, node) - offset;
	}
	return !look->wrong;
}

bool plural_is_array(struct walker *walker, uint32_t node, uint32_t type)
{
	const struct walk *walk = walker->walk;
	struct look look = {.build = walk->build};
	uint64_t address = build_addresses(walk->build)[node];
	uint64_t size = walk->by_id[type].size_bytes;
	uint64_t fit = build_node_size(walk->build, node) / size;
	for (uint64_t i = 1; i < fit && i <= LOOKED_AT && !look.wrong; i++)
		lens_walk(walk->lens, &walker->memory, type, address + i * size, size, 1, true,
			  visit, &look, NULL);
	return !look.wrong;
}
