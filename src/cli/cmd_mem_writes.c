// SPDX-License-Identifier: Apache-2.0
#include "verbs.h"

#include "command.h"
#include "writes.h"

static int run_mem_writes(struct command *command)
{
	command->lists_writes = true;
	int status = command_open(command);
	if (!status)
		writes_show(command, SIZE_MAX);
	return status;
}

const struct verb verb_mem_writes = {
	.name = "mem writes",
	.arguments = "TARGET",
	.summary = "what was written to a target's journal, oldest first",
	.min_arguments = 1,
	.max_arguments = 1,
	.has_target = true,
	.opens_itself = true,
	.run = run_mem_writes,
};
