// SPDX-License-Identifier: Apache-2.0
// Nodes by what people write, and in words.

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strobe/graph_query.h>
#include <unistd.h>

#include "heap/heap.h"

int heap_node(struct command *command, struct strobe_graph *graph, const char *text, uint64_t *ret)
{
	uint64_t address = 0, size = 0, offset;
	int status = command_address(command, text, &address, &size);
	if (status)
		return status;
	if (strobe_graph_node_at(graph, address, ret, &offset))
		return STATUS_DONE;
	if (strcmp(text, "0") != 0 && !parse_number(text, &size))
		return command_fail(command, "%s: 0x%" PRIx64 " is in no object", text, address);
	return command_fail(command,
			    "0x%" PRIx64 " is in no object: it is free, or not the program's",
			    address);
}

// Puts the nodes of --type behind the `used` ones.
static int add_type(const struct command *command, struct strobe_graph *graph, size_t used,
		    uint64_t **nodes, size_t *count)
{
	uint64_t *found = NULL;
	size_t found_count = 0;
	struct strobe_error *error = strobe_graph_nodes_of_type(
		graph, command_option(command, "type"), &found, &found_count);
	if (error)
		return command_error(command, NULL, error);
	uint64_t *all = reallocarray(*nodes, used + found_count + 1, sizeof(*all));
	if (all) {
		memcpy(all + used, found, found_count * sizeof(*found));
		*nodes = all;
		*count = used + found_count;
	}
	free(found);
	return all ? STATUS_DONE : command_fail(command, "out of memory");
}

int heap_nodes(struct command *command, struct strobe_graph *graph, size_t first, uint64_t **ret,
	       size_t *count)
{
	size_t used = 0;
	int status = STATUS_DONE;
	uint64_t *nodes = calloc(command->argument_count + 1, sizeof(*nodes));
	if (!nodes)
		return command_fail(command, "out of memory");
	for (size_t i = first; !status && i < command->argument_count; i++)
		status = heap_node(command, graph, command->arguments[i], &nodes[used++]);
	*count = used;
	if (!status && command_has(command, "type"))
		status = add_type(command, graph, used, &nodes, count);
	else if (!status && used == 0)
		status =
			command_usage(command, "say which: addresses, expressions, or --type TYPE");
	if (!status && *count == 0)
		status = command_fail(command, "there is no object of type %s",
				      command_option(command, "type"));
	if (status)
		free(nodes);
	else
		*ret = nodes;
	return status;
}

const char *heap_kind_name(enum strobe_node_kind kind)
{
	static const char *const names[] = {
		[STROBE_NODE_ROOT] = "root",	     [STROBE_NODE_GROUP] = "group",
		[STROBE_NODE_THREAD] = "thread",     [STROBE_NODE_FRAME] = "frame",
		[STROBE_NODE_VARIABLE] = "variable", [STROBE_NODE_AREA] = "area",
		[STROBE_NODE_BLOCK] = "block",	     [STROBE_NODE_SURROGATE] = "surrogate",
	};
	return kind < sizeof(names) / sizeof(names[0]) ? names[kind] : "?";
}

char *heap_label(const struct strobe_node *node)
{
	char *label = NULL;
	int size;
	const char *frame = node->kind == STROBE_NODE_FRAME ? "frame " : "";
	if (node->kind == STROBE_NODE_ROOT)
		size = asprintf(&label, "all roots");
	else if (node->kind == STROBE_NODE_SURROGATE)
		size = asprintf(&label, "(%s)", strobe_surrogate_reason_name(node->reason));
	else if (node->name && node->type_name)
		size = asprintf(&label, "%s (%s)", node->name, node->type_name);
	else if (node->name)
		size = asprintf(&label, "%s%s", frame, node->name);
	else
		size = asprintf(&label, "%s", node->type_name ? node->type_name : "(untyped)");
	return size < 0 ? NULL : label;
}

// Bytes of `text` that take `columns`.
static size_t prefix(const char *text, size_t columns)
{
	size_t at = 0;
	while (text[at] && columns) {
		at++;
		while (((uint8_t)text[at] & 0xc0) == 0x80)
			at++;
		columns--;
	}
	return at;
}

char *heap_fit(const char *label, unsigned used)
{
	enum { LEAST = 24 };
	char *cut = NULL;
	size_t columns = text_columns(label), width = output_width();
	size_t room = width > used + LEAST ? width - used : LEAST;
	if (columns <= room || !isatty(STDOUT_FILENO))
		return strdup(label);
	size_t head = (room - 1) * 2 / 3, tail = room - 1 - head;
	size_t skipped = prefix(label, columns - tail);
	return asprintf(&cut, "%.*s…%s", (int)prefix(label, head), label, label + skipped) < 0
		       ? NULL
		       : cut;
}

const char *heap_share_text(uint64_t part, uint64_t whole, struct share_text *ret)
{
	if (whole == 0)
		return "-";
	snprintf(ret->text, sizeof(ret->text), "%.1f %%", 100 * (double)part / (double)whole);
	return ret->text;
}

void heap_address_json(struct json *json, const char *key, uint64_t address)
{
	if (address)
		json_address(json, key, address);
	else
		json_null(json, key);
}

void heap_node_json(struct json *json, struct strobe_graph *graph, uint64_t index)
{
	struct strobe_node node;
	strobe_graph_node(graph, index, &node);
	heap_address_json(json, "address", node.address);
	json_string(json, "type", node.type_name);
	json_unsigned(json, "size_bytes", node.size_bytes);
	json_unsigned(json, "retained_bytes", node.retained_bytes);
	json_string(json, "kind", heap_kind_name(node.kind));
	json_string(json, "name", node.name);
}

static bool is_owner(enum strobe_node_kind kind)
{
	return kind == STROBE_NODE_GROUP || kind == STROBE_NODE_THREAD || kind == STROBE_NODE_FRAME;
}

// Where a step comes from: the address of the object before, a variable's name, or thread and frame in words.
static void from_json(struct json *json, const struct strobe_path *path, size_t step)
{
	char address[24];
	const struct strobe_path_step *before = step ? &path->steps[step - 1] : NULL;
	if (before && !is_owner(before->kind) && !before->name) {
		snprintf(address, sizeof(address), "0x%" PRIx64, before->address);
		json_string(json, "from", address);
		return;
	}
	struct strobe_path owners = {.steps = path->steps, .count = step};
	char *text = strobe_path_text(&owners);
	json_string(json, "from", before && !is_owner(before->kind) ? before->name : text);
	free(text);
}

void heap_path_json(struct json *json, const char *key, const struct strobe_path *path)
{
	json_array(json, key, false);
	for (size_t i = 0; i < path->count; i++) {
		const struct strobe_path_step *step = &path->steps[i];
		// Threads, frames and groups are where the first one comes from.
		if (is_owner(step->kind) && i + 1 < path->count)
			continue;
		json_object(json, NULL);
		from_json(json, path, i);
		json_string(json, "edge",
			    step->name && (!step->edge || !*step->edge) ? step->name : step->edge);
		heap_address_json(json, "address", step->address);
		json_string(json, "type", step->type_name);
		json_bool(json, "guessed", step->guessed);
		json_bool(json, "maybe", step->maybe);
		json_string(json, "kind", heap_kind_name(step->kind));
		json_object_end(json);
	}
	json_array_end(json);
}
