// SPDX-License-Identifier: Apache-2.0
// Objects of a type for which an expression is true.

#include <stdlib.h>
#include <strobe/graph_find.h>

#include "base/error.h"
#include "query/groups.h"
#include "query/node_value.h"
#include "query/select.h"
#include "value/predicate.h"

/** A type that is looked through. */
struct sought {
	struct type *type;
	uint64_t size_bytes;
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

static struct strobe_error *prepare(struct search *s, const char *name, const char *where)
{
	bool *mark = calloc(s->graph->type_count + 1, sizeof(*mark));
	s->types = calloc(s->graph->type_count + 1, sizeof(*s->types));
	struct strobe_error *error =
		mark && s->types ? select_types(s->graph, name, mark) : error_no_memory();
	for (uint32_t i = 1; !error && i < s->graph->type_count; i++) {
		if (!mark[i])
			continue;
		s->types[i].type = node_value_type(s->graph, i);
		s->types[i].size_bytes = s->graph->graph_types[i].size_bytes;
		if (!s->types[i].type)
			error = error_new(STROBE_ERROR_TYPE, "nothing describes \"%s\"",
					  groups_type_name(s->graph, i));
		else if (where)
			error = predicate_new(s->graph->symbols, s->types[i].type, where,
					      &s->types[i].predicate);
	}
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
	uint64_t elements = sought->type ? graph_element_count(s->graph, node) : 0;
	struct strobe_error *error = NULL;
	bool wanted;
	for (uint64_t i = 0; !error && !s->stopped && i < elements; i++) {
		uint64_t address = s->graph->addresses[node] + i * sought->size_bytes;
		s->count->looked_at++;
		error = test(s, sought, address, &wanted);
		if (error || !wanted)
			continue;
		struct strobe_value value =
			value_in_memory(s->graph->symbols, sought->type, address);
		value.language = sought->type->language;
		struct strobe_found found = {
			.node = node,
			.element = i,
			.address = address,
			.size_bytes = sought->size_bytes,
			.type_name = groups_type_name(s->graph, graph_node_type(s->graph, node)),
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
