// SPDX-License-Identifier: Apache-2.0
#ifndef CLI_HEAP_HEAP_H
#define CLI_HEAP_HEAP_H

// What the verbs of the object graph have in common. A verb is heap/VERB.c with a `struct verb` "heap VERB" that sets
// `target_first`; when it runs, the target and its symbols are open, and heap_open() makes the graph.

#include <strobe/graph.h>
#include <strobe/graph_paths.h>

#include "command.h"

/** Options that every verb of a graph has. */
#define OPTIONS_GRAPH                                                                              \
	{"precise", 0, NULL, NULL,                                                                 \
	 "Follow only what types tell, and no words that merely look like addresses."},            \
		{"no-store", 0, NULL, NULL,                                                        \
		 "Neither read nor write a graph stored beside the snapshot."},                    \
	{                                                                                          \
		"threads", 0, "N", NULL,                                                           \
			"Build the graph with N threads. Default: one a processor."                \
	}
#define OPTION_LIMIT                                                                               \
	{                                                                                          \
		"limit", 'l', "N", NULL,                                                           \
			"Show N rows; 0 is all. Default: 20 in text, all in JSON."                 \
	}
#define OPTION_TYPE                                                                                \
	{                                                                                          \
		"type", 'T', "TYPE", NULL,                                                         \
			"All objects of this type, by its name or a shell pattern of names."       \
	}
/** Of verbs that take expressions: they may name locals of a frame. */
#define OPTIONS_HEAP_FRAME                                                                         \
	{"thread", 't', "TID", NULL,                                                               \
	 "Names in expressions are those of this thread. Default: 'signal', the one that took "    \
	 "it."},                                                                                   \
	{                                                                                          \
		"frame", 'f', "N", NULL,                                                           \
			"Names in expressions are those of this frame. Default: 0, the innermost." \
	}

enum { HEAP_ROWS = 20, HEAP_THREAD_LIMIT = 1024 };

/** Builds the command's graph, or opens the stored one, with a bar. `guesses`: --precise is not about the building. */
int heap_open(struct command *command, bool guesses, struct strobe_graph **ret) STROBE_MUST_CHECK;
/** A graph of another target, opened as the command's is. Zero-initialise; closed with heap_close_other(). */
struct heap_other {
	struct strobe_view *view;
	struct strobe_symbols *symbols;
	struct strobe_graph *graph;
};
int heap_open_other(struct command *command, const char *target, struct heap_other *ret)
	STROBE_MUST_CHECK;
void heap_close_other(struct heap_other *other);

/** --limit: rows to show; SIZE_MAX = all. */
int heap_limit(const struct command *command, size_t *ret) STROBE_MUST_CHECK;
/** "12", "12%", "0.12": a part as 0 to 1. */
int heap_share(const struct command *command, const char *option, double *ret) STROBE_MUST_CHECK;
/** A threshold in bytes ("10M"); `*ret` stays as it is if it was not given. */
int heap_bytes(const struct command *command, const char *option, uint64_t *ret) STROBE_MUST_CHECK;

/** The node that an address is in, or an expression's value: told if there is none. */
int heap_node(struct command *command, struct strobe_graph *graph, const char *text, uint64_t *ret)
	STROBE_MUST_CHECK;
/** The nodes that the arguments from `first` on and --type name; at least one. `*ret` is malloc'ed. */
int heap_nodes(struct command *command, struct strobe_graph *graph, size_t first, uint64_t **ret,
	       size_t *count) STROBE_MUST_CHECK;

/** "block", "variable", ... */
const char *heap_kind_name(enum strobe_node_kind kind);
/** What a node is for a table: its name and type, its type, or "(untyped)"; malloc'ed, never NULL but when memory is short. */
char *heap_label(const struct strobe_node *node);
/** `label`, cut in the middle to what a terminal's width leaves behind `used` columns; malloc'ed. */
char *heap_fit(const char *label, unsigned used);
/** "12.3 %" of `whole`; "-" of nothing. */
struct share_text {
	char text[16];
};
const char *heap_share_text(uint64_t part, uint64_t whole, struct share_text *ret);
/** An address, or null for 0. */
void heap_address_json(struct json *json, const char *key, uint64_t address);
/** The members that every node has: address, type, size_bytes, retained_bytes, kind, name. */
void heap_node_json(struct json *json, struct strobe_graph *graph, uint64_t index);

/** A path as an array of steps. */
void heap_path_json(struct json *json, const char *key, const struct strobe_path *path);

#endif
