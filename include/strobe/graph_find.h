// SPDX-License-Identifier: Apache-2.0
#ifndef STROBE_GRAPH_FIND_H
#define STROBE_GRAPH_FIND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <strobe/error.h>
#include <strobe/graph.h>
#include <strobe/value.h>

#ifdef __cplusplus
extern "C" {
#endif

/** An object that was found: a node, one element of an array in it, or an object in it. */
struct strobe_found {
	uint64_t node;
	uint64_t element; /**< its index in the node */
	uint64_t address;
	uint64_t size_bytes;
	const char *type_name;		  /**< of one element; valid for the call */
	const struct strobe_value *value; /**< borrowed for the call */
	const void *inside;		  /**< the library's own: see strobe_found_place() */
};
/** How its node calls it, as a path goes on: "->conns[3]"; valid until the next call, and for the visit. NULL if it is the
 *  node itself, or an element of it; "" of a base class that the node begins with. */
STROBE_EXPORT const char *strobe_found_place(const struct strobe_found *found);
/** Called for each; return false to stop. */
typedef bool (*strobe_found_visit)(void *context, const struct strobe_found *found);
/** How many objects a search met. */
struct strobe_find_count {
	uint64_t looked_at, found;
	uint64_t unreadable; /**< of which the expression's value could not be told */
};
/**
 * Visits the objects of `type` (as in strobe_graph_nodes_of_type()) for which the C expression `where` is not zero
 * (NULL: all of them), ascending by address. In it, names are members of the object first, then what they are
 * anywhere; "$" is the object itself. Grammar: strobe-print(1). Structures are found wherever they are in a node: as members,
 * bases, elements, in the block of std::make_shared(), in containers' nodes, in a std::optional, variant or any that has
 * one; of unions each member is. Each is told once. Where the value needs what is not in the view, the object is counted as unreadable
 * and passed over. Errors: those of strobe_evaluate() with a column, NOT_FOUND without one (no such type), TYPE (the
 * type has no description), NO_MEMORY.
 */
STROBE_EXPORT struct strobe_error *strobe_graph_find(struct strobe_graph *graph, const char *type,
						     const char *where, strobe_found_visit visit,
						     void *context, struct strobe_find_count *ret)
	STROBE_MUST_CHECK;

#ifdef __cplusplus
}
#endif
#endif
