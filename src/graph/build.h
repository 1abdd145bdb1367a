// SPDX-License-Identifier: Apache-2.0
#ifndef GRAPH_BUILD_H
#define GRAPH_BUILD_H

#include "graph/graph.h"

/**
 * Builds the graph of the symbols' view, all of it: dominators and retained sizes too. Stored graphs are none of its
 * business: strobe_graph_open() looks for one first and writes one afterwards. `options` as there; may be NULL.
 * Errors: NO_MEMORY, LIMIT with "cancelled" in its message. On success `*ret` is the caller's: strobe_graph_close().
 */
struct strobe_error *graph_build(struct strobe_symbols *symbols,
				 const struct strobe_graph_options *options,
				 struct strobe_graph **ret) STROBE_MUST_CHECK;

#endif
