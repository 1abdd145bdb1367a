// SPDX-License-Identifier: Apache-2.0
#include "verbs.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strobe/graph_find.h>

#include "heap/heap.h"

static const struct option options[] = {
	OPTION_LIMIT,
	{"no-values", 0, NULL, NULL, "Show addresses alone."},
	OPTIONS_FORMAT,
	OPTIONS_GRAPH,
};

struct output {
	const struct command *command;
	struct strobe_graph *graph;
	struct strobe_format format;
	struct json json;
	bool values;
	uint64_t limit, shown, beyond;
	struct strobe_error *error;
};

// The document begins when something can be said: after an error there is none.
static void begin_json(struct output *output)
{
	if (output->json.depth)
		return;
	json_object(&output->json, NULL);
	json_array(&output->json, "objects", true);
}

static void found_json(struct output *output, const struct strobe_found *found, const char *text)
{
	struct json *json = &output->json;
	struct strobe_node node;
	begin_json(output);
	strobe_graph_node(output->graph, found->node, &node);
	json_object(json, NULL);
	json_address(json, "address", found->address);
	json_string(json, "type", found->type_name);
	json_unsigned(json, "size_bytes", found->size_bytes);
	json_unsigned(json, "element", found->element);
	json_unsigned(json, "retained_bytes", node.retained_bytes);
	json_bool(json, "reachable", node.reachable);
	const char *place = strobe_found_place(found);
	if (place) {
		json_object(json, "holder");
		json_address(json, "address", node.address);
		json_string(json, "type", node.type_name);
		json_string(json, "place", place);
		json_object_end(json);
	}
	if (text)
		json_string(json, "value", text);
	json_object_end(json);
}

static void tell_holder(const struct output *output, const struct strobe_found *found,
			const char *place)
{
	bool color = output->command->color;
	struct strobe_node node;
	strobe_graph_node(output->graph, found->node, &node);
	printf("  in %s0x%" PRIx64 "%s  ", style_start(color, STYLE_ADDRESS), node.address,
	       style_end(color));
	put_safe(stdout, node.kind == STROBE_NODE_BLOCK || !node.name ? node.type_name : node.name);
	put_safe(stdout, place);
}

static void found_text(const struct output *output, const struct strobe_found *found,
		       const char *text)
{
	bool color = output->command->color;
	printf("%s0x%" PRIx64 "%s", style_start(color, STYLE_ADDRESS), found->address,
	       style_end(color));
	if (text) {
		fputs("  ", stdout);
		put_safe_lines(stdout, text, 0);
	}
	const char *place = strobe_found_place(found);
	if (place)
		tell_holder(output, found, place);
	putchar('\n');
}

static bool visit(void *context, const struct strobe_found *found)
{
	struct output *output = context;
	char *text = NULL;
	if (output->shown == output->limit) {
		output->beyond++;
		return true; // they are counted
	}
	if (output->values)
		output->error = strobe_value_format(found->value, &output->format, &text);
	if (output->error)
		return false;
	if (output->command->json)
		found_json(output, found, text);
	else
		found_text(output, found, text);
	output->shown++;
	free(text);
	return true;
}

static void tell_count(const struct output *output, const struct strobe_find_count *count)
{
	printf("%s%" PRIu64 " of %" PRIu64 " objects", output->shown ? "\n" : "", count->found,
	       count->looked_at);
	if (output->beyond)
		printf("; %" PRIu64 " are shown", output->shown);
	if (count->unreadable)
		printf("; of %" PRIu64 " it cannot be told", count->unreadable);
	putchar('\n');
}

// An error with a column is the expression's, one without the type's.
static int tell_error(const struct command *command, const char *where, struct strobe_error *error)
{
	if (where && strobe_error_column(error))
		return command_expression_error(command, where, error);
	return command_error(command, NULL, error);
}

static int find(struct output *output, const char *type, const char *where)
{
	struct strobe_find_count count;
	bool is_json = output->command->json;
	json_init(&output->json, stdout);
	struct strobe_error *error =
		strobe_graph_find(output->graph, type, where, visit, output, &count);
	if (error)
		return tell_error(output->command, where, error);
	if (output->error)
		return command_error(output->command, NULL, output->error);
	if (!is_json) {
		tell_count(output, &count);
		return STATUS_DONE;
	}
	begin_json(output);
	json_array_end(&output->json);
	json_unsigned(&output->json, "found", count.found);
	json_unsigned(&output->json, "looked_at", count.looked_at);
	json_unsigned(&output->json, "unreadable", count.unreadable);
	json_object_end(&output->json);
	json_fini(&output->json);
	return STATUS_DONE;
}

static int run_find(struct command *command)
{
	struct output output = {.command = command, .values = !command_has(command, "no-values")};
	size_t limit = 0, count = command->argument_count;
	const char *const *words = command->arguments;
	if (count > 2 && strcmp(words[2], "where") != 0)
		return command_usage(command, "'%s': behind the type comes: where EXPRESSION",
				     words[2]);
	if (count == 3)
		return command_usage(command, "where what? An expression comes behind it");
	int status = command_format(command, &output.format);
	if (!status)
		status = heap_limit(command, &limit);
	output.limit = limit;
	if (!status)
		status = heap_open(command, false, &output.graph);
	if (!status)
		status = find(&output, words[1], count > 3 ? words[3] : NULL);
	strobe_graph_close(output.graph);
	return status;
}

const struct verb verb_heap_find = {
	.name = "heap find",
	.arguments = "TYPE [where EXPRESSION]",
	.summary = "the objects of a type for which an expression of their members is true",
	.options = options,
	.option_count = sizeof(options) / sizeof(options[0]),
	.min_arguments = 2,
	.max_arguments = 4,
	.has_target = true,
	.target_first = true,
	.run = run_find,
};
