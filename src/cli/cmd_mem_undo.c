// SPDX-License-Identifier: Apache-2.0
#include "verbs.h"

#include "command.h"
#include "writes.h"

static const struct option options[] = {
	{"all", 'a', NULL, NULL, "Take back all writes, those of a damaged journal too."},
};

static int undo(struct command *command, size_t count)
{
	size_t all = strobe_overlay_count(command->view);
	if (count > all && count != SIZE_MAX)
		return command_fail(command, "there are only %zu writes", all);
	if (!command->json)
		writes_show(command, count); // what is taken back
	struct strobe_error *error = strobe_overlay_undo(command->view, count);
	if (error)
		return command_error(command, NULL, error);
	if (command->json)
		writes_show(command, SIZE_MAX); // what is left
	return STATUS_DONE;
}

static int run_mem_undo(struct command *command)
{
	bool all = command_has(command, "all");
	uint64_t count = 1;
	if (all && command->argument_count > 1)
		return command_usage(command, "N or --all, not both");
	if (command->argument_count > 1 &&
	    (!parse_number(command->arguments[1], &count) || count == 0 || count >= SIZE_MAX))
		return command_usage(command, "'%s' is no number of writes", command->arguments[1]);
	if (command_pid(command))
		return command_fail(command, "what was written to a living process is not undone");
	command->writes = true;
	int status = command_open(command);
	return status ? status : undo(command, all ? SIZE_MAX : (size_t)count);
}

const struct verb verb_mem_undo = {
	.name = "mem undo",
	.arguments = "TARGET [N]",
	.summary = "take back the last write to a target's journal, or the last N",
	.options = options,
	.option_count = sizeof(options) / sizeof(options[0]),
	.min_arguments = 1,
	.max_arguments = 2,
	.has_target = true,
	.opens_itself = true,
	.run = run_mem_undo,
};
