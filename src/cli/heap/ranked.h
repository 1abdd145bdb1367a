// SPDX-License-Identifier: Apache-2.0
#ifndef CLI_HEAP_RANKED_H
#define CLI_HEAP_RANKED_H

// Objects by what they retain, biggest first, as heap top and heap roots show them.

#include <strobe/graph_query.h>

#include "heap/heap.h"
#include "table.h"

/** What one of these verbs shows. */
struct ranked {
	const char *key; // of the array in JSON
	/** Members that an object has besides those of all. */
	void (*json)(struct json *json, struct strobe_graph *graph, uint64_t node);
	const struct table_column *columns;
	size_t column_count;
	/** The cells of a row, as many as there are columns. `whole`: allocated bytes of the heap. */
	void (*row)(struct table *table, struct strobe_graph *graph, uint64_t node, uint64_t whole);
	/** Behind the table; may be NULL. */
	void (*end)(struct strobe_graph *graph, size_t shown);
};

/** Opens the graph, asks, shows; the exit status. */
int ranked_run(struct command *command, const struct strobe_top_options *wanted,
	       const struct ranked *shown) STROBE_MUST_CHECK;
/** Two cells: where an object is, and what it is. */
void ranked_object_cells(struct table *table, const struct strobe_node *node);

#endif
