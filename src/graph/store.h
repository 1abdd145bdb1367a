// SPDX-License-Identifier: Apache-2.0
#ifndef GRAPH_STORE_H
#define GRAPH_STORE_H

// The graph in a file beside its snapshot.

#include "base/file.h"
#include "base/new_file.h"
#include "graph/store_format.h"

/** What a graph of the view would be made of. Errors: none; what cannot be looked at counts as not there. (store_identity.c) */
void store_identify(const struct strobe_view *view, const struct strobe_graph_options *options,
		    struct store_identity *ret);
/** Which version of Strobe this is, as far as graphs depend on it. */
uint64_t store_builder(void);

/**
 * The graph in `file`, which becomes its own, if it is one and of `wanted` (NULL: of anything). `*ret` = NULL: it is of another
 * snapshot, other options, another version of Strobe. All of it is checked once, by two threads where there are: what
 * follows may use its numbers as they are. `symbols` may be NULL, in tests. Errors: NO_MEMORY, FORMAT. (store_read.c)
 */
struct strobe_error *store_open(struct file *file, struct strobe_symbols *symbols,
				const struct store_identity *wanted, struct strobe_graph **ret)
	STROBE_MUST_CHECK;
/** Writes the graph to a file that appears whole or not at all. Errors: NO_MEMORY, SYSTEM, INVALID. (store_write.c) */
struct strobe_error *store_write(const struct strobe_graph *graph,
				 const struct store_identity *identity, const char *path)
	STROBE_MUST_CHECK;

#endif
