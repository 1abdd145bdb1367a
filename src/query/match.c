// SPDX-License-Identifier: Apache-2.0
#include "query/match.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/hash.h"
#include "query/groups.h"

static const char *type_name_of(const struct strobe_graph *graph, uint32_t node)
{
	return groups_type_name(graph, graph_node_type(graph, node));
}

static bool is_same_block(const struct match *match, uint32_t before, uint32_t after)
{
	const char *old = type_name_of(match->before, before);
	const char *new = type_name_of(match->after, after);
	if (old && new)
		return strcmp(old, new) == 0;
	return graph_node_size(match->before, before) == graph_node_size(match->after, after);
}

static void match_blocks(struct match *match)
{
	const struct strobe_graph *before = match->before, *after = match->after;
	uint32_t old = 1;
	for (uint32_t new = 1; new <= after->memory_count; new ++) {
		if (!node_is_block(after, new))
			continue;
		while (old <= before->memory_count &&
		       before->addresses[old] < after->addresses[new])
			old++;
		if (old > before->memory_count)
			return;
		if (before->addresses[old] == after->addresses[new] && node_is_block(before, old) &&
		    is_same_block(match, old, new))
			match->before_of[new] = old;
	}
}

/** Roots by a key of their names; two of one name and place are told apart by their order. */
struct keys {
	const struct strobe_graph *graph;
	struct hash nodes;   // by key: node + 1
	struct hash of_node; // by node: its key, which is never 0
};

static uint64_t mix(uint64_t a, uint64_t b)
{
	uint64_t pair[2] = {a, b};
	return hash_bytes(pair, sizeof(pair));
}

// From the outermost down.
static uint64_t key_of(struct keys *keys, const struct graph_root *root)
{
	const struct graph_root *line[8];
	size_t depth = 0;
	for (; root && depth < sizeof(line) / sizeof(line[0]); depth++) {
		line[depth] = root;
		root = root->parent ? graph_root_of(keys->graph, root->parent) : NULL;
	}
	uint64_t key = 1;
	for (size_t i = depth; i-- > 0;) {
		const char *name = graph_string(keys->graph, line[i]->name);
		key = mix(key, mix(line[i]->kind, hash_bytes(name, strlen(name))));
	}
	return key;
}

static bool keys_init(struct keys *keys, const struct strobe_graph *graph)
{
	*keys = (struct keys){.graph = graph};
	for (size_t i = 0; i < graph->root_count; i++) {
		const struct graph_root *root = &graph->roots[i];
		uint64_t key = key_of(keys, root);
		while (hash_get(&keys->nodes, key))
			key = mix(key, 2);
		if (!hash_put(&keys->nodes, key, (void *)((uintptr_t)root->node + 1)) ||
		    !hash_put(&keys->of_node, root->node, (void *)(uintptr_t)key))
			return false;
	}
	return true;
}

static void keys_fini(struct keys *keys)
{
	hash_fini(&keys->nodes);
	hash_fini(&keys->of_node);
}

static bool match_roots(struct match *match)
{
	struct keys before, after;
	bool good = keys_init(&before, match->before);
	good = keys_init(&after, match->after) && good;
	for (size_t i = 0; good && i < match->after->root_count; i++) {
		uint32_t node = match->after->roots[i].node;
		uint64_t key = (uint64_t)(uintptr_t)hash_get(&after.of_node, node);
		uintptr_t old = (uintptr_t)hash_get(&before.nodes, key);
		if (old)
			match->before_of[node] = (uint32_t)(old - 1);
	}
	keys_fini(&before);
	keys_fini(&after);
	return good;
}

struct strobe_error *match_init(struct match *match, struct strobe_graph *before,
				struct strobe_graph *after)
{
	size_t size = (size_t)after->node_count * sizeof(*match->before_of);
	*match = (struct match){before, after, malloc(size + 1)};
	if (!match->before_of)
		return error_no_memory();
	memset(match->before_of, 0xff, size);
	match->before_of[0] = 0;
	match_blocks(match);
	if (match_roots(match))
		return NULL;
	match_fini(match);
	return error_no_memory();
}

void match_fini(struct match *match)
{
	free(match->before_of);
	match->before_of = NULL;
}
