// SPDX-License-Identifier: Apache-2.0
// A call tree as text, in the manner of LLDB's "thread trace dump function-calls", and as JSON.

#include "trace/calls_output.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "trace/emit.h"
#include "trace/short_time.h"

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');
	return slash ? slash + 1 : path;
}

static void put_number(uint64_t number)
{
	char text[DECIMAL_SIZE];
	fwrite_unlocked(text, 1, (size_t)(write_decimal(text, number) - text), stdout);
}

/** "5" or "5:12". */
static void put_place(unsigned line, unsigned column)
{
	put_number(line);
	if (!column)
		return;
	putc_unlocked(':', stdout);
	put_number(column);
}

static void put_offset(uint64_t offset)
{
	fputs_unlocked(" + ", stdout);
	put_number(offset);
}

static void put_ids(const char *before, uint64_t first, uint64_t last)
{
	fputs_unlocked(before, stdout);
	put_number(first);
	fputs_unlocked(", ", stdout);
	put_number(last);
	putc_unlocked(']', stdout);
}

static void indent(unsigned depth)
{
	for (; depth; depth--)
		fputs_unlocked("  ", stdout);
}

static void name_text(const struct calls_output *output, const struct strobe_call *call)
{
	bool color = output->command->color;
	if (call->module)
		put_safe(stdout, call->module);
	else
		fputs_unlocked("(none)", stdout);
	putc_unlocked('`', stdout);
	put_styled(stdout, color, STYLE_FUNCTION, call->function ? call->function : "(none)");
	if (call->inlined)
		fputs_unlocked(" [inlined]", stdout);
}

/** " + 21 at foo.c:2:25 to 2:51". */
static void code_text(const struct calls_output *output, const struct strobe_call *call,
		      uint64_t start, uint64_t last)
{
	struct strobe_line line, to;
	struct strobe_symbols *symbols = output->command->symbols;
	// Where calls are left out, what goes on may be in one of them.
	struct strobe_function function;
	if (output->filtered && start != call->address && !call->inlined &&
	    (!strobe_function_at(symbols, start, &function) ||
	     function.start != call->function_start))
		return;
	if (call->function_start && start > call->function_start)
		put_offset(start - call->function_start);
	bool has_line = strobe_line_row_at(symbols, start, &line) && line.file && line.line;
	if (has_line) {
		fputs_unlocked(" at ", stdout);
		put_styled(stdout, output->command->color, STYLE_FILE, base_name(line.file));
		putc_unlocked(':', stdout);
		put_place(line.line, line.column);
	}
	if (output->filtered || start == last)
		return;
	if (has_line && strobe_line_row_at(symbols, last, &to) && to.line) {
		fputs_unlocked(" to ", stdout);
		if (to.file && strcmp(to.file, line.file) != 0) {
			put_styled(stdout, output->command->color, STYLE_FILE, base_name(to.file));
			putc_unlocked(':', stdout);
		}
		put_place(to.line, to.column);
	} else if (!has_line && call->function_start && last > call->function_start) {
		printf(" to <+%" PRIu64 ">", last - call->function_start);
	}
}

static const char *kind_text(enum strobe_call_kind kind)
{
	switch (kind) {
	case STROBE_CALL_TAIL:
		return "  (tail call)";
	case STROBE_CALL_INTERRUPT:
		return "  (signal or interrupt)";
	case STROBE_CALL_SYSTEM:
		return "  (system call)";
	default:
		return "";
	}
}

/** The line of a stretch of a call's own code; without its end. */
static void stretch_text(struct calls_output *output, struct open_call *open, uint64_t last_id,
			 uint64_t last_address)
{
	indent(open->call.depth);
	name_text(output, &open->call);
	code_text(output, &open->call, open->start_address, last_address);
	put_ids("  [", open->start_id, last_id);
	if (!open->told)
		fputs_unlocked(kind_text(open->call.kind), stdout);
	open->told = true;
}

/** Its own code is left for a call, or for something else. */
static void interrupt_stretch(struct calls_output *output, uint64_t last_id, uint64_t last_address)
{
	struct open_call *open = &output->open[output->open_count - 1];
	if (open->start_id != STROBE_NO_ID && last_id != STROBE_NO_ID &&
	    open->start_id <= last_id) {
		stretch_text(output, open, last_id, last_address);
		putc_unlocked('\n', stdout);
	} else if (!open->told) { // it has not run itself yet: a caller
		indent(open->call.depth);
		name_text(output, &open->call);
		fputs_unlocked(kind_text(open->call.kind), stdout);
		putc_unlocked('\n', stdout);
		open->told = true;
	}
	open->start_id = STROBE_NO_ID;
}

static void tree_heading(struct calls_output *output)
{
	printf("\n%s[call tree #%" PRIu64 "]%s\n",
	       style_start(output->command->color, STYLE_HEADING), output->tree_count++,
	       style_end(output->command->color));
}

static bool push(struct calls_output *output, const struct open_call *open)
{
	if (output->open_count == output->open_capacity) {
		size_t capacity = output->open_capacity ? 2 * output->open_capacity : 64;
		struct open_call *grown = realloc(output->open, capacity * sizeof(*grown));
		if (!grown) {
			output->no_memory = true;
			return false;
		}
		output->open = grown;
		output->open_capacity = capacity;
	}
	output->open[output->open_count++] = *open;
	return true;
}

static bool enter_text(void *context, const struct strobe_call *call)
{
	struct calls_output *output = context;
	struct open_call open = {
		.call = *call, .start_id = call->first_id, .start_address = call->address};
	if (output->open_count)
		interrupt_stretch(output, call->from_id, call->from_address);
	else
		tree_heading(output);
	return push(output, &open) && !ferror(stdout);
}

static void totals_text(const struct open_call *open, const struct strobe_call *call, bool whole)
{
	struct short_time text;
	if (!whole && call->first_id != STROBE_NO_ID)
		put_ids("  = [", call->first_id, call->last_id);
	fputs_unlocked("  ", stdout);
	put_number(call->instruction_count);
	fputs_unlocked(call->instruction_count == 1 ? " instruction" : " instructions", stdout);
	if (call->has_time) {
		fputs_unlocked(", ", stdout);
		fputs_unlocked(short_time_text(call->last_time_ns - call->first_time_ns, &text),
			       stdout);
	}
	switch (call->end) {
	case STROBE_CALL_UNWOUND:
		fputs_unlocked(", left by no return", stdout);
		break;
	case STROBE_CALL_LOST:
		fputs_unlocked(", lost in a gap", stdout);
		break;
	default:
		break;
	}
}

static bool leave_text(void *context, const struct strobe_call *call)
{
	struct calls_output *output = context;
	struct open_call *open = &output->open[output->open_count - 1];
	bool whole = !open->told && open->start_id == call->first_id;
	if (open->start_id != STROBE_NO_ID && call->last_id != STROBE_NO_ID &&
	    open->start_id <= call->last_id) {
		stretch_text(output, open, call->last_id, call->last_address);
	} else {
		indent(call->depth);
		name_text(output, call);
	}
	totals_text(open, call, whole);
	putc_unlocked('\n', stdout);
	output->open_count--;
	if (output->open_count) {
		struct open_call *outer = &output->open[output->open_count - 1];
		outer->start_id = call->to_id;
		outer->start_address = call->to_address;
	}
	return !ferror(stdout);
}

static bool gap_text(void *context, const struct strobe_call_gap *gap)
{
	struct calls_output *output = context;
	if (output->open_count) {
		struct open_call *open = &output->open[output->open_count - 1];
		interrupt_stretch(output, gap->from_id, gap->from_address);
		open->start_id = gap->to_id;
		open->start_address = gap->to_address;
	} else {
		tree_heading(output);
	}
	indent(gap->depth);
	printf("%s<tracing errors>%s  [%" PRIu64 ", %" PRIu64 "]  ",
	       style_start(output->command->color, STYLE_ALERT), style_end(output->command->color),
	       gap->first_id, gap->last_id);
	put_safe(stdout, gap->text);
	putc_unlocked('\n', stdout);
	return !ferror(stdout);
}

static void id_json(struct json *json, const char *key, uint64_t id)
{
	if (id == STROBE_NO_ID)
		json_null(json, key);
	else
		json_unsigned(json, key, id);
}

static void line_json(struct json *json, unsigned line)
{
	if (line)
		json_unsigned(json, "line", line);
	else
		json_null(json, "line");
}

static bool enter_json(void *context, const struct strobe_call *call)
{
	struct calls_output *output = context;
	struct json *json = &output->json;
	json_object(json, NULL);
	json_string(json, "function", call->function);
	json_string(json, "module", call->module);
	json_string(json, "file", call->file);
	line_json(json, call->line);
	json_address(json, "address", call->address);
	json_string(json, "kind", strobe_call_kind_name(call->kind));
	json_bool(json, "inlined", call->inlined);
	id_json(json, "first_id", call->first_id);
	json_array(json, "calls", false);
	return !ferror(stdout);
}

static bool leave_json(void *context, const struct strobe_call *call)
{
	struct calls_output *output = context;
	struct json *json = &output->json;
	json_array_end(json);
	id_json(json, "last_id", call->last_id);
	json_unsigned(json, "instructions", call->instruction_count);
	json_unsigned(json, "own_instructions", call->own_count);
	if (call->has_time)
		json_decimal(json, "time_ns", call->last_time_ns - call->first_time_ns);
	else
		json_null(json, "time_ns");
	json_string(json, "end", strobe_call_end_name(call->end));
	json_object_end(json);
	return !ferror(stdout);
}

static bool gap_json(void *context, const struct strobe_call_gap *gap)
{
	struct calls_output *output = context;
	struct json *json = &output->json;
	json_object(json, NULL);
	json_null(json, "function");
	json_null(json, "module");
	json_null(json, "file");
	json_null(json, "line");
	json_string(json, "error", gap->text);
	json_bool(json, "inlined", false);
	json_unsigned(json, "first_id", gap->first_id);
	json_unsigned(json, "last_id", gap->last_id);
	json_array(json, "calls", false);
	json_array_end(json);
	json_object_end(json);
	return !ferror(stdout);
}

void calls_output_init(struct calls_output *output, const struct command *command,
		       const struct strobe_calls_options *options)
{
	int tid = strobe_trace_thread(command->trace, command->thread_index)->tid;
	*output = (struct calls_output){.command = command};
	output->filtered = options->function || options->module || options->min_instructions ||
			   options->max_depth;
	output->visitor = (struct strobe_calls_visitor){
		.enter = enter_text, .leave = leave_text, .gap = gap_text, .context = output};
	if (!command->json) {
		printf("%sthread #%zu: tid = %d%s\n", style_start(command->color, STYLE_HEADING),
		       command->thread_index + 1, tid, style_end(command->color));
		return;
	}
	output->visitor.enter = enter_json;
	output->visitor.leave = leave_json;
	output->visitor.gap = gap_json;
	json_init(&output->json, stdout);
	json_object(&output->json, NULL);
	json_array(&output->json, "threads", true);
	json_object(&output->json, NULL);
	json_signed(&output->json, "tid", tid);
	json_array(&output->json, "calls", true);
}

const struct strobe_calls_visitor *calls_output_visitor(const struct calls_output *output)
{
	return &output->visitor;
}

static void summary_text(const struct strobe_calls_summary *summary)
{
	printf("\n%" PRIu64 " instructions, %" PRIu64 " calls, %" PRIu64 " returns, %" PRIu64
	       " tail calls, %" PRIu64 " inlined calls; depth at most %" PRIu32 "\n",
	       summary->instruction_count, summary->call_count, summary->return_count,
	       summary->tail_count, summary->inlined_count, summary->max_depth);
	if (summary->unwound_count || summary->interrupt_count || summary->gap_count)
		printf("%" PRIu64 " signals or interrupts, %" PRIu64
		       " frames left by no return, %" PRIu64 " gaps\n",
		       summary->interrupt_count, summary->unwound_count, summary->gap_count);
	if (summary->limited)
		puts("(more follow: this is what --limit allows)");
}

static void summary_json(struct json *json, const struct strobe_calls_summary *summary)
{
	json_unsigned(json, "instructions", summary->instruction_count);
	json_unsigned(json, "call_count", summary->call_count);
	json_unsigned(json, "return_count", summary->return_count);
	json_unsigned(json, "tail_call_count", summary->tail_count);
	json_unsigned(json, "inlined_count", summary->inlined_count);
	json_unsigned(json, "interrupt_count", summary->interrupt_count);
	json_unsigned(json, "unwound_count", summary->unwound_count);
	json_unsigned(json, "gap_count", summary->gap_count);
	json_unsigned(json, "max_depth", summary->max_depth);
	json_bool(json, "limited", summary->limited);
}

void calls_output_end(struct calls_output *output, const struct strobe_calls_summary *summary)
{
	if (!output->command->json) {
		summary_text(summary);
		return;
	}
	json_array_end(&output->json);
	summary_json(&output->json, summary);
	json_object_end(&output->json);
	json_array_end(&output->json);
	json_object_end(&output->json);
	json_fini(&output->json);
}

void calls_output_fini(struct calls_output *output)
{
	free(output->open);
}
