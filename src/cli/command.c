// SPDX-License-Identifier: Apache-2.0
#include "command.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// `hint`: the verb's help is worth a look.
static void tell(const struct command *command, const char *kind, bool hint, const char *format,
		 va_list args)
{
	char *message = NULL;
	fflush(stdout); // what was found so far comes first where both go to one place
	fprintf(stderr, "strobe: %s: %s", command->verb->name, kind);
	if (vasprintf(&message, format, args) >= 0)
		put_safe(stderr, message);
	free(message);
	if (hint)
		fprintf(stderr, " (see strobe help %s)", command->verb->name);
	putc('\n', stderr);
}

int command_fail(const struct command *command, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	tell(command, "", false, format, args);
	va_end(args);
	return STATUS_FAILED;
}

int command_usage(const struct command *command, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	tell(command, "", true, format, args);
	va_end(args);
	return STATUS_USAGE;
}

void command_warn(const struct command *command, const char *format, ...)
{
	if (command->quiet)
		return;
	va_list args;
	va_start(args, format);
	tell(command, "warning: ", false, format, args);
	va_end(args);
}

void command_note(const struct command *command, const char *format, ...)
{
	if (command->quiet)
		return;
	va_list args;
	va_start(args, format);
	tell(command, "", false, format, args);
	va_end(args);
}

static void tell_origin(const struct command *command, const struct strobe_error *error)
{
	if (!command->verbose)
		return;
	fprintf(stderr, "  made at %s\n", strobe_error_origin(error));
	while ((error = strobe_error_cause(error))) {
		fputs("  cause: ", stderr);
		put_safe(stderr, strobe_error_message(error));
		fprintf(stderr, " (%s)\n", strobe_error_origin(error));
	}
}

int command_error(const struct command *command, const char *what, struct strobe_error *error)
{
	command_fail(command, "%s%s%s", what ? what : "", what ? ": " : "",
		     strobe_error_message(error));
	tell_origin(command, error);
	strobe_error_free(error);
	return STATUS_FAILED;
}

int command_expression_error(const struct command *command, const char *expression,
			     struct strobe_error *error)
{
	unsigned column = strobe_error_column(error);
	command_fail(command, "%s: %s", expression, strobe_error_message(error));
	if (column > 0 && column <= strlen(expression) + 1 && !strpbrk(expression, "\n\t")) {
		fputs("  ", stderr);
		put_safe(stderr, expression);
		fprintf(stderr, "\n  %*s^\n", (int)column - 1, "");
	}
	tell_origin(command, error);
	strobe_error_free(error);
	return STATUS_FAILED;
}

static void tell_trace_warnings(struct command *command)
{
	size_t count = strobe_trace_warning_count(command->trace);
	for (; command->trace_warnings_told < count; command->trace_warnings_told++)
		command_warn(command, "%s",
			     strobe_trace_warning(command->trace, command->trace_warnings_told));
}

void command_tell_warnings(struct command *command)
{
	if (command->trace)
		tell_trace_warnings(command);
	if (!command->view)
		return;
	size_t count = strobe_view_warning_count(command->view);
	for (; command->warnings_told < count; command->warnings_told++)
		command_warn(command, "%s",
			     strobe_view_warning(command->view, command->warnings_told));
}

int command_flush(const struct command *command)
{
	errno = 0;
	if (fflush(stdout) == 0 && !ferror(stdout))
		return STATUS_DONE;
	if (errno == 0) { // it failed earlier, in the middle of the output: ask once more why
		clearerr(stdout);
		putchar('\n');
		fflush(stdout);
	}
	// A reader that has seen enough (`| head`) is no news; a full disk is.
	if (errno != EPIPE)
		command_fail(command, "standard output: %s", strerror(errno ? errno : EIO));
	return STATUS_FAILED;
}

const char *command_option(const struct command *command, const char *name)
{
	size_t index = verb_option_index(command->verb, name, strlen(name));
	assert(index < COMMAND_OPTION_LIMIT);
	return command->values[index];
}

bool command_has(const struct command *command, const char *name)
{
	return command_option(command, name) != NULL;
}

const char *command_option_next(const struct command *command, const char *name, size_t *at)
{
	size_t index = verb_option_index(command->verb, name, strlen(name));
	while (*at < command->given_count) {
		const struct given_option *given = &command->given[(*at)++];
		if (given->index == index)
			return given->value;
	}
	return NULL;
}

int command_number(const struct command *command, const char *name, uint64_t maximum, uint64_t *ret)
{
	const char *text = command_option(command, name);
	uint64_t number;
	if (!text)
		return STATUS_DONE;
	if (!parse_number(text, &number))
		return command_usage(command, "--%s: '%s' is not a number", name, text);
	if (number > maximum)
		return command_usage(command, "--%s: %s is more than %llu", name, text,
				     (unsigned long long)maximum);
	*ret = number;
	return STATUS_DONE;
}

static int unknown_option(const struct command *command, const char *word, size_t size)
{
	const char *known = NULL;
	if (size > 2)
		known = verb_option_suggest(command->verb, word + 2, size - 2);
	if (known)
		return command_usage(command, "no option '%.*s'; did you mean --%s?", (int)size,
				     word, known);
	return command_usage(command, "no option '%.*s' (put -- before what begins with '-')",
			     (int)size, word);
}

static void note_option(struct command *command, size_t index, const char *value)
{
	command->values[index] = value;
	command->given[command->given_count++] = (struct given_option){index, value};
}

// Sets option `index` to what follows '=' (`value`), or to the next word.
static int set_option(struct command *command, size_t index, const char *value, int count,
		      char **words, int *at)
{
	const struct option *option = verb_option(command->verb, index);
	if (!option->argument) {
		if (value)
			return command_usage(command, "--%s takes no value", option->name);
		note_option(command, index, "");
		return STATUS_DONE;
	}
	if (!value) {
		if (*at + 1 >= count)
			return command_usage(command, "--%s needs a value (%s)", option->name,
					     option->argument);
		value = words[++*at];
	}
	if (option->choices && !choice_allowed(option->choices, value))
		return command_usage(command, "--%s: '%s' is not one of %s", option->name, value,
				     option->choices);
	note_option(command, index, value);
	return STATUS_DONE;
}

static int parse_long(struct command *command, int count, char **words, int *at)
{
	const char *name = words[*at] + 2;
	const char *value = strchr(name, '=');
	size_t size = value ? (size_t)(value - name) : strlen(name);
	size_t index = verb_option_index(command->verb, name, size);
	if (index == SIZE_MAX)
		return unknown_option(command, words[*at], size + 2);
	return set_option(command, index, value ? value + 1 : NULL, count, words, at);
}

// "-vq", "-t 12" or "-t12".
static int parse_short(struct command *command, int count, char **words, int *at)
{
	const char *word = words[*at];
	for (const char *letter = word + 1; *letter; letter++) {
		size_t index = verb_option_letter(command->verb, *letter);
		if (index == SIZE_MAX)
			return unknown_option(command, word, letter == word + 1 ? 2 : strlen(word));
		bool takes = verb_option(command->verb, index)->argument != NULL;
		int status = set_option(command, index, takes && letter[1] ? letter + 1 : NULL,
					count, words, at);
		if (status || takes)
			return status;
	}
	return STATUS_DONE;
}

static bool is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static int parse_words(struct command *command, int count, char **words)
{
	bool options_end = false;
	for (int at = 0; at < count; at++) {
		const char *word = words[at];
		int status = STATUS_DONE;
		if (!options_end && strcmp(word, "--") == 0) {
			options_end = command->has_dashes = true;
			command->arguments_before = command->argument_count;
		} else if (!options_end && word[0] == '-' && word[1] == '-' && is_letter(word[2]))
			status = parse_long(command, count, words, &at);
		else if (!options_end && word[0] == '-' && is_letter(word[1]))
			status = parse_short(command, count, words, &at);
		else
			command->arguments[command->argument_count++] = word;
		if (status)
			return status;
	}
	if (!command->has_dashes)
		command->arguments_before = command->argument_count;
	return STATUS_DONE;
}

static bool want_color(const char *when)
{
	if (when && strcmp(when, "auto") != 0)
		return strcmp(when, "always") == 0;
	const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");
	return !(no_color && *no_color) && isatty(STDOUT_FILENO) && term &&
	       strcmp(term, "dumb") != 0;
}

int command_parse(struct command *command, const struct verb *verb, int count, char **words)
{
	*command = (struct command){.verb = verb};
	size_t letters = 1; // "-abc" gives three options
	for (int i = 0; i < count; i++)
		letters += strlen(words[i]);
	command->arguments = calloc((size_t)count + 1, sizeof(*command->arguments));
	command->given = calloc(letters, sizeof(*command->given));
	if (!command->arguments || !command->given)
		return command_fail(command, "out of memory");
	int status = parse_words(command, count, words);
	if (status)
		return status;
	command->help = command_has(command, "help");
	if (command->help)
		return STATUS_DONE;
	if (verb->has_target || verb->has_output || verb->has_trace) {
		command->json = command_has(command, "json");
		command->quiet = command_has(command, "quiet");
		command->verbose = command_has(command, "verbose");
		command->color = want_color(command_option(command, "color"));
	}
	if (command->argument_count < verb->min_arguments) {
		char synopsis[256];
		verb_synopsis(verb, synopsis, sizeof(synopsis));
		return command_usage(command, "too few arguments; usage: strobe %s", synopsis);
	}
	if (command->argument_count > verb->max_arguments)
		return command_usage(command, "unexpected argument '%s'",
				     command->arguments[verb->max_arguments]);
	return STATUS_DONE;
}

struct strobe_view_options command_view_options(const struct command *command)
{
	return (struct strobe_view_options){
		.size = sizeof(struct strobe_view_options),
		.sysroot = command_option(command, "sysroot"),
		.executable = command_option(command, "exe"),
		.debug_directories = command_option(command, "debug-dir"),
		.no_debuginfod = command_has(command, "no-debuginfod"),
	};
}

int command_open_view(struct command *command)
{
	struct strobe_view_options options = command_view_options(command);
	struct strobe_error *error =
		strobe_view_open(command->arguments[0], &options, &command->view);
	if (error)
		return command_error(command, NULL, error);
	int status = command_open_overlay(command, command->view);
	command_tell_warnings(command);
	return status;
}

int command_open(struct command *command)
{
	int status = command_open_view(command);
	if (status)
		return status;
	struct strobe_error *error = strobe_symbols_open(command->view, &command->symbols);
	if (error)
		return command_error(command, command->arguments[0], error);
	command_tell_warnings(command);
	return STATUS_DONE;
}

void command_close(struct command *command)
{
	command_tell_warnings(command);
	strobe_stack_close(command->stack);
	strobe_symbols_close(command->symbols);
	if (command->trace)
		strobe_trace_close(command->trace);
	else
		strobe_view_close(command->view);
	free(command->arguments);
	free(command->given);
}
