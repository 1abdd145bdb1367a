// SPDX-License-Identifier: Apache-2.0
#include "verbs.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strobe/trace_find.h>
#include <unistd.h>

#include "location.h"
#include "progress.h"
#include "trace/prompt.h"
#include "trace/range.h"
#include "trace/stepping.h"

static const struct option options[] = {
	{"at", 0, "PLACE", NULL,
	 "Begin at PLACE: an item's id, a position, or a time since the trace's beginning "
	 "(12.5us). "
	 "Default: the newest instruction."},
	{"execute", 'x', "COMMAND", NULL,
	 "Run COMMAND, and end after the last one; may be given several times."},
	{"source-dir", 's', "DIRS", NULL,
	 "Look for source files below these ':'-separated directories, too."},
};

enum { LINE_SIZE = 4096, COUNT_LIMIT = 1000000, DISASSEMBLE_DEFAULT = 5, DUMP_DEFAULT = 20 };

void prompt_fail(struct prompt *prompt, const char *format, ...)
{
	char message[LINE_SIZE];
	va_list args;
	va_start(args, format);
	vsnprintf(message, sizeof(message), format, args);
	va_end(args);
	command_fail(prompt->command, "%s", message);
	prompt->failed = true;
}

/** A command of the prompt. */
struct action {
	const char *names; // separated by blanks, the first is the full one
	const char *arguments, *help;
	void (*run)(struct prompt *prompt, const struct action *action, const char *argument);
	enum step_unit unit;
	bool forwards;
};

// What is kept for the place is of no use at another one.
static void moved(struct prompt *prompt)
{
	prompt->dump = strobe_cursor_close(prompt->dump);
	prompt->listed = 0;
	prompt_show_place(prompt);
}

static bool read_count(struct prompt *prompt, const char *argument, uint64_t *ret)
{
	if (!*argument)
		return true;
	if (parse_number(argument, ret) && *ret > 0 && *ret <= COUNT_LIMIT)
		return true;
	prompt_fail(prompt, "'%s' is no number from 1 to %d", argument, COUNT_LIMIT);
	return false;
}

static void say(struct prompt *prompt, const char *text)
{
	if (!prompt->command->json)
		printf("  %s\n", text);
}

static void tell_result(struct prompt *prompt, enum step_result result)
{
	switch (result) {
	case STEP_DONE:
		return;
	case STEP_END:
		say(prompt, strobe_cursor_is_forwards(prompt->cursor) ? "the trace ends here"
								      : "the trace begins here");
		return;
	case STEP_GAP:
		say(prompt, "what follows in this direction is missing");
		return;
	case STEP_INTERRUPTED:
		say(prompt, "interrupted");
		return;
	case STEP_NO_MEMORY:
		prompt_fail(prompt, "out of memory");
	}
}

static void run_step(struct prompt *prompt, const struct action *action, const char *argument)
{
	uint64_t count = 1;
	enum step_result result = STEP_DONE;
	struct progress progress;
	if (!read_count(prompt, argument, &count))
		return;
	strobe_cursor_set_forwards(prompt->cursor, action->forwards);
	progress_begin(&progress, "step", true);
	for (uint64_t i = 0; i < count && result == STEP_DONE; i++)
		result = step_move(prompt->command, prompt->cursor, action->unit);
	progress_release();
	tell_result(prompt, result);
	moved(prompt);
}

// To the first or last instruction, over the events at that end.
static void go_to_end(struct prompt *prompt, bool newest)
{
	strobe_cursor_seek(prompt->cursor, 0, newest ? STROBE_SEEK_END : STROBE_SEEK_BEGIN);
	strobe_cursor_set_forwards(prompt->cursor, !newest);
	while (strobe_cursor_has_value(prompt->cursor) &&
	       strobe_cursor_kind(prompt->cursor) == STROBE_ITEM_EVENT)
		strobe_cursor_next(prompt->cursor);
	if (!strobe_cursor_has_value(prompt->cursor)) // nothing but events
		strobe_cursor_seek(prompt->cursor, 0, newest ? STROBE_SEEK_END : STROBE_SEEK_BEGIN);
}

static void run_end(struct prompt *prompt, const struct action *action, const char *argument)
{
	(void)argument;
	go_to_end(prompt, action->forwards);
	moved(prompt);
}

static void run_goto(struct prompt *prompt, const struct action *action, const char *argument)
{
	struct strobe_cursor *cursor = NULL;
	bool found = false;
	(void)action;
	if (!*argument) {
		prompt_fail(prompt, "goto needs an id, a position or a time");
		return;
	}
	struct strobe_error *error = strobe_cursor_clone(prompt->cursor, &cursor);
	if (error) {
		prompt_fail(prompt, "%s", strobe_error_message(error));
		strobe_error_free(error);
		return;
	}
	bool failed = trace_place(prompt->command, cursor, "goto", argument, &found) != STATUS_DONE;
	if (!failed && !found)
		prompt_fail(prompt, "%s: the trace ends before", argument);
	if (failed || !found) {
		prompt->failed = true;
		strobe_cursor_close(cursor);
		return;
	}
	strobe_cursor_close(prompt->cursor);
	prompt->cursor = cursor;
	moved(prompt);
}

static void run_find(struct prompt *prompt, const struct action *action, const char *argument)
{
	const struct command *command = prompt->command;
	uint64_t here = strobe_cursor_id(prompt->cursor);
	struct strobe_trace_find *find = NULL;
	struct strobe_trace_hit hit;
	struct strobe_trace_find_options how = {
		.size = sizeof(how),
		.thread_index = command->thread_index,
		.backwards = !action->forwards,
		.from_id = action->forwards ? here + 1 : 0,
		.end_id = action->forwards ? 0 : here,
	};
	if (!*argument) {
		prompt_fail(prompt,
			    "find needs a function, FILE:LINE, an address, event:NAME, errors");
		return;
	}
	if (!action->forwards && here == 0) {
		prompt_fail(prompt, "%s: not found before this place", argument);
		return;
	}
	struct strobe_error *error =
		strobe_trace_find_open(command->trace, command->symbols, argument, &how, &find);
	if (error) {
		prompt_fail(prompt, "%s", strobe_error_message(error));
		strobe_error_free(error);
		return;
	}
	if (strobe_trace_find_next(find, &hit)) {
		strobe_cursor_go_to_id(prompt->cursor, hit.first_id);
		moved(prompt);
	} else {
		prompt_fail(prompt, "%s: not found %s this place", argument,
			    action->forwards ? "behind" : "before");
	}
	strobe_trace_find_close(find);
}

static void run_thread(struct prompt *prompt, const struct action *action, const char *argument)
{
	struct command *command = prompt->command;
	struct strobe_cursor *cursor = NULL;
	uint64_t tid;
	(void)action;
	size_t index = parse_number(argument, &tid) && tid <= INT32_MAX
			       ? strobe_trace_thread_index(command->trace, (int)tid)
			       : SIZE_MAX;
	if (index == SIZE_MAX) {
		prompt_fail(prompt, "thread '%s': there is none", argument);
		return;
	}
	struct strobe_error *error = strobe_cursor_open(command->trace, index, &cursor);
	if (error) {
		prompt_fail(prompt, "%s", strobe_error_message(error));
		strobe_error_free(error);
		return;
	}
	strobe_cursor_close(prompt->cursor);
	prompt->cursor = cursor;
	command->thread_index = index;
	go_to_end(prompt, true);
	moved(prompt);
}

static void run_list(struct prompt *prompt, const struct action *action, const char *argument)
{
	struct location location;
	(void)action;
	if (!*argument) {
		prompt_list(prompt, NULL, 0);
		return;
	}
	if (location_find(prompt->command, argument, &location) != STATUS_DONE)
		prompt->failed = true;
	else if (!location.file || !location.line)
		prompt_fail(prompt, "%s: its source line is not known", argument);
	else
		prompt_list(prompt, location.file, location.line);
}

static void run_disassemble(struct prompt *prompt, const struct action *action,
			    const char *argument)
{
	uint64_t count = DISASSEMBLE_DEFAULT;
	(void)action;
	if (read_count(prompt, argument, &count))
		prompt_disassemble(prompt, count);
}

static void run_dump(struct prompt *prompt, const struct action *action, const char *argument)
{
	uint64_t count = DUMP_DEFAULT;
	(void)action;
	if (read_count(prompt, argument, &count))
		prompt_dump(prompt, count);
}

static void run_where(struct prompt *prompt, const struct action *action, const char *argument)
{
	uint64_t limit = 0;
	(void)action;
	if (read_count(prompt, argument, &limit))
		prompt_where(prompt, limit);
}

static void run_here(struct prompt *prompt, const struct action *action, const char *argument)
{
	(void)action;
	(void)argument;
	prompt_show_place(prompt);
}

static void run_info(struct prompt *prompt, const struct action *action, const char *argument)
{
	(void)action;
	(void)argument;
	prompt_info(prompt);
}

static void run_quit(struct prompt *prompt, const struct action *action, const char *argument)
{
	(void)action;
	(void)argument;
	prompt->done = true;
}

static void run_help(struct prompt *prompt, const struct action *action, const char *argument);

static const struct action actions[] = {
	{"step s", "[N]", "to the next line, into calls", run_step, STEP_LINE, true},
	{"back-step bs rs", "[N]", "to the line before, into calls", run_step, STEP_LINE, false},
	{"next n", "[N]", "to the next line, over calls", run_step, STEP_OVER, true},
	{"back-next bn rn", "[N]", "to the line before, over calls", run_step, STEP_OVER, false},
	{"stepi si", "[N]", "one instruction forwards", run_step, STEP_INSTRUCTION, true},
	{"back-stepi bsi rsi", "[N]", "one instruction backwards", run_step, STEP_INSTRUCTION,
	 false},
	{"finish fin", "[N]", "to where this function returns to", run_step, STEP_OUT, true},
	{"back-finish bf rfin", "[N]", "to where this function was called", run_step, STEP_OUT,
	 false},
	{"call c", "[N]", "to the next call", run_step, STEP_CALL, true},
	{"back-call bc", "[N]", "to the call before", run_step, STEP_CALL, false},
	{"return r", "[N]", "to the next return", run_step, STEP_RETURN, true},
	{"back-return br", "[N]", "to the return before", run_step, STEP_RETURN, false},
	{"find f", "WHAT",
	 "to the next execution of a function, FILE:LINE, 0xADDRESS; event:NAME; errors", run_find,
	 STEP_INSTRUCTION, true},
	{"back-find rf", "WHAT", "likewise, to the one before", run_find, STEP_INSTRUCTION, false},
	{"goto g", "PLACE", "to an id, a position or a time (12.5us)", run_goto, STEP_INSTRUCTION,
	 true},
	{"begin", "", "to the oldest instruction", run_end, STEP_INSTRUCTION, false},
	{"end", "", "to the newest instruction", run_end, STEP_INSTRUCTION, true},
	{"thread t", "TID", "to another thread's newest instruction", run_thread, STEP_INSTRUCTION,
	 true},
	{"where bt", "[N]", "the calls that have not returned, innermost first", run_where,
	 STEP_INSTRUCTION, true},
	{"list l", "[FUNCTION|FILE:LINE]", "source lines; again: those that follow", run_list,
	 STEP_INSTRUCTION, true},
	{"disassemble x", "[N]", "N instructions before and behind this one, as they lie in memory",
	 run_disassemble, STEP_INSTRUCTION, true},
	{"dump d", "[N]", "N items from here on; again: those that follow", run_dump,
	 STEP_INSTRUCTION, true},
	{"here", "", "this place", run_here, STEP_INSTRUCTION, true},
	{"info i", "", "this item's id, position, time, CPU", run_info, STEP_INSTRUCTION, true},
	{"help h ?", "", "this list", run_help, STEP_INSTRUCTION, true},
	{"quit q", "", "end", run_quit, STEP_INSTRUCTION, true},
};
enum { ACTION_COUNT = sizeof(actions) / sizeof(actions[0]) };

static void run_help(struct prompt *prompt, const struct action *action, const char *argument)
{
	(void)prompt;
	(void)action;
	(void)argument;
	for (size_t i = 0; i < ACTION_COUNT; i++)
		printf("  %-20s %-21s %s\n", actions[i].names, actions[i].arguments,
		       actions[i].help);
	puts("  An empty line runs the last command again.");
}

static bool has_name(const struct action *action, const char *word, size_t size)
{
	for (const char *name = action->names; *name;) {
		size_t length = strcspn(name, " ");
		if (length == size && memcmp(name, word, size) == 0)
			return true;
		name += length + (name[length] == ' ');
	}
	return false;
}

// By its full or short name, or what begins the full name of no other one.
static const struct action *find_action(const char *word, size_t size)
{
	const struct action *found = NULL;
	for (size_t i = 0; i < ACTION_COUNT; i++)
		if (has_name(&actions[i], word, size))
			return &actions[i];
	for (size_t i = 0; i < ACTION_COUNT; i++) {
		if (strncmp(actions[i].names, word, size) != 0)
			continue;
		if (found)
			return NULL;
		found = &actions[i];
	}
	return found;
}

static void run_line(struct prompt *prompt, char *line)
{
	char *end = line + strlen(line);
	while (end > line && isspace((unsigned char)end[-1]))
		*--end = '\0';
	line += strspn(line, " \t");
	if (!*line)
		return;
	size_t size = strcspn(line, " \t");
	const struct action *action = find_action(line, size);
	if (!action) {
		prompt_fail(prompt, "no command '%.*s' (see help)", (int)size, line);
		return;
	}
	const char *argument = line + size + strspn(line + size, " \t");
	if (!*action->arguments && *argument) {
		prompt_fail(prompt, "%.*s takes no argument", (int)size, line);
		return;
	}
	action->run(prompt, action, argument);
	command_tell_warnings(prompt->command);
}

static void read_lines(struct prompt *prompt)
{
	char line[LINE_SIZE], last[LINE_SIZE] = "";
	while (!prompt->done) {
		if (prompt->interactive)
			fputs("(trace) ", stdout);
		fflush(stdout);
		if (!fgets(line, sizeof(line), stdin))
			break;
		if (line[strspn(line, " \t\r\n")])
			snprintf(last, sizeof(last), "%s", line);
		else
			snprintf(line, sizeof(line), "%s", last);
		run_line(prompt, line);
	}
	if (prompt->interactive && !prompt->done)
		putchar('\n');
}

static void run_given(struct prompt *prompt)
{
	char line[LINE_SIZE];
	const char *given;
	size_t at = 0;
	while (!prompt->done && (given = command_option_next(prompt->command, "execute", &at))) {
		snprintf(line, sizeof(line), "%s", given);
		run_line(prompt, line);
	}
}

static int start(struct prompt *prompt)
{
	struct command *command = prompt->command;
	const char *at = command_option(command, "at");
	bool found = true;
	if (at)
		trace_thread_of(command, at);
	struct strobe_error *error =
		strobe_cursor_open(command->trace, command->thread_index, &prompt->cursor);
	if (error)
		return command_error(command, NULL, error);
	if (!at)
		go_to_end(prompt, true);
	int status = at ? trace_place(command, prompt->cursor, "--at", at, &found) : STATUS_DONE;
	if (!status && !found)
		status = command_fail(command, "--at: the trace ends before %s", at);
	return status;
}

static int run_trace_step(struct command *command)
{
	struct prompt prompt = {.command = command, .interactive = isatty(STDIN_FILENO)};
	struct render_style style = {
		.form = RENDER_TEXT, .color = command->color, .syntax = STROBE_SYNTAX_LLVM};
	int status = start(&prompt);
	prompt.render = render_new(command, &style);
	if (!status && !prompt.render)
		status = command_fail(command, "out of memory");
	if (!status) {
		prompt_show_place(&prompt);
		if (command_has(command, "execute"))
			run_given(&prompt);
		else
			read_lines(&prompt);
		status = prompt.failed && !prompt.interactive ? STATUS_FAILED : STATUS_DONE;
	}
	render_free(prompt.render);
	strobe_source_close(prompt.source);
	strobe_cursor_close(prompt.dump);
	strobe_cursor_close(prompt.cursor);
	return status;
}

const struct verb verb_trace_step = {
	.name = "trace step",
	.arguments = "FILE",
	.summary = "walk through a trace at a prompt, forwards and backwards, with source",
	.options = options,
	.option_count = sizeof(options) / sizeof(options[0]),
	.min_arguments = 1,
	.max_arguments = 1,
	.has_trace = true,
	.run = run_trace_step,
};
