// SPDX-License-Identifier: Apache-2.0
#include "verbs.h"

#include <inttypes.h>
#include <stdlib.h>
#include <strobe/graph_query.h>

#include "heap/heap.h"

static const struct option options[] = {OPTION_TYPE, OPTIONS_HEAP_FRAME, OPTIONS_GRAPH};

static void retained_json(const struct strobe_retained *retained)
{
	struct json json;
	json_init(&json, stdout);
	json_object(&json, NULL);
	json_unsigned(&json, "objects", retained->nodes);
	json_unsigned(&json, "size_bytes", retained->size_bytes);
	json_unsigned(&json, "retained_objects", retained->retained_nodes);
	json_unsigned(&json, "retained_bytes", retained->retained_bytes);
	json_object_end(&json);
	json_fini(&json);
}

static void retained_text(const struct strobe_retained *retained)
{
	struct size_text own, all;
	printf("%" PRIu64 " object%s of %s retain%s %" PRIu64 " object%s of %s (%" PRIu64
	       " bytes)\n",
	       retained->nodes, retained->nodes == 1 ? "" : "s",
	       size_text(retained->size_bytes, &own), retained->nodes == 1 ? "s" : "",
	       retained->retained_nodes, retained->retained_nodes == 1 ? "" : "s",
	       size_text(retained->retained_bytes, &all), retained->retained_bytes);
}

static int run_retained(struct command *command)
{
	struct strobe_graph *graph = NULL;
	struct strobe_retained retained;
	uint64_t *nodes = NULL;
	size_t count = 0;
	int status = heap_open(command, false, &graph);
	if (!status)
		status = heap_nodes(command, graph, 1, &nodes, &count);
	if (!status) {
		struct strobe_error *error =
			strobe_graph_retained_of(graph, nodes, count, &retained);
		status = error ? command_error(command, NULL, error) : STATUS_DONE;
	}
	if (!status && command->json)
		retained_json(&retained);
	else if (!status)
		retained_text(&retained);
	free(nodes);
	strobe_graph_close(graph);
	return status;
}

const struct verb verb_heap_retained = {
	.name = "heap retained",
	.arguments = "[ADDRESS|EXPRESSION...]",
	.summary = "what would be freed if some objects were: exactly, for all of them together",
	.options = options,
	.option_count = sizeof(options) / sizeof(options[0]),
	.min_arguments = 1,
	.max_arguments = SIZE_MAX,
	.has_target = true,
	.target_first = true,
	.run = run_retained,
};
