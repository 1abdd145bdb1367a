// SPDX-License-Identifier: Apache-2.0
#ifndef GRAPH_OBJECT_H
#define GRAPH_OBJECT_H

// How one object of the graph is walked: the same way for its type, for its edges, and when they are named.

#include "lens/lens.h"

struct graph_object {
	uint32_t type; // the lens's id
	uint64_t address, size_bytes;
	uint64_t count;	    // elements of the type; 0 = as many as fit
	uint64_t low, high; // words outside [low, high) are not guessed to be addresses
	bool precise;	    // no guesses at all
	bool words; // behind all that its type tells of, all its words once more, as guesses: integers may be addresses
};

/** Visits the references of an object, as lens_walk() does. `unreadable` may be NULL; bytes are added. Any thread. */
void graph_object_walk(const struct lens *lens, const struct lens_memory *memory,
		       const struct graph_object *object, lens_visit visit, void *context,
		       uint64_t *unreadable);
/** The same for a root that is in no memory: `count` words are its bytes. (values.c) */
void graph_values_walk(const struct lens *lens, const struct lens_memory *memory,
		       const uint64_t *values, size_t count, uint32_t type, bool precise,
		       lens_visit visit, void *context);

#endif
