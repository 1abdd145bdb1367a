// SPDX-License-Identifier: Apache-2.0
#ifndef LENS_ROOTS_H
#define LENS_ROOTS_H

// Where the object graph begins: what a program reaches without the heap.

#include "lens/lens.h"

enum root_kind {
	ROOT_ARGUMENT, // of a frame
	ROOT_LOCAL,    // of a frame; function-level statics are ROOT_STATIC
	ROOT_FRAME, // what else is in a frame: saved registers, spilled values, memory of no variable; scanned
	ROOT_REGISTER,	   // of a thread's innermost frame, or saved by it; scanned
	ROOT_THREAD_LOCAL, // a variable of one thread
	ROOT_GLOBAL,	   // a variable of a module
	ROOT_STATIC,	   // of a file, class or function of a module
	ROOT_DATA, // what else is in a module's data: between variables, or without debug information; scanned
	ROOT_LIBRARY, // what the C library holds for the program: environment, atexit, stdio, thread structures
	ROOT_MAPPING, // memory that the program mapped itself, of no allocator and no module; scanned
};
const char *root_kind_name(
	enum root_kind kind); // "argument", "local", "frame", "register", "thread-local", ...

/** One root: a stretch of memory, or values that are in no memory (a register). */
struct root {
	enum root_kind kind;
	size_t thread;	      // index in the view; SIZE_MAX = of none
	size_t frame;	      // index of the visible frame; SIZE_MAX = of none
	size_t module;	      // index; SIZE_MAX = of none
	const char *function; // of the frame; NULL if unknown
	unsigned line;	      // where the frame is in its source; 0 if unknown
	const char *
		name; // of the variable ("req", "server", "ns::table"); of others what they are: "saved registers",
	// ".bss", "environment", "[stack]"; never NULL
	uint32_t type;		      // lens type id; 0 = scanned
	uint64_t address, size_bytes; // where it is; address 0 = in no memory:
	const uint64_t *values;	      // then its bytes, as words; for type 0 each may be an address
	size_t value_count;
};

/** Called for each root; strings and values live as long as the lens. Return false to stop. */
typedef bool (*root_visit)(void *context, const struct root *root);

/** Memory that belongs to allocators, which ROOT_MAPPING and ROOT_DATA leave out: sorted, not overlapping. */
struct root_hole {
	uint64_t start, end;
};

struct root_options {
	const struct root_hole *holes;
	size_t hole_count;
	/** What allocators keep in modules' data: no variable there, and nothing between them, is a root. As it points to
	 *  blocks' headers, it would seem to hold what lies before these. */
	const struct root_hole *books;
	size_t book_count;
	size_t max_frames; // of one thread; 0 = 1,000,000
};

/**
 * Visits all roots: threads in the view's order with their frames, innermost first, then modules by address, then the C
 * library's, then mappings. Roots in memory do not overlap: of two at one place the one that is bigger, or came
 * first, has it; what lies within another's memory is told with the other's address and size only when it has a name of
 * its own (an inlined argument that is its caller's variable). Errors: NO_MEMORY.
 */
struct strobe_error *lens_roots(struct lens *lens, const struct root_options *options,
				root_visit visit, void *context) STROBE_MUST_CHECK;

#endif
