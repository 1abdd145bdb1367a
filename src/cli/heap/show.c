// SPDX-License-Identifier: Apache-2.0
#include "verbs.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strobe/graph_query.h>

#include "heap/heap.h"

static const struct option options[] = {
	OPTION_LIMIT,
	OPTIONS_HEAP_FRAME,
	OPTIONS_FORMAT,
	OPTIONS_GRAPH,
};

/** One object and how it is shown. */
struct shown {
	struct command *command;
	struct strobe_graph *graph;
	struct strobe_node node;
	struct strobe_format format;
	size_t limit;
	char *value, *holder, *path; // malloc'ed; NULL = none
	struct json *json;
	uint64_t edges; // met
};

static bool keep_path(void *context, const struct strobe_path *path)
{
	struct shown *shown = context;
	shown->path = strobe_path_text(path);
	return false;
}

static struct strobe_error *read_value(struct shown *shown)
{
	struct strobe_value *value = NULL;
	struct strobe_error *error = strobe_graph_value(shown->graph, shown->node.index, &value);
	if (!error && value)
		error = strobe_value_format(value, &shown->format, &shown->value);
	strobe_value_close(value);
	return error;
}

static struct strobe_error *collect(struct shown *shown)
{
	uint64_t index = shown->node.index;
	shown->holder = strobe_graph_holder(shown->graph, index);
	struct strobe_error *error = read_value(shown);
	if (!error && shown->node.reachable && index)
		error = strobe_graph_paths(shown->graph, &index, 1, NULL, keep_path, shown);
	return error;
}

static const char *reach_text(const struct strobe_node *node)
{
	if (!node->reachable)
		return "by nothing: it is leaked";
	return node->precise ? "without guesses" : "by guesses alone";
}

// The other end of an edge.
static void put_other(const struct shown *shown, uint64_t index)
{
	struct strobe_node other;
	bool color = shown->command->color;
	strobe_graph_node(shown->graph, index, &other);
	char *label = heap_label(&other);
	if (other.address)
		printf("  %s0x%" PRIx64 "%s", style_start(color, STYLE_ADDRESS), other.address,
		       style_end(color));
	fputs("  ", stdout);
	put_styled(stdout, color, STYLE_NAME, label);
	free(label);
}

static bool edge_text(struct shown *shown, const struct strobe_edge *edge, bool referrer)
{
	if (shown->edges++ >= shown->limit)
		return true;				   // they are counted
	char *name = strdup(edge->name ? edge->name : ""); // it is valid until the next one
	if (referrer) {
		put_other(shown, edge->from);
		printf("  %s", name ? name : "");
	} else {
		printf("  %s", name ? name : "");
		put_other(shown, edge->to);
		if (edge->target_offset)
			printf(" +0x%" PRIx64, edge->target_offset);
	}
	puts(edge->guessed ? "  (guessed)" : edge->maybe ? "  (maybe: a union)" : "");
	free(name);
	return true;
}

static void edge_json(struct shown *shown, const struct strobe_edge *edge, bool referrer)
{
	struct json *json = shown->json;
	char *name = strdup(edge->name ? edge->name : "");
	json_object(json, NULL);
	json_string(json, "edge", name);
	json_unsigned(json, "offset", edge->offset);
	json_address(json, "target", edge->target);
	json_bool(json, "guessed", edge->guessed);
	json_bool(json, "maybe", edge->maybe);
	json_object(json, "object");
	heap_node_json(json, shown->graph, referrer ? edge->from : edge->to);
	json_object_end(json);
	json_object_end(json);
	free(name);
}

static bool visit_referrer(void *context, const struct strobe_edge *edge)
{
	struct shown *shown = context;
	if (!shown->json)
		return edge_text(shown, edge, true);
	if (shown->edges++ < shown->limit)
		edge_json(shown, edge, true);
	return true;
}

static bool visit_referent(void *context, const struct strobe_edge *edge)
{
	struct shown *shown = context;
	if (!shown->json)
		return edge_text(shown, edge, false);
	if (shown->edges++ < shown->limit)
		edge_json(shown, edge, false);
	return true;
}

static void tell_rest(const struct shown *shown)
{
	if (shown->edges == 0)
		puts("  nothing");
	else if (shown->edges > shown->limit)
		printf("  ... %" PRIu64 " more\n", shown->edges - shown->limit);
}

static int edges_text(struct shown *shown)
{
	uint64_t index = shown->node.index;
	printf("\nreferred to by:\n");
	shown->edges = 0;
	struct strobe_error *error =
		strobe_graph_referrers(shown->graph, index, visit_referrer, shown);
	if (error)
		return command_error(shown->command, NULL, error);
	tell_rest(shown);
	printf("\nrefers to:\n");
	shown->edges = 0;
	error = strobe_graph_references(shown->graph, index, visit_referent, shown);
	if (error)
		return command_error(shown->command, NULL, error);
	tell_rest(shown);
	return STATUS_DONE;
}

static int show_text(struct shown *shown)
{
	const struct strobe_node *node = &shown->node;
	struct size_text retained;
	char *label = heap_label(node);
	bool color = shown->command->color;
	if (node->address)
		printf("%s0x%" PRIx64 "%s  ", style_start(color, STYLE_ADDRESS), node->address,
		       style_end(color));
	put_styled(stdout, color, STYLE_NAME, label);
	free(label);
	printf("\n%s of %" PRIu64 " bytes, retains %" PRIu64 " bytes", heap_kind_name(node->kind),
	       node->size_bytes, node->retained_bytes);
	if (node->retained_bytes >= 1024)
		printf(" (%s)", size_text(node->retained_bytes, &retained));
	putchar('\n');
	printf("type known by: %s\nreached: %s\n", strobe_evidence_name(node->evidence),
	       reach_text(node));
	if (shown->path) {
		fputs("path: ", stdout);
		put_safe(stdout, shown->path);
		putchar('\n');
	}
	if (node->dominator != UINT64_MAX) {
		fputs("dominator:", stdout);
		put_other(shown, node->dominator);
		putchar('\n');
	}
	if (shown->value) {
		putchar('\n');
		put_safe_lines(stdout, shown->value, 0);
		putchar('\n');
	}
	return edges_text(shown);
}

static int edges_json(struct shown *shown)
{
	uint64_t index = shown->node.index;
	json_array(shown->json, "referrers", true);
	shown->edges = 0;
	struct strobe_error *error =
		strobe_graph_referrers(shown->graph, index, visit_referrer, shown);
	if (error)
		return command_error(shown->command, NULL, error);
	json_array_end(shown->json);
	json_unsigned(shown->json, "referrer_count", shown->edges);
	json_array(shown->json, "references", true);
	shown->edges = 0;
	error = strobe_graph_references(shown->graph, index, visit_referent, shown);
	if (error)
		return command_error(shown->command, NULL, error);
	json_array_end(shown->json);
	json_unsigned(shown->json, "reference_count", shown->edges);
	return STATUS_DONE;
}

static int show_json(struct shown *shown)
{
	struct json json;
	const struct strobe_node *node = &shown->node;
	shown->json = &json;
	json_init(&json, stdout);
	json_object(&json, NULL);
	heap_node_json(&json, shown->graph, node->index);
	json_unsigned(&json, "element_count", node->element_count);
	json_string(&json, "evidence", strobe_evidence_name(node->evidence));
	json_bool(&json, "reachable", node->reachable);
	json_bool(&json, "precise", node->precise);
	json_string(&json, "root", shown->holder);
	json_string(&json, "path", shown->path);
	json_string(&json, "value", shown->value);
	if (node->dominator != UINT64_MAX) {
		json_object(&json, "dominator");
		heap_node_json(&json, shown->graph, node->dominator);
		json_object_end(&json);
	} else {
		json_null(&json, "dominator");
	}
	int status = edges_json(shown);
	if (status)
		return status;
	json_object_end(&json);
	json_fini(&json);
	return STATUS_DONE;
}

static int show(struct shown *shown)
{
	struct strobe_error *error = collect(shown);
	if (error)
		return command_error(shown->command, NULL, error);
	// Other names were asked for meanwhile.
	strobe_graph_node(shown->graph, shown->node.index, &shown->node);
	return shown->command->json ? show_json(shown) : show_text(shown);
}

static int run_show(struct command *command)
{
	struct shown shown = {.command = command};
	uint64_t index = 0;
	int status = command_format(command, &shown.format);
	if (!status)
		status = heap_limit(command, &shown.limit);
	if (!status)
		status = heap_open(command, false, &shown.graph);
	if (!status)
		status = heap_node(command, shown.graph, command->arguments[1], &index);
	if (!status) {
		strobe_graph_node(shown.graph, index, &shown.node);
		status = show(&shown);
	}
	free(shown.value);
	free(shown.holder);
	free(shown.path);
	strobe_graph_close(shown.graph);
	return status;
}

const struct verb verb_heap_show = {
	.name = "heap show",
	.arguments = "ADDRESS|EXPRESSION",
	.summary = "an object: its fields, what it retains, who refers to it, what it refers to",
	.options = options,
	.option_count = sizeof(options) / sizeof(options[0]),
	.min_arguments = 2,
	.max_arguments = 2,
	.has_target = true,
	.target_first = true,
	.run = run_show,
};
