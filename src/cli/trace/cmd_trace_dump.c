// SPDX-License-Identifier: Apache-2.0
#include "verbs.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "progress.h"
#include "trace/dump.h"

static const struct option options[] = {
	{"count", 'c', "N", NULL, "Show N instructions. Default: 20."},
	{"all", 'a', NULL, NULL, "Show all instructions."},
	{"forwards", 'f', NULL, NULL, "Go from the oldest to the newest, not backwards."},
	{"id", 'i', "ID", NULL, "Begin at the item with this id."},
	{"position", 'p', "POSITION", NULL, "Begin at this position, TID#ID@TRACE."},
	{"skip", 's', "N", NULL, "Skip N items first."},
	{"continue", 'C', NULL, NULL,
	 "Go on where the last dump of this thread ended, in its direction."},
	OPTIONS_TRACE_RANGE,
	{"raw", 'r', NULL, NULL, "Show the addresses alone."},
	{"kind", 'k', NULL, NULL, "Show how each instruction goes on: call, return, jump, ..."},
	{"time", 't', NULL, NULL, "Show each item's time."},
	{"events", 'e', NULL, NULL, "Show the events between the instructions."},
	{"only-events", 'E', NULL, NULL, "Show events and errors to the end, and no instructions."},
	{"pretty-json", 'J', NULL, NULL, "As --json, with a line a member."},
	{"intel", 0, NULL, NULL, "Show instructions in Intel's syntax, not in AT&T's."},
	{"file", 'F', "FILE", NULL, "Write to FILE."},
};

enum { COUNT_DEFAULT = 20 };

static int read_count(struct dump *dump)
{
	const struct command *command = dump->command;
	bool both_ends = command_has(command, "from") && command_has(command, "to");
	dump->count = both_ends ? UINT64_MAX : COUNT_DEFAULT;
	if (command_has(command, "all") && command_has(command, "count"))
		return command_usage(command, "--all and --count exclude each other");
	if (command_has(command, "all"))
		dump->count = UINT64_MAX;
	return command_number(command, "count", UINT64_MAX, &dump->count);
}

static void read_style(struct dump *dump)
{
	const struct command *command = dump->command;
	dump->raw = command_has(command, "raw");
	dump->times = command_has(command, "time");
	dump->events = command_has(command, "events");
	dump->only_events = command_has(command, "only-events");
	dump->forwards = command_has(command, "forwards") || command_has(command, "from");
	dump->style = (struct render_style){
		.form = command_has(command, "pretty-json") ? RENDER_PRETTY
			: command->json			    ? RENDER_JSON
							    : RENDER_TEXT,
		.kinds = command_has(command, "kind"),
		.color = command->color && !command_has(command, "file"),
		.syntax = command_has(command, "intel") ? STROBE_SYNTAX_INTEL : STROBE_SYNTAX_LLVM,
	};
}

// At most one of them says where to begin.
static int check_start(const struct command *command)
{
	static const char *const starts[] = {"id", "position", "continue"};
	const char *given = NULL;
	for (size_t i = 0; i < sizeof(starts) / sizeof(starts[0]); i++) {
		if (!command_has(command, starts[i]))
			continue;
		if (given)
			return command_usage(command, "--%s and --%s exclude each other", given,
					     starts[i]);
		given = starts[i];
	}
	return STATUS_DONE;
}

static int start_at_id(struct dump *dump, uint64_t id)
{
	uint64_t count =
		strobe_trace_thread(dump->command->trace, dump->command->thread_index)->item_count;
	if (strobe_cursor_go_to_id(dump->cursor, id))
		return STATUS_DONE;
	return command_fail(dump->command,
			    "--id: there is no item %" PRIu64 ": the thread has %" PRIu64, id,
			    count);
}

static int start_at_position(struct dump *dump, const char *option, const char *position)
{
	struct strobe_error *error = strobe_cursor_go_to(dump->cursor, position);
	return error ? command_error(dump->command, option, error) : STATUS_DONE;
}

// `*at_end`: the last dump came to the end of the trace, and there is nothing more.
static int start_at_last(struct dump *dump, bool *at_end)
{
	struct command *command = dump->command;
	const char *path = command->arguments[0];
	char place[4096];
	struct resume resume;
	int tid = strobe_trace_thread(command->trace, command->thread_index)->tid;
	if (!resume_load(path, tid, &resume))
		return command_fail(
			command, "--continue: no earlier dump of thread %d of %s is noted in %s",
			tid, path, resume_place(place, sizeof(place)) ? place : "$XDG_STATE_HOME");
	if (!command_has(command, "forwards"))
		dump->forwards = resume.forwards;
	*at_end = strcmp(resume.position.text, "-") == 0;
	return *at_end ? STATUS_DONE : start_at_position(dump, "--continue", resume.position.text);
}

static void start_at_end(struct dump *dump)
{
	if (!dump->range.whole && !dump->range.empty)
		strobe_cursor_go_to_id(dump->cursor,
				       dump->forwards ? dump->range.first : dump->range.last);
	else
		strobe_cursor_seek(dump->cursor, 0,
				   dump->forwards ? STROBE_SEEK_BEGIN : STROBE_SEEK_END);
}

static int start(struct dump *dump)
{
	const struct command *command = dump->command;
	uint64_t id = 0, skip = 0;
	bool at_end = false;
	int status = command_number(command, "id", UINT64_MAX - 1, &id);
	if (!status)
		status = command_number(command, "skip", INT64_MAX, &skip);
	if (status)
		return status;
	if (command_has(command, "id"))
		status = start_at_id(dump, id);
	else if (command_has(command, "position"))
		status = start_at_position(dump, "--position", command_option(command, "position"));
	else if (command_has(command, "continue"))
		status = start_at_last(dump, &at_end);
	else
		start_at_end(dump);
	if (status)
		return status;
	strobe_cursor_set_forwards(dump->cursor, dump->forwards);
	if (at_end) // off the end that it was going to
		strobe_cursor_seek(dump->cursor, dump->forwards ? 1 : -1,
				   dump->forwards ? STROBE_SEEK_END : STROBE_SEEK_BEGIN);
	else if (skip)
		strobe_cursor_seek(dump->cursor, dump->forwards ? (int64_t)skip : -(int64_t)skip,
				   STROBE_SEEK_CURRENT);
	return STATUS_DONE;
}

static void note_end(struct dump *dump)
{
	const struct command *command = dump->command;
	struct resume resume = {.forwards = dump->forwards};
	int tid = strobe_trace_thread(command->trace, command->thread_index)->tid;
	bool more = strobe_cursor_tell(dump->cursor, &resume.position);
	resume_save(command->arguments[0], tid, more ? &resume : NULL);
}

static int show(struct dump *dump)
{
	struct command *command = dump->command;
	struct progress progress;
	int status = emit_open(command, command_option(command, "file"), &dump->emit);
	if (status)
		return status;
	progress_begin(&progress, "dump", true); // to end at an item when it is interrupted
	dump_begin(dump);
	status = dump_walk(dump);
	bool interrupted = progress_interrupted();
	dump_end(dump, !strobe_cursor_has_value(dump->cursor));
	progress_release();
	int closed = emit_close(command, &dump->emit, !status && !interrupted);
	if (!status && !closed && interrupted)
		status = command_fail(command, "interrupted");
	if (!status && !closed)
		note_end(dump);
	return status ? status : closed;
}

static int run_trace_dump(struct command *command)
{
	struct dump dump = {.command = command};
	const char *position = command_option(command, "position");
	int status = check_start(command);
	if (position)
		trace_thread_of(command, position);
	if (!status)
		status = read_count(&dump);
	if (!status)
		status = trace_range(command, &dump.range);
	if (status)
		return status;
	read_style(&dump);
	struct strobe_error *error =
		strobe_cursor_open(command->trace, command->thread_index, &dump.cursor);
	if (error)
		return command_error(command, NULL, error);
	status = start(&dump);
	if (!status && !dump.raw && !(dump.render = render_new(command, &dump.style)))
		status = command_fail(command, "out of memory");
	if (!status)
		status = show(&dump);
	render_free(dump.render);
	strobe_cursor_close(dump.cursor);
	return status;
}

const struct verb verb_trace_dump = {
	.name = "trace dump",
	.arguments = "FILE",
	.summary = "a trace's instructions with symbols and lines, its events and errors",
	.options = options,
	.option_count = sizeof(options) / sizeof(options[0]),
	.min_arguments = 1,
	.max_arguments = 1,
	.has_trace = true,
	.run = run_trace_dump,
};
