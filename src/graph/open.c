// SPDX-License-Identifier: Apache-2.0
// A graph from the file beside its snapshot, or built and put there.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strobe/overlay.h>
#include <unistd.h>

#include "base/error.h"
#include "graph/build.h"
#include "graph/store.h"
#include "view/build.h"
#include "view/view.h"

/** Where the graph of a view is stored; NULL if nowhere (`*failed`: memory is short). Freed by the caller. */
static char *find_place(const struct strobe_view *view, const struct strobe_graph_options *options,
			bool *failed)
{
	char *path = NULL;
	*failed = false;
	// A view of which something was written over is not what is in the file.
	if (options->no_store || !view->source || strobe_overlay_count(view) ||
	    (!options->store && !view->overlay_path))
		return NULL;
	if (options->store)
		path = strdup(options->store);
	else if (asprintf(&path, "%s.graph", view->source->path) < 0)
		path = NULL;
	*failed = !path;
	return path;
}

/** `*ret` stays NULL if there is none that fits. */
static struct strobe_error *read_stored(struct strobe_symbols *symbols, const char *path,
					const struct store_identity *identity,
					struct strobe_graph **ret)
{
	struct file *file;
	struct strobe_error *error = NULL;
	if (access(path, F_OK) != 0)
		return NULL;
	error = file_open(path, &file);
	if (!error)
		error = store_open(file, symbols, identity, ret);
	if (!error || strobe_error_code(error) == STROBE_ERROR_NO_MEMORY)
		return error;
	view_warn(strobe_symbols_view(symbols), "%s: %s; the graph is made again", path,
		  strobe_error_message(error));
	strobe_error_free(error);
	return NULL;
}

/** What stands in the place of a stored graph and is none is not written over. */
static bool is_ours(const char *path)
{
	char magic[sizeof(STORE_MAGIC) - 1];
	FILE *file = fopen(path, "rbe");
	if (!file)
		return true;
	size_t got = fread(magic, 1, sizeof(magic), file);
	fclose(file);
	return got == 0 || memcmp(magic, STORE_MAGIC, got) == 0;
}

static void write_stored(const struct strobe_graph *graph, const char *path,
			 const struct store_identity *identity)
{
	struct strobe_error *error = NULL;
	if (is_ours(path))
		error = store_write(graph, identity, path);
	else
		error = error_new(STROBE_ERROR_INVALID, "%s: is something else", path);
	if (error)
		view_warn(graph->view, "the graph could not be stored: %s",
			  strobe_error_message(error));
	strobe_error_free(error);
}

struct strobe_error *strobe_graph_open(struct strobe_symbols *symbols,
				       const struct strobe_graph_options *options,
				       struct strobe_graph **ret)
{
	struct strobe_graph_options wanted = {.size = sizeof(wanted)};
	const struct strobe_view *view = strobe_symbols_view(symbols);
	struct strobe_graph *graph = NULL;
	struct store_identity identity;
	struct strobe_error *error = NULL;
	bool failed;
	if (options)
		memcpy(&wanted, options,
		       options->size < sizeof(wanted) ? options->size : sizeof(wanted));
	char *path = find_place(view, &wanted, &failed);
	if (failed)
		return error_no_memory();
	if (path) {
		store_identify(view, &wanted, &identity);
		error = read_stored(symbols, path, &identity, &graph);
	}
	if (!error && !graph) {
		error = graph_build(symbols, &wanted, &graph);
		if (!error && path)
			write_stored(graph, path, &identity);
	}
	free(path);
	if (!error)
		*ret = graph;
	return error;
}
