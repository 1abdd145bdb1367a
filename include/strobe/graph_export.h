// SPDX-License-Identifier: Apache-2.0
#ifndef STROBE_GRAPH_EXPORT_H
#define STROBE_GRAPH_EXPORT_H

#include <stddef.h>
#include <stdint.h>
#include <strobe/error.h>
#include <strobe/graph.h>

#ifdef __cplusplus
extern "C" {
#endif

/** What a graph can be written as. */
enum strobe_graph_format {
	STROBE_GRAPH_SQLITE,	   /**< a database: docs/format/graph-sqlite.md */
	STROBE_GRAPH_HEAPSNAPSHOT, /**< Chrome's .heapsnapshot, for DevTools' Memory panel */
	STROBE_GRAPH_DOT,	   /**< Graphviz, of a neighbourhood */
	STROBE_GRAPH_JSONL,	   /**< one JSON object a line: docs/json.md */
	STROBE_GRAPH_FOLDED,	   /**< folded stacks of dominators, for flame graphs */
	STROBE_GRAPH_HTML,	   /**< a report: one page that needs nothing else */
};
/** Options. Zero-initialise, then set `size`. */
struct strobe_graph_export_options {
	size_t size;	   /**< sizeof(struct strobe_graph_export_options) */
	uint64_t node;	   /**< DOT: the centre; FOLDED: begin there; 0 = the root */
	unsigned distance; /**< DOT: edges from the centre, both ways; 0 = 2 */
	uint64_t
		max_nodes; /**< DOT: at most so many, 0 = 200; FOLDED (0 = 100,000), HTML (0 = 3,000): about so many, what is
			    * smaller is summed up; others have all */
	bool with_unreachable; /**< HEAPSNAPSHOT, FOLDED: leaked blocks too, below a node of their own; SQLITE, JSONL
				* and HTML always have them */
	const char *title;		/**< of the report; NULL = the target's name */
	strobe_graph_progress progress; /**< may be NULL */
	void *progress_context;
};
/** Writes `graph` to `path`, whole or not at all; "-" is standard output (not for SQLITE). Errors: SYSTEM, NO_MEMORY,
 *  INVALID, UNSUPPORTED, LIMIT with "cancelled". */
STROBE_EXPORT struct strobe_error *
strobe_graph_export(struct strobe_graph *graph, enum strobe_graph_format format, const char *path,
		    const struct strobe_graph_export_options *options) STROBE_MUST_CHECK;

#ifdef __cplusplus
}
#endif
#endif
