// SPDX-License-Identifier: Apache-2.0
// Chrome's .heapsnapshot, as V8's heap profiler writes it (v8/src/profiler/heap-snapshot-generator.cc) and DevTools reads it: nodes and edges
// are rows of numbers, strings come last. All edges are such that DevTools' dominators are ours; but edges from what nothing reaches to what
// something does are weak. A node's size is read as 32 bits there: what is more stands in nodes of their own below it.

#include <string.h>

#include "base/array.h"
#include "base/error.h"
#include "base/hash.h"
#include "graph_export/export.h"
#include "graph_export/label.h"
#include "graph_export/leak_heads.h"
#include "graph_export/member.h"
#include "graph_export/node_ranks.h"
#include "graph_export/number_set.h"
#include "graph_export/output.h"
#include "graph_export/phrase.h"
#include "graph_export/preview.h"
#include "graph_export/progress.h"

static const char meta[] =
	"{\"snapshot\":{\"meta\":{\"node_fields\":[\"type\",\"name\",\"id\",\"self_size\",\"edge_"
	"count\","
	"\"trace_node_id\",\"detachedness\"],\"node_types\":[[\"hidden\",\"array\",\"string\","
	"\"object\","
	"\"code\",\"closure\",\"regexp\",\"number\",\"native\",\"synthetic\",\"concatenated "
	"string\","
	"\"sliced string\",\"symbol\",\"bigint\",\"object "
	"shape\"],\"string\",\"number\",\"number\","
	"\"number\",\"number\",\"number\"],\"edge_fields\":[\"type\",\"name_or_index\",\"to_node\"]"
	","
	"\"edge_types\":[[\"context\",\"element\",\"property\",\"internal\",\"hidden\","
	"\"shortcut\","
	"\"weak\"],\"string_or_number\",\"node\"],\"trace_function_info_fields\":[\"function_id\","
	"\"name\",\"script_name\",\"script_id\",\"line\",\"column\"],\"trace_node_fields\":[\"id\","
	"\"function_info_index\",\"count\",\"size\",\"children\"],\"sample_fields\":[\"timestamp_"
	"us\","
	"\"last_assigned_id\"],\"location_fields\":[\"object_index\",\"script_id\",\"line\","
	"\"column\"]},\"node_count\":";

/** Numbers of node_types and edge_types. DevTools adds the sizes of hidden nodes and arrays to their owners': these are not used. */
enum { TYPE_STRING = 2, TYPE_OBJECT = 3, TYPE_NATIVE = 8, TYPE_SYNTHETIC = 9 };
enum { EDGE_ELEMENT = 1, EDGE_PROPERTY = 2, EDGE_INTERNAL = 3, EDGE_WEAK = 6 };
enum { NODE_FIELDS = 7, EDGE_FIELDS = 3, MAX_INDEX_DIGITS = 9, ROOT_ID = 1 };

/** What is too much for its node. */
struct rest {
	uint32_t node;
	uint32_t size_bytes;
};

struct writing {
	const struct export_job *job;
	struct strobe_graph *graph;
	struct output out, strings;
	struct node_ranks
		ranks; // a node's ordinal there is its rank and one: the root of all is ours' parent
	struct number_set ids;
	struct leak_heads heads;
	struct phrases phrases;
	ARRAY(uint32_t) numbers; // by phrase: of the string
	ARRAY(struct rest) rests;
	struct text scratch;
	uint32_t string_count;
	uint64_t edge_count;
	bool first;   // of the rows of this array
	bool no_room; // memory is short
	// Of the node whose edges are written.
	uint32_t from;
	uint32_t unnamed;
	size_t next_rest;
};

/** Appends a string to the table. */
static uint32_t new_string(struct writing *writing, const char *text)
{
	output_string(&writing->strings, writing->string_count ? ",\n" : "");
	output_json(&writing->strings, text, false);
	return writing->string_count++;
}

/** The number of a string that may be there. */
static uint32_t string_number(struct writing *writing, const char *text)
{
	uint32_t phrase;
	if (!phrases_number(&writing->phrases, text, &phrase)) {
		writing->no_room = true;
		return 0;
	}
	if (phrase == writing->numbers.count) {
		uint32_t number = new_string(writing, text);
		if (!array_push(&writing->numbers, number))
			writing->no_room = true;
		return number;
	}
	return phrase < writing->numbers.count ? writing->numbers.items[phrase] : 0;
}

static void put_row(struct writing *writing, const uint64_t *numbers, size_t count)
{
	if (!writing->first)
		output_char(&writing->out, ',');
	writing->first = false;
	for (size_t i = 0; i < count; i++) {
		if (i)
			output_char(&writing->out, ',');
		output_unsigned(&writing->out, numbers[i]);
	}
	output_char(&writing->out, '\n');
}

static void put_node(struct writing *writing, unsigned type, uint32_t name, uint32_t id,
		     uint64_t size, uint64_t edges)
{
	const uint64_t row[NODE_FIELDS] = {type, name, id, size, edges, 0, 0};
	put_row(writing, row, NODE_FIELDS);
}

static void put_edge(struct writing *writing, unsigned type, uint64_t name, uint64_t to)
{
	const uint64_t row[EDGE_FIELDS] = {type, name, to * NODE_FIELDS};
	put_row(writing, row, EDGE_FIELDS);
}

static uint32_t ordinal(const struct writing *writing, uint32_t node)
{
	return node_ranks_get(&writing->ranks, node) + 1;
}

static bool has_leaks(const struct writing *writing)
{
	return writing->heads.nodes.count > 0;
}

/** What an id is made of: the address, or what a node in no memory is called. */
static uint64_t id_key(const struct member *member)
{
	if (member->kind == STROBE_NODE_SURROGATE)
		return ~member->address;
	if (member->address)
		return member->address;
	return member->name ? hash_bytes(member->name, strlen(member->name)) : member->node;
}

static uint32_t node_name(struct writing *writing, const struct member *member, unsigned *type)
{
	char text[PREVIEW_SIZE + 1];
	if (preview_text(writing->graph, member, text)) {
		*type = TYPE_STRING;
		return new_string(writing, text);
	}
	*type = member->kind != STROBE_NODE_BLOCK ? TYPE_SYNTHETIC
		: member->type			  ? TYPE_OBJECT
						  : TYPE_NATIVE;
	if (member->node == 0)
		return string_number(writing, "(GC roots)");
	const char *label = member_label(writing->graph, member, &writing->scratch);
	if (member->name && member->type_name) {
		text_printf(&writing->scratch, "%s: %s", label, member->type_name);
		label = text_string(&writing->scratch);
	}
	writing->no_room |= writing->scratch.failed;
	return string_number(writing, label);
}

static uint64_t count_rests(const struct writing *writing, uint32_t node, size_t *at)
{
	size_t first = *at;
	while (*at < writing->rests.count && writing->rests.items[*at].node == node)
		++*at;
	return *at - first;
}

static struct strobe_error *check(struct writing *writing, const char *what, uint32_t node)
{
	if (writing->no_room)
		return error_no_memory();
	if (node & PROGRESS_MASK)
		return NULL;
	struct strobe_error *error =
		progress_tell(writing->job, what, node, writing->graph->node_count);
	if (!error)
		error = output_check(&writing->out);
	return error ? error : output_check(&writing->strings);
}

static struct strobe_error *write_nodes(struct writing *writing)
{
	struct strobe_error *error = NULL;
	size_t rest = 0;
	writing->first = true;
	put_node(writing, TYPE_SYNTHETIC, string_number(writing, ""), ROOT_ID, 0,
		 has_leaks(writing) ? 2 : 1);
	for (uint32_t i = 0; i < writing->graph->node_count && !error; i++) {
		struct member member;
		unsigned type;
		if (!node_ranks_has(&writing->ranks, i))
			continue;
		member_get(writing->graph, i, &member);
		uint32_t name = node_name(writing, &member, &type);
		uint32_t id = number_set_take(&writing->ids, id_key(&member));
		put_node(writing, type, name, id,
			 member.size_bytes < UINT32_MAX ? member.size_bytes : UINT32_MAX,
			 labels_count(writing->graph, i) + count_rests(writing, i, &rest));
		error = check(writing, "writing objects", i);
	}
	for (size_t i = 0; i < writing->rests.count; i++)
		put_node(writing, TYPE_SYNTHETIC, string_number(writing, "(rest of its size)"),
			 number_set_take(&writing->ids, i), writing->rests.items[i].size_bytes, 0);
	if (has_leaks(writing))
		put_node(writing, TYPE_SYNTHETIC, string_number(writing, "(leaked)"),
			 number_set_take(&writing->ids, UINT64_MAX), 0, writing->heads.nodes.count);
	return error;
}

/** "->[12]" is an element; returns false for other names. */
static bool element_index(const char *name, uint64_t *ret)
{
	size_t digits = name[0] == '[' ? strspn(name + 1, "0123456789") : 0;
	if (digits == 0 || digits > MAX_INDEX_DIGITS || strcmp(name + 1 + digits, "]") != 0)
		return false;
	*ret = 0;
	for (size_t i = 1; i <= digits; i++)
		*ret = *ret * 10 + (uint64_t)(name[i] - '0');
	return true;
}

static bool write_edge(void *context, const struct label *label)
{
	struct writing *writing = context;
	const char *name = label->name;
	uint32_t to = ordinal(writing, label->to);
	uint64_t index = writing->unnamed;
	name += strncmp(name, "->", 2) == 0 ? 2 : *name == '.' ? 1 : 0;
	bool weak = !member_is_reachable(writing->graph, writing->from) &&
		    member_is_reachable(writing->graph, label->to);
	weak |= !graph_edge_holds(writing->graph, writing->from,
				  label->to | (label->guessed ? EDGE_GUESSED : 0));
	if (weak)
		put_edge(writing, EDGE_WEAK, string_number(writing, name), to);
	else if (!label->guessed && (!*name || element_index(name, &index))) {
		put_edge(writing, EDGE_ELEMENT, index, to);
		writing->unnamed++;
	} else
		put_edge(writing, label->guessed ? EDGE_INTERNAL : EDGE_PROPERTY,
			 string_number(writing, name), to);
	return !writing->no_room;
}

static struct strobe_error *write_edges(struct writing *writing)
{
	struct strobe_error *error = NULL;
	uint64_t behind = (uint64_t)writing->ranks.count + 1;
	size_t rest = 0;
	writing->first = true;
	put_edge(writing, EDGE_ELEMENT, 1, ordinal(writing, 0));
	if (has_leaks(writing))
		put_edge(writing, EDGE_ELEMENT, 2, behind + writing->rests.count);
	for (uint32_t i = 0; i < writing->graph->node_count && !error; i++) {
		if (!node_ranks_has(&writing->ranks, i))
			continue;
		writing->from = i;
		writing->unnamed = 0;
		error = labels_visit(writing->graph, i, write_edge, writing);
		for (uint64_t left = count_rests(writing, i, &rest); left; left--)
			put_edge(writing, EDGE_INTERNAL, string_number(writing, "rest"),
				 behind + rest - left);
		if (!error)
			error = check(writing, "writing edges", i);
	}
	for (size_t i = 0; i < writing->heads.nodes.count; i++)
		put_edge(writing, EDGE_ELEMENT, i, ordinal(writing, writing->heads.nodes.items[i]));
	return error;
}

static struct strobe_error *write_all(struct writing *writing)
{
	struct output *out = &writing->out;
	uint64_t nodes =
		1 + (uint64_t)writing->ranks.count + writing->rests.count + has_leaks(writing);
	output_string(out, meta);
	output_unsigned(out, nodes);
	output_string(out, ",\"edge_count\":");
	output_unsigned(out, writing->edge_count);
	output_string(out, ",\"trace_function_count\":0,\"extra_native_bytes\":0},\n\"nodes\":[");
	struct strobe_error *error = write_nodes(writing);
	output_string(out, "],\n\"edges\":[");
	if (!error)
		error = write_edges(writing);
	output_string(out, "],\n\"trace_function_infos\":[],\n\"trace_tree\":[],\n\"samples\":[],\n"
			   "\"locations\":[],\n\"strings\":[");
	if (!error)
		error = output_append(out, &writing->strings);
	output_string(out, "]}\n");
	return error ? error : writing->no_room ? error_no_memory() : NULL;
}

/** Counts edges, and what is too big for its node. */
static struct strobe_error *count(struct writing *writing)
{
	writing->edge_count = 1 + (has_leaks(writing) ? 1 + writing->heads.nodes.count : 0);
	for (uint32_t i = 0; i < writing->graph->node_count; i++) {
		if (!node_ranks_has(&writing->ranks, i))
			continue;
		writing->edge_count += labels_count(writing->graph, i);
		uint64_t size = graph_node_size(writing->graph, i);
		while (size > UINT32_MAX) {
			size -= UINT32_MAX;
			struct rest rest = {i, size < UINT32_MAX ? (uint32_t)size : UINT32_MAX};
			if (!array_push(&writing->rests, rest))
				return error_no_memory();
			writing->edge_count++;
		}
	}
	if (((uint64_t)writing->ranks.count + writing->rests.count + 2) * NODE_FIELDS >
		    UINT32_MAX ||
	    writing->edge_count * EDGE_FIELDS > UINT32_MAX)
		return error_new(STROBE_ERROR_UNSUPPORTED,
				 "the graph is too large for the format's 32-bit numbers");
	return NULL;
}

static struct strobe_error *prepare(struct writing *writing)
{
	bool with_unreachable = writing->job->options.with_unreachable;
	struct strobe_error *error = NULL;
	if (!node_ranks_make(&writing->ranks, writing->graph, with_unreachable))
		return error_no_memory();
	if (with_unreachable)
		error = leak_heads_find(writing->graph, &writing->heads);
	if (!error)
		error = count(writing);
	if (!error && !number_set_init(&writing->ids,
				       (size_t)writing->ranks.count + writing->rests.count + 2))
		error = error_no_memory();
	return error;
}

static struct strobe_error *write_file(struct writing *writing)
{
	struct strobe_error *error = output_open_spool(&writing->strings);
	if (error)
		return error;
	error = output_open(&writing->out, writing->job->path);
	if (!error) {
		error = write_all(writing);
		if (!error)
			error = output_commit(&writing->out);
		output_discard(&writing->out);
	}
	output_discard(&writing->strings);
	return error;
}

struct strobe_error *graph_export_heapsnapshot(const struct export_job *job)
{
	struct writing writing = {.job = job, .graph = job->graph};
	struct strobe_error *error = prepare(&writing);
	if (!error)
		error = write_file(&writing);
	node_ranks_fini(&writing.ranks);
	number_set_fini(&writing.ids);
	leak_heads_fini(&writing.heads);
	phrases_fini(&writing.phrases);
	array_fini(&writing.numbers);
	array_fini(&writing.rests);
	text_fini(&writing.scratch);
	return error;
}
