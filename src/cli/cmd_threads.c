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

static void system_call_json(struct json *json, const struct strobe_thread *thread)
{
	if (thread->in_system_call < 0)
		json_null(json, "in_system_call");
	else
		json_bool(json, "in_system_call", thread->in_system_call);
	if (thread->in_system_call != 1) {
		json_null(json, "system_call");
		return;
	}
	json_object(json, "system_call");
	json_signed(json, "number", thread->system_call);
	json_string(json, "name", strobe_system_call_name(thread->system_call));
	json_array(json, "arguments", false);
	for (int i = 0; i < 6; i++)
		json_address(json, NULL, thread->system_call_arguments[i]);
	json_array_end(json);
	json_object_end(json);
}

static void address_or_null(struct json *json, const char *key, bool known, uint64_t address)
{
	if (known)
		json_address(json, key, address);
	else
		json_null(json, key);
}

/** What the kernel knows of it, besides registers. */
static void kernel_json(struct json *json, const struct strobe_thread *thread)
{
	char state[2] = {thread->state, '\0'};
	json_string(json, "state", thread->state ? state : NULL);
	number_json(json, "cpu", thread->cpu, -1);
	json_bool(json, "not_stopped", thread->not_stopped);
	system_call_json(json, thread);
	if (thread->signals_known) {
		signal_set_json(json, "blocked", thread->blocked);
		signal_set_json(json, "pending", thread->pending);
	} else {
		json_null(json, "blocked");
		json_null(json, "pending");
	}
	address_or_null(json, "robust_list", thread->robust_list_known, thread->robust_list);
	address_or_null(json, "rseq", thread->rseq_known, thread->rseq);
	json_string(json, "policy", thread->policy);
	number_json(json, "realtime_priority", thread->realtime_priority, -1);
	number_json(json, "nice", thread->nice, STROBE_NOT_KNOWN);
	time_json(json, "start_time", thread->start_time_ns);
	number_json(json, "user_ns", thread->user_ns, -1);
	number_json(json, "system_ns", thread->system_ns, -1);
	number_json(json, "voluntary_switches", thread->voluntary_switches, -1);
	number_json(json, "involuntary_switches", thread->involuntary_switches, -1);
}

static void thread_json(const struct command *command, struct json *json, size_t index)
{
	const struct strobe_thread *thread = strobe_view_thread(command->view, index);
	struct strobe_stack *stack = NULL;
	const struct strobe_frame *frame = innermost(command, index, &stack);
	json_object(json, NULL);
	json_signed(json, "tid", thread->tid);
	json_string(json, "name", thread->name);
	address_or_null(json, "pc", thread->has_registers, thread->pc);
	address_or_null(json, "sp", thread->has_registers, thread->sp);
	json_string(json, "function", frame ? frame->function : NULL);
	json_string(json, "module", frame ? frame->module : NULL);
	json_string(json, "file", frame ? frame->file : NULL);
	if (frame && frame->line)
		json_unsigned(json, "line", frame->line);
	else
		json_null(json, "line");
	signal_json(json, "signal", &thread->signal, -1);
	kernel_json(json, thread);
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

/** Columns of which no thread knows anything are left out. */
enum thread_column {
	COLUMN_MARK,
	COLUMN_TID,
	COLUMN_NAME,
	COLUMN_STATE,
	COLUMN_CPU,
	COLUMN_TIME,
	COLUMN_PC,
	COLUMN_FUNCTION,
	COLUMN_WHERE,
	COLUMN_CALL,
	COLUMN_SIGNAL,
	COLUMN_COUNT,
};

static unsigned columns_known(const struct strobe_view *view)
{
	unsigned known =
		~(1u << COLUMN_STATE | 1u << COLUMN_CPU | 1u << COLUMN_TIME | 1u << COLUMN_CALL);
	for (size_t i = 0; i < strobe_view_thread_count(view); i++) {
		const struct strobe_thread *thread = strobe_view_thread(view, i);
		if (thread->cpu >= 0) // which snapshots know: a core has the main thread's state
			known |= 1u << COLUMN_CPU | 1u << COLUMN_STATE;
		if (thread->user_ns >= 0 && thread->system_ns >= 0)
			known |= 1u << COLUMN_TIME;
		if (thread->in_system_call == 1)
			known |= 1u << COLUMN_CALL;
	}
	return known;
}

static void time_cell(struct table *table, const struct strobe_thread *thread)
{
	char text[64];
	if (thread->user_ns < 0 || thread->system_ns < 0)
		table_text(table, NULL);
	else
		table_text(table,
			   duration_text(thread->user_ns + thread->system_ns, text, sizeof(text)));
}

static void call_cell(struct table *table, const struct strobe_thread *thread)
{
	const char *name = strobe_system_call_name(thread->system_call);
	if (thread->in_system_call != 1)
		table_text(table, thread->in_system_call < 0 ? NULL : "");
	else if (name)
		table_text(table, name);
	else
		table_cell(table, "%" PRId64, thread->system_call);
}

static void state_cell(struct table *table, const struct strobe_thread *thread)
{
	const char *state = state_text(thread->state);
	if (thread->not_stopped)
		table_cell(table, "%s, not stopped", state ? state : "unknown");
	else
		table_text(table, state);
}

static void thread_row(const struct command *command, struct table *table, size_t index,
		       unsigned known)
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
	if (known & 1u << COLUMN_STATE)
		state_cell(table, thread);
	if (known & 1u << COLUMN_CPU) {
		if (thread->cpu >= 0)
			table_cell(table, "%d", thread->cpu);
		else
			table_text(table, NULL);
	}
	if (known & 1u << COLUMN_TIME)
		time_cell(table, thread);
	if (thread->has_registers)
		table_cell(table, "0x%016" PRIx64, thread->pc);
	else
		table_text(table, NULL);
	table_text(table, frame && frame->function ? frame->function : "??");
	place_cell(table, frame);
	if (known & 1u << COLUMN_CALL)
		call_cell(table, thread);
	table_text(table, signal);
	strobe_stack_close(stack);
}

static void threads_text(const struct command *command, size_t count)
{
	static const struct table_column all[COLUMN_COUNT] = {
		[COLUMN_MARK] = {"", false, STYLE_ALERT},
		[COLUMN_TID] = {"TID", true, STYLE_PLAIN},
		[COLUMN_NAME] = {"NAME", false, STYLE_PLAIN},
		[COLUMN_STATE] = {"STATE", false, STYLE_PLAIN},
		[COLUMN_CPU] = {"CPU", true, STYLE_PLAIN},
		[COLUMN_TIME] = {"TIME", true, STYLE_PLAIN},
		[COLUMN_PC] = {"PC", false, STYLE_ADDRESS},
		[COLUMN_FUNCTION] = {"FUNCTION", false, STYLE_FUNCTION},
		[COLUMN_WHERE] = {"WHERE", false, STYLE_FILE},
		[COLUMN_CALL] = {"SYSTEM CALL", false, STYLE_NAME},
		[COLUMN_SIGNAL] = {"SIGNAL", false, STYLE_ALERT},
	};
	unsigned known = columns_known(command->view);
	struct table_column columns[COLUMN_COUNT];
	size_t column_count = 0;
	for (size_t i = 0; i < COLUMN_COUNT; i++)
		if (known & 1u << i)
			columns[column_count++] = all[i];
	struct table table;
	table_init(&table, columns, column_count);
	for (size_t i = 0; i < count; i++)
		thread_row(command, &table, i, known);
	table_write(&table, stdout, command->color);
	table_fini(&table);
}

static int run_threads(struct command *command)
{
	size_t count = strobe_view_thread_count(command->view);
	struct json json;
	if (!command->json) {
		threads_text(command, count);
		return STATUS_DONE;
	}
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

const struct verb verb_threads = {
	.name = "threads",
	.arguments = "TARGET",
	.summary = "the threads: where each one is, and which took the signal",
	.min_arguments = 1,
	.max_arguments = 1,
	.has_target = true,
	.run = run_threads,
};
