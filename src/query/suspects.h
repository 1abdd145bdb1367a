// SPDX-License-Identifier: Apache-2.0
#ifndef QUERY_SUSPECTS_H
#define QUERY_SUSPECTS_H

#include <strobe/graph_suspects.h>

#include "base/arena.h"
#include "base/array.h"
#include "query/tree.h"

struct strobe_suspects {
	ARRAY(struct strobe_suspect) items;
	struct arena arena; // strings
};

/** Fills in what a suspect is called, what it holds, and the text. Strings go into `arena`. Errors: NO_MEMORY. */
struct strobe_error *suspects_describe(struct strobe_graph *graph, const struct tree *tree,
				       bool grown, struct arena *arena,
				       struct strobe_suspect *suspect) STROBE_MUST_CHECK;

#endif
