// SPDX-License-Identifier: Apache-2.0
// Objects of a type for which an expression is true.

#include <stdlib.h>
#include <strobe/graph_find.h>

#include "base/error.h"
#include "query/groups.h"
#include "query/in_place.h"
#include "query/node_value.h"
#include "query/select.h"
#include "value/predicate.h"

/** A type that is looked through. */
struct sought {
	struct type *type;
	const char *name;
	uint64_t size_bytes;
	uint64_t offset;	     // in the node; only arrays have several, and these begin at 0
	struct predicate *predicate; // NULL = all of them
};

struct search {
	struct strobe_graph *graph;
	struct sought *types; // by type of the graph; `type` is NULL where it is not wanted
	strobe_found_visit visit;
	void *context;
	struct strobe_find_count *count;
	bool stopped;
};

static struct strobe_error *seek_type(struct search *s, uint32_t index)
{
	struct sought *sought = &s->types[index];
	sought->name = groups_type_name(s->graph, index);
	sought->type = node_value_type(s->graph, index);
	sought->size_bytes = s->graph->graph_types[index].size_bytes;
	return sought->type
		       ? NULL
		       : error_new(STROBE_ERROR_TYPE, "nothing describes \"%s\"", sought->name);
}

// Blocks of other types that hold such an object: what std::make_shared() made.
static void seek_in_place(struct search *s, const char *name)
{
	struct type *type = s->graph->symbols ? type_find(s->graph->symbols, NULL, name) : NULL;
	uint64_t size;
	if (!type)
		return;
	type = type_strip(s->graph->symbols, type);
	if (!type_size(s->graph->symbols, type, &size))
		return;
	const char *wanted = type_name(s->graph->symbols, type);
	for (uint32_t i = 1; i < s->graph->type_count; i++) {
		struct sought *sought = &s->types[i];
		const char *holder = groups_type_name(s->graph, i);
		if (sought->type || !in_place_is(holder, wanted))
			continue;
		struct type *holds = node_value_type(s->graph, i);
		if (!holds ||
		    !in_place_find(s->graph->symbols, holds, holder, wanted, &sought->offset))
			continue;
		sought->type = type;
		sought->name = wanted;
		sought->size_bytes = size;
	}
}

static struct strobe_error *prepare(struct search *s, const char *name, const char *where)
{
	bool *mark = calloc(s->graph->type_count + 1, sizeof(*mark));
	s->types = calloc(s->graph->type_count + 1, sizeof(*s->types));
	struct strobe_error *error =
		mark && s->types ? select_types(s->graph, name, mark) : error_no_memory();
	for (uint32_t i = 1; !error && i < s->graph->type_count; i++)
		if (mark[i])
			error = seek_type(s, i);
	if (!error)
		seek_in_place(s, name);
	for (uint32_t i = 1; !error && where && i < s->graph->type_count; i++)
		if (s->types[i].type)
			error = predicate_new(s->graph->symbols, s->types[i].type, where,
					      &s->types[i].predicate);
	free(mark);
	return error;
}

// What cannot be told of an object is no failure of the search.
static struct strobe_error *test(struct search *s, const struct sought *sought, uint64_t address,
				 bool *ret)
{
	*ret = true;
	if (!sought->predicate)
		return NULL;
	struct strobe_error *error = predicate_test(sought->predicate, address, ret);
	if (!error)
		return NULL;
	enum strobe_error_code code = strobe_error_code(error);
	if (code != STROBE_ERROR_UNREADABLE && code != STROBE_ERROR_OPTIMIZED_OUT)
		return error;
	strobe_error_free(error);
	s->count->unreadable++;
	*ret = false;
	return NULL;
}

static struct strobe_error *look_at(struct search *s, uint32_t node)
{
	const struct sought *sought = &s->types[graph_node_type(s->graph, node)];
	uint64_t elements = !sought->type    ? 0
			    : sought->offset ? 1
					     : graph_element_count(s->graph, node);
	struct strobe_error *error = NULL;
	bool wanted;
	for (uint64_t i = 0; !error && !s->stopped && i < elements; i++) {
		uint64_t address =
			s->graph->addresses[node] + sought->offset + i * sought->size_bytes;
		s->count->looked_at++;
		error = test(s, sought, address, &wanted);
		if (error || !wanted)
			continue;
		struct strobe_value value =
			value_in_memory(s->graph->symbols, sought->type, address);
		value.language = sought->type->language;
		struct strobe_found found = {.node = node,
					     .element = i,
					     .address = address,
					     .size_bytes = sought->size_bytes,
					     .type_name = sought->name,
					     .value = &value};
		s->count->found++;
		s->stopped = !s->visit(s->context, &found);
	}
	return error;
}

struct strobe_error *strobe_graph_find(struct strobe_graph *graph, const char *type,
				       const char *where, strobe_found_visit visit, void *context,
				       struct strobe_find_count *ret)
{
	struct strobe_find_count count = {0};
	struct search s = {.graph = graph, .visit = visit, .context = context, .count = &count};
	struct strobe_error *error = prepare(&s, type, where);
	for (uint32_t node = 1; !error && !s.stopped && node <= graph->memory_count; node++)
		error = look_at(&s, node);
	for (size_t i = 0; s.types && i < graph->type_count; i++)
		predicate_free(s.types[i].predicate);
	free(s.types);
	if (!error && ret)
		*ret = count;
	return error;
}
