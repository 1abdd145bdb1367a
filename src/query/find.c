// SPDX-License-Identifier: Apache-2.0
// Objects of a type for which an expression is true: nodes of it, their elements, and what is embedded in others.

#include <stdlib.h>
#include <strobe/graph_find.h>

#include "base/error.h"
#include "lens/embedded.h"
#include "query/groups.h"
#include "query/node_value.h"
#include "query/select.h"
#include "value/predicate.h"

/** A type that is looked for. */
struct sought {
	struct type *type; // stripped
	const char *name;
	uint64_t size_bytes;
	struct predicate *predicate; // NULL = all of them
};

/** What a type of the graph is to the search. */
struct holder {
	struct type *type; // NULL: nothing in it is looked for
	uint32_t sought;   // number + 1 of what it is; 0 = it is not looked for itself
	bool embeds;	   // it may have some in itself
};

struct search {
	struct strobe_graph *graph;
	ARRAY(struct sought) sought;
	struct holder *holders; // by type of the graph
	struct type **wanted;	// of `embedded`: structures
	uint32_t *wanted_as;	// ... and their numbers in `sought`
	struct embedded *embedded;
	embedded_runs runs; // of one element
	strobe_found_visit visit;
	void *context;
	struct strobe_find_count *count;
	struct text place;
	bool stopped;
};

/** Of the object that is told: what strobe_found_place() needs. */
struct found_inside {
	struct search *search;
	const struct holder *holder;
	uint64_t start, end; // of the element that has it
	uint64_t address;
	uint32_t wanted;
};

static struct strobe_error *seek(struct search *s, struct type *type, const char *name,
				 uint64_t size)
{
	struct sought sought = {
		.type = type_strip(s->graph->symbols, type), .name = name, .size_bytes = size};
	return array_push(&s->sought, sought) ? NULL : error_no_memory();
}

static struct strobe_error *seek_type(struct search *s, uint32_t index)
{
	const char *name = groups_type_name(s->graph, index);
	struct type *type = node_value_type(s->graph, index);
	if (!type)
		return error_new(STROBE_ERROR_TYPE, "nothing describes \"%s\"", name);
	s->holders[index].sought = (uint32_t)s->sought.count + 1;
	return seek(s, type, name, s->graph->graph_types[index].size_bytes);
}

/** A type that no node is of may be embedded in some. */
static struct strobe_error *seek_by_name(struct search *s, const char *name)
{
	struct strobe_symbols *symbols = s->graph->symbols;
	struct type *type = symbols ? type_find(symbols, NULL, name) : NULL;
	uint64_t size;
	if (!type)
		return NULL;
	type = type_strip(symbols, type);
	if (!type_size(symbols, type, &size))
		return NULL;
	for (size_t i = 0; i < s->sought.count; i++)
		if (type_equal(symbols, s->sought.items[i].type, type))
			return NULL;
	return seek(s, type, type_name(symbols, type), size);
}

static bool is_structure(const struct type *type)
{
	return type->kind == TYPE_STRUCT || type->kind == TYPE_CLASS || type->kind == TYPE_UNION;
}

/** Structures are looked for in all types that nodes are of. */
static struct strobe_error *prepare_embedded(struct search *s)
{
	struct lens *lens = graph_lens(s->graph);
	size_t count = 0;
	s->wanted = calloc(s->sought.count + 1, sizeof(struct type *));
	s->wanted_as = calloc(s->sought.count + 1, sizeof(*s->wanted_as));
	if (!s->wanted || !s->wanted_as)
		return error_no_memory();
	for (size_t i = 0; i < s->sought.count; i++) {
		if (!is_structure(s->sought.items[i].type))
			continue;
		s->wanted_as[count] = (uint32_t)i;
		s->wanted[count++] = s->sought.items[i].type;
	}
	if (lens && count && !(s->embedded = embedded_new(lens, s->wanted, count)))
		return error_no_memory();
	for (uint32_t i = 1; i < s->graph->type_count; i++) {
		struct holder *holder = &s->holders[i];
		struct type *type = node_value_type(s->graph, i);
		holder->embeds = type && s->embedded && embedded_may(s->embedded, type);
		holder->type = holder->embeds || holder->sought ? type : NULL;
	}
	return NULL;
}

static struct strobe_error *prepare(struct search *s, const char *name, const char *where)
{
	bool *mark = calloc(s->graph->type_count + 1, sizeof(*mark));
	s->holders = calloc(s->graph->type_count + 1, sizeof(*s->holders));
	struct strobe_error *error =
		mark && s->holders ? select_types(s->graph, name, mark) : error_no_memory();
	for (uint32_t i = 1; !error && i < s->graph->type_count; i++)
		if (mark[i])
			error = seek_type(s, i);
	free(mark);
	if (!error)
		error = seek_by_name(s, name);
	if (!error)
		error = prepare_embedded(s);
	for (size_t i = 0; !error && where && i < s->sought.count; i++)
		error = predicate_new(s->graph->symbols, s->sought.items[i].type, where,
				      &s->sought.items[i].predicate);
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

/** `inside`: NULL for what is the node, or an element of it. */
static struct strobe_error *look_at_object(struct search *s, uint32_t node, uint64_t element,
					   const struct sought *sought, uint64_t address,
					   const struct found_inside *inside)
{
	bool wanted;
	s->count->looked_at++;
	struct strobe_error *error = test(s, sought, address, &wanted);
	if (error || !wanted)
		return error;
	struct strobe_value value = value_in_memory(s->graph->symbols, sought->type, address);
	value.language = sought->type->language;
	struct strobe_found found = {.node = node,
				     .element = element,
				     .address = address,
				     .size_bytes = sought->size_bytes,
				     .type_name = sought->name,
				     .value = &value,
				     .inside = inside};
	s->count->found++;
	s->stopped = !s->visit(s->context, &found);
	return NULL;
}

static struct strobe_error *look_at_run(struct search *s, uint32_t node, uint64_t element,
					const struct embedded_run *run, struct found_inside *inside)
{
	const struct sought *sought = &s->sought.items[s->wanted_as[run->wanted]];
	struct strobe_error *error = NULL;
	inside->wanted = run->wanted;
	for (uint64_t i = 0; i < run->count && !error && !s->stopped; i++) {
		inside->address = run->address + i * run->stride;
		bool itself = inside->address == inside->start && inside->holder->sought &&
			      sought == &s->sought.items[inside->holder->sought - 1];
		error = look_at_object(s, node, element, sought, inside->address,
				       itself ? NULL : inside);
	}
	return error;
}

/** Element `element` of a node, of which [start, end) is the memory. */
static struct strobe_error *look_at_element(struct search *s, uint32_t node, uint64_t element,
					    uint64_t start, uint64_t end)
{
	const struct holder *holder = &s->holders[graph_node_type(s->graph, node)];
	struct found_inside inside = {.search = s, .holder = holder, .start = start, .end = end};
	if (!holder->embeds)
		return look_at_object(s, node, element, &s->sought.items[holder->sought - 1], start,
				      NULL);
	s->runs.count = 0;
	struct strobe_error *error = embedded_find(s->embedded, holder->type, start, end, &s->runs);
	for (size_t i = 0; i < s->runs.count && !error && !s->stopped; i++)
		error = look_at_run(s, node, element, &s->runs.items[i], &inside);
	return error;
}

static struct strobe_error *look_at(struct search *s, uint32_t node)
{
	uint32_t type = graph_node_type(s->graph, node);
	if (!s->holders[type].type)
		return NULL;
	uint64_t count = graph_element_count(s->graph, node), start = s->graph->addresses[node];
	uint64_t size = s->graph->graph_types[type].size_bytes;
	struct strobe_error *error = NULL;
	// One may have an array at its end that takes all that is left.
	for (uint64_t i = 0; !error && !s->stopped && i < count; i++, start += size)
		error = look_at_element(
			s, node, i, start,
			start + (count > 1 ? size : graph_node_size(s->graph, node)));
	return error;
}

const char *strobe_found_place(const struct strobe_found *found)
{
	const struct found_inside *inside = found->inside;
	if (!inside)
		return NULL;
	struct search *s = inside->search;
	uint32_t node = (uint32_t)found->node;
	uint64_t first = inside->start - s->graph->addresses[node];
	bool block = graph_node_kind(s->graph, node) == STROBE_NODE_BLOCK;
	struct text name cleanup_text = {0};
	text_truncate(&s->place, 0);
	if (first || graph_element_count(s->graph, node) > 1)
		text_printf(&name, "[%llu]", (unsigned long long)found->element);
	embedded_name(s->embedded, inside->holder->type, inside->start, inside->end,
		      inside->address, inside->wanted, &name);
	const char *text = text_string(&name);
	// One comes to a block by a pointer.
	if (*text == '.' && block)
		text_printf(&s->place, "->%s", text + 1);
	else
		text_append(&s->place, text);
	return text_string(&s->place);
}

static void finish(struct search *s)
{
	for (size_t i = 0; i < s->sought.count; i++)
		predicate_free(s->sought.items[i].predicate);
	embedded_free(s->embedded);
	array_fini(&s->sought);
	array_fini(&s->runs);
	text_fini(&s->place);
	free(s->holders);
	free(s->wanted);
	free(s->wanted_as);
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
	finish(&s);
	if (!error && ret)
		*ret = count;
	return error;
}
