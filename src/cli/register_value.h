// SPDX-License-Identifier: Apache-2.0
#ifndef CLI_REGISTER_VALUE_H
#define CLI_REGISTER_VALUE_H

#include "command.h"

/** Sets what --set names in thread `thread_index`: all of it or nothing. `*count` = how many. */
int register_values_set(struct command *command, size_t thread_index, size_t *count)
	STROBE_MUST_CHECK;

#endif
