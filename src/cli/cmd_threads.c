// SPDX-License-Identifier: Apache-2.0
#include "verbs.h"

#include <inttypes.h>

#include "command.h"
#include "describe.h"
#include "table.h"

// Frame 0 of a thread, NULL if there is none; `*stack` is the caller's to close.
static const struct strobe_frame *innermost(const struct command *command, size_t thread,
					    struct strobe_stack **stack)
{
	struct strobe_stack_options options = {.size = sizeof(options), .max_frames = 1};
	struct strobe_error *error = strobe_stack_open(command->symbols, thread, &options, stack);
	if (error) {
		command_error(command, NULL, error);
		return NULL;
	}
	return strobe_stack_frame_count(*stack) ? strobe_stack_frame(*stack, 0) : NULL;
}

static void thread_json(const struct command *command, struct json *json, size_t index)
{
	const struct strobe_thread *thread = strobe_view_thread(command->view, index);
	struct strobe_stack *stack = NULL;
	const struct strobe_frame *frame = innermost(command, index, &stack);
	json_object(json, NULL);
	json_signed(json, "tid", thread->tid);
	json_string(json, "name", thread->name);
	if (thread->has_registers) {
		json_address(json, "pc", thread->pc);
		json_address(json, "sp", thread->sp);
	} else {
		json_null(json, "pc");
		json_null(json, "sp");
	}
	json_string(json, "function", frame ? frame->function : NULL);
	json_string(json, "module", frame ? frame->module : NULL);
	json_string(json, "file", frame ? frame->file : NULL);
	if (frame && frame->line)
		json_unsigned(json, "line", frame->line);
	else
		json_null(json, "line");
	signal_json(json, "signal", &thread->signal, -1);
	json_object_end(json);
	strobe_stack_close(stack);
}

static void place_cell(struct table *table, const struct strobe_frame *frame)
{
	if (frame && frame->file && frame->line)
		table_cell(table, "%s:%u", base_name(frame->file), frame->line);
	else
		table_text(table, frame ? frame->module : NULL);
}

static void thread_row(const struct command *command, struct table *table, size_t index)
{
	char signal[256] = "";
	const struct strobe_thread *thread = strobe_view_thread(command->view, index);
	struct strobe_stack *stack = NULL;
	const struct strobe_frame *frame = innermost(command, index, &stack);
	int signal_tid = strobe_view_process_info(command->view)->signal_tid;
	if (thread->signal.number)
		signal_text(&thread->signal, signal, sizeof(signal));
	table_text(table, thread->tid == signal_tid ? "*" : "");
	table_cell(table, "%d", thread->tid);
	table_text(table, thread->name);
	if (thread->has_registers)
		table_cell(table, "0x%016" PRIx64, thread->pc);
	else
		table_text(table, NULL);
	table_text(table, frame && frame->function ? frame->function : "??");
	place_cell(table, frame);
	table_text(table, signal);
	strobe_stack_close(stack);
}

static int run_threads(struct command *command)
{
	static const struct table_column columns[] = {
		{"", false, STYLE_ALERT},
		{"TID", true, STYLE_PLAIN},
		{"NAME", false, STYLE_PLAIN},
		{"PC", false, STYLE_ADDRESS},
		{"FUNCTION", false, STYLE_FUNCTION},
		{"WHERE", false, STYLE_FILE},
		{"SIGNAL", false, STYLE_ALERT},
	};
	size_t count = strobe_view_thread_count(command->view);
	if (command->json) {
		struct json json;
		json_init(&json, stdout);
		json_object(&json, NULL);
		json_array(&json, "threads", true);
		for (size_t i = 0; i < count; i++)
			thread_json(command, &json, i);
		json_array_end(&json);
		json_object_end(&json);
		json_fini(&json);
		return STATUS_DONE;
	}
	struct table table;
	table_init(&table, columns, sizeof(columns) / sizeof(columns[0]));
	for (size_t i = 0; i < count; i++)
		thread_row(command, &table, i);
	table_write(&table, stdout, command->color);
	table_fini(&table);
	return STATUS_DONE;
}

const struct verb verb_threads = {
	.name = "threads",
	.arguments = "CORE",
	.summary = "the threads: where each one is, and which took the signal",
	.min_arguments = 1,
	.max_arguments = 1,
	.has_target = true,
	.run = run_threads,
};
