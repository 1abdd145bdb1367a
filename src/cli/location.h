// SPDX-License-Identifier: Apache-2.0
#ifndef CLI_LOCATION_H
#define CLI_LOCATION_H

#include "command.h"

/** A place in the program. */
struct location {
	uint64_t address; // meaningful if has_address
	bool has_address;
	const char *file;		 // borrowed from the symbols; NULL if unknown
	unsigned line;			 // 0 if unknown
	size_t module_index;		 // SIZE_MAX if in none
	struct strobe_function function; // name NULL if unknown
};

/** FILE:LINE, a function, a number or *EXPRESSION; `text` NULL: where the chosen frame is. */
int location_find(struct command *command, const char *text, struct location *ret)
	STROBE_MUST_CHECK;

#endif
