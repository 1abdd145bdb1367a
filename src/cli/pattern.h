// SPDX-License-Identifier: Apache-2.0
#ifndef CLI_PATTERN_H
#define CLI_PATTERN_H

#include <strobe/memory.h>

#include "command.h"

enum { PATTERN_LIMIT = 65536 };

/** What `mem search` looks for, in the caller's storage; `search` points into it. */
struct pattern {
	struct strobe_search search;
	uint8_t bytes[PATTERN_LIMIT];
	uint8_t mask[PATTERN_LIMIT];
};

/** Reads the pattern from the command's options and arguments. */
int pattern_parse(struct command *command, struct pattern *ret) STROBE_MUST_CHECK;

#endif
