// SPDX-License-Identifier: Apache-2.0
#ifndef QUERY_LEAK_SHAPE_H
#define QUERY_LEAK_SHAPE_H

// What the bytes of an untyped block look like.

#include "base/text.h"
#include "graph/graph.h"

/** Words from the start whose pointers make a shape. */
enum { SHAPE_WORDS = 16 };
enum shape_kind { SHAPE_DATA, SHAPE_ZEROS, SHAPE_TEXT, SHAPE_POINTERS, SHAPE_UNREADABLE };

/** A shape as a number, for grouping: the kind, and which of the first words are pointers. */
struct shape {
	enum shape_kind kind;
	uint32_t pointers; // a bit a word
};

struct shape shape_of(const struct strobe_graph *graph, uint32_t node);
/** "text", "zeros", "data", "unreadable", "pointers at +0x0 +0x8". */
void shape_name(const struct shape *shape, struct text *ret);

#endif
