// SPDX-License-Identifier: Apache-2.0
#include "help.h"

#include <ctype.h>
#include <string.h>

#include "command.h"
#include "output.h"
#include "verbs.h"

enum { HELP_WIDTH_LIMIT = 100, HELP_INDENT = 26, SYNOPSIS_SIZE = 256 };

static unsigned help_width(void)
{
	unsigned width = output_width();
	return width < HELP_WIDTH_LIMIT ? width : HELP_WIDTH_LIMIT;
}

static void put_verb(FILE *out, const struct verb *verb)
{
	fprintf(out, "  %-16s", verb->name);
	put_wrapped(out, verb->summary, 18, 18, help_width());
}

void help_all(FILE *out)
{
	fputs("usage: strobe VERB TARGET [ARGUMENTS] [OPTIONS]\n\n"
	      "Takes a picture of a process and shows everything in it. TARGET is the id of a "
	      "process, "
	      "a\nsnapshot or core file, or @NAME of a copy that is held in memory. "
	      "The verbs 'trace ...' take\na trace: a bundle's trace.json, a perf.data with Intel "
	      "PT, or one of strobe's own.\n\n",
	      out);
	for (size_t i = 0; verbs[i]; i++)
		put_verb(out, verbs[i]);
	fputs("\nEvery verb: strobe help VERB, man strobe-VERB. For programs: --json.\n"
	      "A start: strobe info TARGET, then strobe bt TARGET --locals\n",
	      out);
}

bool verb_is_group(const char *word)
{
	size_t size = strlen(word);
	for (size_t i = 0; verbs[i]; i++)
		if (strncmp(verbs[i]->name, word, size) == 0 && verbs[i]->name[size] == ' ')
			return true;
	return false;
}

bool verb_group_target_first(const char *word)
{
	size_t size = strlen(word);
	for (size_t i = 0; verbs[i]; i++)
		if (strncmp(verbs[i]->name, word, size) == 0 && verbs[i]->name[size] == ' ')
			return verbs[i]->target_first;
	return false;
}

void help_group(FILE *out, const char *group)
{
	size_t size = strlen(group);
	if (verb_group_target_first(group))
		fprintf(out, "strobe %s TARGET VERB has these verbs:\n", group);
	else
		fprintf(out, "%s has these verbs:\n", group);
	for (size_t i = 0; verbs[i]; i++)
		if (strncmp(verbs[i]->name, group, size) == 0 && verbs[i]->name[size] == ' ')
			put_verb(out, verbs[i]);
}

static void put_option(const struct option *option)
{
	char head[128], letter[8] = "";
	if (option->letter)
		snprintf(letter, sizeof(letter), "-%c, ", option->letter);
	int size = snprintf(head, sizeof(head), "  %4s--%s%s%s", letter, option->name,
			    option->argument ? " " : "", option->argument ? option->argument : "");
	fputs(head, stdout);
	if (size + 2 > HELP_INDENT) {
		printf("\n%*s", HELP_INDENT, "");
		size = HELP_INDENT;
	} else {
		printf("%*s", HELP_INDENT - size, "");
	}
	char help[512];
	snprintf(help, sizeof(help), "%s%s%s%s", option->help, option->choices ? " One of " : "",
		 option->choices ? option->choices : "", option->choices ? "." : "");
	put_wrapped(stdout, help, HELP_INDENT, HELP_INDENT, help_width());
}

void help_verb(const struct verb *verb)
{
	const struct option *option;
	char synopsis[SYNOPSIS_SIZE];
	verb_synopsis(verb, synopsis, sizeof(synopsis));
	printf("usage: strobe %s [OPTIONS]\n\n%c", synopsis,
	       toupper((unsigned char)verb->summary[0]));
	put_wrapped(stdout, verb->summary + 1, 0, 1, help_width());
	putchar('\n');
	for (size_t i = 0; (option = verb_option(verb, i)); i++) {
		if (i == verb->option_count && i > 0)
			fputs(verb->has_trace ? "\nLike every verb of a trace:\n"
					      : "\nLike every verb:\n",
			      stdout);
		put_option(option);
	}
}

// scdoc gives * and _ a meaning, and \ too.
static void put_scdoc(const char *text)
{
	for (; *text; text++) {
		if (strchr("*_\\#`", *text))
			putchar('\\');
		putchar(*text);
	}
}

static void dump_option(const struct option *option)
{
	if (option->letter)
		printf("*-%c*, ", option->letter);
	fputs("*--", stdout);
	put_scdoc(option->name);
	putchar('*');
	if (option->argument) {
		fputs(" _", stdout);
		put_scdoc(option->argument);
		putchar('_');
	}
	fputs("\n\t", stdout);
	put_scdoc(option->help);
	if (option->choices) {
		fputs(" One of ", stdout);
		put_scdoc(option->choices);
		putchar('.');
	}
	fputs("\n\n", stdout);
}

static void dump_verbs(void)
{
	for (size_t i = 0; verbs[i]; i++) {
		printf("*%s*", verbs[i]->name);
		fputs("\n\t", stdout);
		putchar(toupper((unsigned char)verbs[i]->summary[0]));
		put_scdoc(verbs[i]->summary + 1);
		fputs(".\n\n", stdout);
	}
}

int dump_options(const char *how, char **words)
{
	if (strcmp(how, "verbs") == 0) {
		dump_verbs();
		return STATUS_DONE;
	}
	const struct verb *verb = words[0] ? verb_find(words[0]) : NULL;
	if (!verb) {
		fputs("strobe: --dump-options=scdoc|own|synopsis VERB, --dump-options=verbs\n",
		      stderr);
		return STATUS_USAGE;
	}
	if (strcmp(how, "synopsis") == 0) {
		int first = (int)strcspn(verb->name, " ");
		if (verb->target_first)
			printf("*strobe %.*s* _TARGET_ *%s* ", first, verb->name,
			       verb->name + first + 1);
		else
			printf("*strobe %s* ", verb->name);
		put_scdoc(verb->arguments);
		puts(" [_OPTIONS_]");
		return STATUS_DONE;
	}
	const struct option *option;
	bool common = (verb->has_target || verb->has_output || verb->has_trace) &&
		      strcmp(how, "own") != 0;
	for (size_t i = 0; (option = verb_option(verb, i)); i++)
		if (i < verb->option_count || common)
			dump_option(option);
	return STATUS_DONE;
}
