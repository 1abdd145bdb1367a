// SPDX-License-Identifier: Apache-2.0
#include <stdio.h>
#include <string.h>
#include <strobe/guard.h>

#include "command.h"
#include "help.h"
#include "verbs.h"

// Every verb that is here is also in verbs.h; their order is the one of the help text.
const struct verb *const verbs[] = {
	// clang-format off: a line each
	&verb_ps,
	&verb_snap,
	&verb_held,
	&verb_held_drop,
	&verb_info,
	&verb_threads,
	&verb_bt,
	&verb_print,
	&verb_list,
	&verb_disasm,
	&verb_regs,
	&verb_maps,
	&verb_modules,
	&verb_fds,
	&verb_mem_read,
	&verb_mem_search,
	&verb_mem_write,
	&verb_mem_writes,
	&verb_mem_undo,
	&verb_diff,
	&verb_sym,
	&verb_heap_summary,
	&verb_heap_histogram,
	&verb_heap_top,
	&verb_heap_dominators,
	&verb_heap_path,
	&verb_heap_retained,
	&verb_heap_leaks,
	&verb_heap_free,
	&verb_heap_duplicates,
	&verb_heap_find,
	&verb_heap_show,
	&verb_heap_roots,
	&verb_heap_suspects,
	&verb_heap_diff,
	&verb_heap_export,
	&verb_heap_report,
	&verb_record,
	&verb_trace_info,
	&verb_trace_dump,
	&verb_trace_step,
	&verb_trace_calls,
	&verb_trace_hot,
	&verb_trace_find,
	&verb_trace_diff,
	&verb_trace_cover,
	&verb_trace_export,
	&verb_trace_save,
	&verb_trace_trim,
	&verb_help,
	&verb_watch,
	&verb_version,
	&verb_completion,
	// clang-format on
	NULL,
};

static int open_target(struct command *command)
{
	const struct verb *verb = command->verb;
	if (verb->opens_itself)
		return STATUS_DONE;
	if (verb->has_trace)
		return command_open_trace(command);
	return verb->has_target ? command_open(command) : STATUS_DONE;
}

static int run_verb(const struct verb *verb, int count, char **words)
{
	char program[64];
	struct command command;
	snprintf(program, sizeof(program), "strobe: %s", verb->name);
	strobe_guard_install(program, 0);
	int status = command_parse(&command, verb, count, words);
	if (status == STATUS_DONE) {
		if (command.help)
			help_verb(verb);
		else
			status = open_target(&command);
		if (status == STATUS_DONE && !command.help)
			status = verb->run(&command);
	}
	int flushed = command_flush(&command);
	command_close(&command);
	return status ? status : flushed;
}

static int unknown_verb(const char *name)
{
	const struct verb *meant = verb_suggest(name);
	fputs("strobe: no verb '", stderr);
	put_safe(stderr, name);
	if (meant)
		fprintf(stderr, "'; did you mean '%s'?\n", meant->name);
	else
		fputs("' (see strobe help)\n", stderr);
	return STATUS_USAGE;
}

static const struct verb *find_second(const char *group, const char *word)
{
	char name[64];
	snprintf(name, sizeof(name), "%s %s", group, word);
	return verb_find(name);
}

static int tell_target_first(const char *group, const char *word)
{
	fprintf(stderr, "strobe: %s: the target comes first: strobe %s TARGET %s\n", group, group,
		word ? word : "VERB");
	return STATUS_USAGE;
}

// "heap TARGET summary": that alone, as a target may be called like a verb.
static int run_target_first(int count, char **words)
{
	char name[64];
	const struct verb *verb = find_second(words[0], words[1]);
	if (count < 3)
		return tell_target_first(words[0], verb ? words[1] : NULL);
	bool help = strcmp(words[2], "--help") == 0 || strcmp(words[2], "-h") == 0;
	if (verb && help) {
		help_verb(verb);
		return STATUS_DONE;
	}
	const struct verb *second = find_second(words[0], words[2]);
	if (second) {
		words[2] = words[1];
		return run_verb(second, count - 2, words + 2);
	}
	if (verb)
		return tell_target_first(words[0], words[1]);
	if (words[2][0] == '-') {
		fprintf(stderr, "strobe: %s: which verb? It comes behind the target. ", words[0]);
		help_group(stderr, words[0]);
		return STATUS_USAGE;
	}
	snprintf(name, sizeof(name), "%s %s", words[0], words[2]);
	return unknown_verb(name);
}

// "mem read CORE" is a verb of two words; so is "mem CORE read", as all verbs take their target.
static int run_second_word(int count, char **words)
{
	char name[64];
	if (count < 2 || words[1][0] == '-') {
		bool help = count == 2 &&
			    (strcmp(words[1], "--help") == 0 || strcmp(words[1], "-h") == 0);
		if (help) {
			help_group(stdout, words[0]);
			return STATUS_DONE;
		}
		fprintf(stderr, "strobe: %s: which? ", words[0]);
		help_group(stderr, words[0]);
		return STATUS_USAGE;
	}
	if (verb_group_target_first(words[0]))
		return run_target_first(count, words);
	const struct verb *verb = find_second(words[0], words[1]);
	if (!verb && count > 2 && (verb = find_second(words[0], words[2])))
		words[2] = words[1];
	if (verb)
		return run_verb(verb, count - 2, words + 2);
	snprintf(name, sizeof(name), "%s %s", words[0], words[1]);
	return unknown_verb(name);
}

static bool is_any(const char *word, const char *a, const char *b)
{
	return strcmp(word, a) == 0 || strcmp(word, b) == 0;
}

int main(int argc, char **argv)
{
	if (argc < 2) {
		help_all(stderr);
		return STATUS_USAGE;
	}
	const char *word = argv[1];
	if (is_any(word, "--help", "-h"))
		word = "help";
	else if (is_any(word, "--version", "-V"))
		word = "version";
	else if (strncmp(word, "--dump-options=", 15) == 0)
		return dump_options(word + 15, argv + 2);
	const struct verb *verb = verb_find(word);
	if (verb && argc > 2 && find_second(word, argv[2]))
		verb = NULL; // "held" is a verb, and so is "held drop"
	if (verb)
		return run_verb(verb, argc - 2, argv + 2);
	if (verb_is_group(word))
		return run_second_word(argc - 1, argv + 1);
	return unknown_verb(word);
}
