// SPDX-License-Identifier: Apache-2.0
#include "verbs.h"

#include <stdio.h>
#include <strobe/version.h>

#include "command.h"
#include "help.h"

static int run_help(struct command *command)
{
	char name[64];
	if (command->argument_count == 0) {
		help_all(stdout);
		return STATUS_DONE;
	}
	snprintf(name, sizeof(name), "%s%s%s", command->arguments[0],
		 command->argument_count > 1 ? " " : "",
		 command->argument_count > 1 ? command->arguments[1] : "");
	const struct verb *verb = verb_find(name);
	if (verb) {
		help_verb(verb);
		return STATUS_DONE;
	}
	if (verb_is_group(name)) {
		help_group(stdout, name);
		return STATUS_DONE;
	}
	verb = verb_suggest(name);
	return command_usage(command, "no verb '%s'%s%s%s", name, verb ? "; did you mean '" : "",
			     verb ? verb->name : "", verb ? "'?" : "");
}

static int run_version(struct command *command)
{
	(void)command;
	printf("strobe %s\n", strobe_version());
	return STATUS_DONE;
}

const struct verb verb_help = {
	.name = "help",
	.arguments = "[VERB]",
	.summary = "show the verbs, or how one is used",
	.max_arguments = 2,
	.run = run_help,
};

const struct verb verb_version = {
	.name = "version",
	.arguments = "",
	.summary = "show the version",
	.run = run_version,
};
