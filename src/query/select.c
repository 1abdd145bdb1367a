// SPDX-License-Identifier: Apache-2.0
#include "query/select.h"

#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>
#include <strobe/graph_query.h>

#include "base/error.h"
#include "query/groups.h"
#include "query/in_place.h"
#include "query/node_value.h"
#include "symbols/type.h"

typedef bool (*name_match)(const char *name, const char *wanted);

static bool match_whole(const char *name, const char *wanted)
{
	return strcmp(name, wanted) == 0;
}

// "conn" for "struct conn".
static bool match_tag(const char *name, const char *wanted)
{
	static const char *const tags[] = {"struct ", "class ", "union ", "enum "};
	for (size_t i = 0; i < sizeof(tags) / sizeof(tags[0]); i++)
		if (strncmp(name, tags[i], strlen(tags[i])) == 0)
			return strcmp(name + strlen(tags[i]), wanted) == 0;
	return false;
}

static bool match_pattern(const char *name, const char *wanted)
{
	return fnmatch(wanted, name, 0) == 0;
}

static bool select_matching(const struct strobe_graph *graph, const char *wanted, name_match match,
			    bool *mark)
{
	bool found = false;
	for (uint32_t i = 1; i < graph->type_count; i++) {
		if (!match(groups_type_name(graph, i), wanted))
			continue;
		mark[i] = true;
		found = true;
	}
	return found;
}

static struct strobe_error *not_found(const struct strobe_graph *graph, const char *wanted)
{
	for (uint32_t i = 1; i < graph->type_count && *wanted; i++)
		if (strcasestr(groups_type_name(graph, i), wanted))
			return error_new(STROBE_ERROR_NOT_FOUND,
					 "no type \"%s\"; did you mean \"%s\"?", wanted,
					 groups_type_name(graph, i));
	return error_new(STROBE_ERROR_NOT_FOUND, "no type \"%s\"", wanted);
}

struct strobe_error *select_types(struct strobe_graph *graph, const char *name, bool *mark)
{
	if (select_matching(graph, name, match_whole, mark) ||
	    select_matching(graph, name, match_tag, mark) ||
	    select_matching(graph, name, match_pattern, mark))
		return NULL;
	// A typedef, or a type that no node has.
	struct type *type = graph->symbols ? type_find(graph->symbols, NULL, name) : NULL;
	if (!type)
		return not_found(graph, name);
	type = type_strip(graph->symbols, type);
	select_matching(graph, type_name(graph->symbols, type), match_whole, mark);
	return NULL;
}

// Blocks that hold such an object: what std::make_shared() made.
static void select_holders(struct strobe_graph *graph, const char *name, bool *mark)
{
	struct type *type = graph->symbols ? type_find(graph->symbols, NULL, name) : NULL;
	uint64_t offset;
	if (!type)
		return;
	const char *wanted = type_name(graph->symbols, type_strip(graph->symbols, type));
	for (uint32_t i = 1; i < graph->type_count; i++) {
		const char *holder = groups_type_name(graph, i);
		struct type *holds = in_place_is(holder, wanted) ? node_value_type(graph, i) : NULL;
		if (holds && in_place_find(graph->symbols, holds, holder, wanted, &offset))
			mark[i] = true;
	}
}

struct strobe_error *strobe_graph_nodes_of_type(struct strobe_graph *graph, const char *type,
						uint64_t **ret, size_t *count)
{
	ARRAY(uint64_t) nodes = {0};
	bool *mark = calloc(graph->type_count + 1, sizeof(*mark));
	struct strobe_error *error = mark ? select_types(graph, type, mark) : error_no_memory();
	if (!error && !array_reserve(&nodes, 1))
		error = error_no_memory();
	if (!error)
		select_holders(graph, type, mark);
	for (uint32_t node = 1; !error && node <= graph->memory_count; node++)
		if (mark[graph_node_type(graph, node)] && !array_push(&nodes, node))
			error = error_no_memory();
	free(mark);
	if (error) {
		array_fini(&nodes);
		return error;
	}
	*ret = nodes.items;
	*count = nodes.count;
	return NULL;
}
