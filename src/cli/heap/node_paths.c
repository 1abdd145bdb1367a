// SPDX-License-Identifier: Apache-2.0
#include "heap/node_paths.h"

#include <stdlib.h>

// Paths come in the order of the nodes; some nodes have none.
static bool keep(void *context, const struct strobe_path *path)
{
	struct node_paths *paths = context;
	uint64_t node = path->steps[path->count - 1].node;
	while (paths->at < paths->count && paths->nodes[paths->at] != node)
		paths->at++;
	if (paths->at < paths->count)
		paths->texts[paths->at++] = strobe_path_text(path);
	return true;
}

int node_paths_init(struct node_paths *paths, const struct command *command,
		    struct strobe_graph *graph, const uint64_t *nodes, size_t count)
{
	*paths = (struct node_paths){
		.nodes = nodes, .count = count, .texts = calloc(count + 1, sizeof(*paths->texts))};
	if (!paths->texts)
		return command_fail(command, "out of memory");
	struct strobe_path_options wanted = {.size = sizeof(wanted), .prefer_precise = true};
	struct strobe_error *error =
		count ? strobe_graph_path_each(graph, nodes, count, &wanted, keep, paths) : NULL;
	return error ? command_error(command, NULL, error) : STATUS_DONE;
}

void node_paths_fini(struct node_paths *paths)
{
	for (size_t i = 0; i < paths->count && paths->texts; i++)
		free(paths->texts[i]);
	free(paths->texts);
	*paths = (struct node_paths){0};
}
