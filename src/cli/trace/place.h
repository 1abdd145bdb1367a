// SPDX-License-Identifier: Apache-2.0
#ifndef CLI_TRACE_PLACE_H
#define CLI_TRACE_PLACE_H

// What is known of an instruction's address: module, function, the innermost call that is inlined there, line.

#include <stdbool.h>
#include <stdint.h>

#include "command.h"

struct place {
	uint64_t address;
	size_t module;		 // index; SIZE_MAX = in none
	const char *module_name; // the last component of its path; NULL = in none
	const char *function;	 // NULL = unknown
	const char *stub;	 // `function` is a stub for this one; else NULL
	uint64_t start;		 // of the function
	bool has_debug;		 // the function is known from debug information
	uint64_t inlined;	 // a number for the call that is inlined here; 0 = none is
	const char *inlined_name;
	uint64_t inlined_start;
	const char *file; // NULL = unknown
	unsigned line, column;
};

/** Looks `address` up. */
void place_find(const struct command *command, uint64_t address, struct place *ret);
/** What of a place decides whether two have the same heading; small. */
struct place_key {
	uint64_t start, inlined;
	const char *file;
	uint32_t module, line, column;
	bool has_function, has_debug;
};
struct place_key place_key(const struct place *place);
/** True if lldb has one heading for both. */
bool place_same(const struct place_key *a, const struct place_key *b);
/** "module`function + 5 [inlined] g() at file.c:3:1" as lldb has it, into `buffer`; its length. */
size_t place_text(const struct place *place, char *buffer, size_t size);
/** Likewise for what an instruction at `from` refers to: "<+12> at file.c:3:1", "name + 8"; 0 if nothing is known. */
size_t place_reference(const struct command *command, const struct place *from, uint64_t address,
		       char *buffer, size_t size);
/** The name of the innermost function, inlined or not; NULL = unknown. */
const char *place_function(const struct place *place);

#endif
