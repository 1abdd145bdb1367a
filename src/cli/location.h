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
	unsigned last_line;		 // of FILE:LINE,LINE; else 0
	bool is_address;		 // an address was given, or an expression, not a name
	size_t module_index;		 // SIZE_MAX if in none
	struct strobe_function function; // name NULL if unknown
};

/**
 * FILE:LINE[,LINE], a function, a number, *EXPRESSION or what can only be an expression; `text`
 * NULL: where the chosen frame is.
 */
int location_find(struct command *command, const char *text, struct location *ret)
	STROBE_MUST_CHECK;

#endif
