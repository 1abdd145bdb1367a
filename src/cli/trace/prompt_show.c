// SPDX-License-Identifier: Apache-2.0
// What the prompt shows.

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strobe/trace_state.h>

#include "describe.h"
#include "progress.h"
#include "trace/code_place.h"
#include "trace/prompt.h"
#include "trace/stepping.h"

enum { LINES_AROUND = 5, LINES_LISTED = 11, FRAMES_DEFAULT = 1000 };

static struct strobe_source *open_source(struct prompt *prompt, const char *file, uint64_t address)
{
	struct command *command = prompt->command;
	if (prompt->source_name && strcmp(prompt->source_name, file) == 0)
		return prompt->source;
	prompt->source = strobe_source_close(prompt->source);
	prompt->source_name = file;
	struct strobe_error *error = strobe_source_open(
		command->symbols, file, strobe_view_module_at(command->view, address),
		command_option(command, "source-dir"), &prompt->source);
	if (error && strobe_error_code(error) != STROBE_ERROR_NOT_FOUND)
		command_warn(command, "%s", strobe_error_message(error));
	strobe_error_free(error);
	return prompt->source;
}

static void put_line(struct prompt *prompt, unsigned line, bool current)
{
	size_t size;
	bool color = prompt->command->color;
	const char *text = strobe_source_line(prompt->source, line, &size);
	printf("%s%s %5u%s  ", style_start(color, current ? STYLE_HEADING : STYLE_FAINT),
	       current ? "=>" : "  ", line, style_end(color));
	if (text)
		put_source(stdout, text, size);
	putchar('\n');
}

static void put_instruction(const struct prompt *prompt, struct strobe_cursor *cursor, bool heading)
{
	unsigned size;
	uint64_t address;
	enum strobe_flow flow = STROBE_FLOW_OTHER;
	if (!strobe_cursor_address(cursor, &address))
		return;
	strobe_cursor_instruction(cursor, &size, &flow);
	const struct rendered *rendered = render_at(prompt->render, address, flow);
	if (!rendered)
		return;
	if (heading)
		fwrite(rendered->heading, 1, rendered->heading_size, stdout);
	printf("    %" PRIu64 ": ", strobe_cursor_id(cursor));
	fwrite(rendered->text, 1, rendered->text_size, stdout);
}

static void put_note(const struct prompt *prompt, struct strobe_cursor *cursor)
{
	printf("    %" PRIu64 ": ", strobe_cursor_id(cursor));
	put_item(prompt->command, prompt->command->symbols, cursor);
	putchar('\n');
}

static void show_json(struct prompt *prompt)
{
	json_init(&prompt->json, stdout);
	json_object(&prompt->json, NULL);
	item_json(&prompt->json, prompt->command->symbols, prompt->cursor);
	json_object_end(&prompt->json);
	json_fini(&prompt->json);
}

void prompt_show_place(struct prompt *prompt)
{
	struct strobe_line line;
	uint64_t address;
	if (!strobe_cursor_has_value(prompt->cursor)) {
		if (!prompt->command->json)
			puts("    no more data");
		return;
	}
	if (prompt->command->json) {
		show_json(prompt);
		return;
	}
	if (!strobe_cursor_address(prompt->cursor, &address)) {
		put_note(prompt, prompt->cursor);
		return;
	}
	const struct rendered *rendered = render_at(prompt->render, address, STROBE_FLOW_OTHER);
	if (rendered)
		fwrite(rendered->heading, 1, rendered->heading_size, stdout);
	if (strobe_line_at(prompt->command->symbols, address, &line) && line.file &&
	    open_source(prompt, line.file, address))
		put_line(prompt, line.line, true);
	put_instruction(prompt, prompt->cursor, false);
}

void prompt_list(struct prompt *prompt, const char *file, unsigned line)
{
	struct strobe_line here = {0};
	uint64_t address = 0;
	bool known = strobe_cursor_address(prompt->cursor, &address) &&
		     strobe_line_at(prompt->command->symbols, address, &here) && here.file;
	unsigned first = prompt->listed + 1;
	if (!file && !known) {
		prompt_fail(prompt, "the source line of this place is not known");
		return;
	}
	if (!file && !prompt->listed)
		line = here.line;
	if (!file)
		file = prompt->listed && prompt->source_name ? prompt->source_name : here.file;
	if (line)
		first = line > LINES_AROUND ? line - LINES_AROUND : 1;
	if (!open_source(prompt, file, address)) {
		prompt_fail(prompt, "%s: the file is not here (see --source-dir)", file);
		return;
	}
	size_t count = strobe_source_line_count(prompt->source);
	if (first > count) {
		prompt_fail(prompt, "%s has %zu lines", strobe_source_path(prompt->source), count);
		return;
	}
	for (unsigned i = first; i < first + LINES_LISTED && i <= count; i++) {
		put_line(prompt, i, known && i == here.line && strcmp(file, here.file) == 0);
		prompt->listed = i;
	}
}

/** The instructions of a function up to one, the last few of which are kept. */
struct around {
	struct prompt *prompt;
	uint64_t pc, before;
	uint64_t *kept; // addresses, a ring of `before` entries
	uint64_t count;
	uint64_t left; // instructions to show from the pc on
};

static void put_around(struct around *around, uint64_t address)
{
	const struct rendered *rendered =
		render_at(around->prompt->render, address, STROBE_FLOW_OTHER);
	if (!rendered)
		return;
	fputs(address == around->pc ? " => " : "    ", stdout);
	fwrite(rendered->text, 1, rendered->text_size, stdout);
}

static bool visit_around(void *context, const struct strobe_instruction *instruction)
{
	struct around *around = context;
	if (instruction->address < around->pc) {
		around->kept[around->count++ % around->before] = instruction->address;
		return true;
	}
	uint64_t first = around->count > around->before ? around->count - around->before : 0;
	for (uint64_t i = first; instruction->address == around->pc && i < around->count; i++)
		put_around(around, around->kept[i % around->before]);
	put_around(around, instruction->address);
	return around->left-- > 0;
}

void prompt_disassemble(struct prompt *prompt, uint64_t count)
{
	struct around around = {.prompt = prompt, .before = count, .left = count};
	struct strobe_function function;
	if (!strobe_cursor_address(prompt->cursor, &around.pc)) {
		prompt_fail(prompt, "this item is no instruction");
		return;
	}
	around.kept = calloc(count, sizeof(*around.kept));
	if (!around.kept) {
		prompt_fail(prompt, "out of memory");
		return;
	}
	bool known = strobe_function_at(prompt->command->symbols, around.pc, &function) &&
		     function.start <= around.pc;
	struct strobe_error *error =
		strobe_disassemble(prompt->command->symbols, known ? function.start : around.pc, 0,
				   0, STROBE_SYNTAX_LLVM, visit_around, &around);
	if (error)
		prompt_fail(prompt, "%s", strobe_error_message(error));
	strobe_error_free(error);
	free(around.kept);
}

void prompt_dump(struct prompt *prompt, uint64_t count)
{
	struct strobe_error *error = NULL;
	if (!prompt->dump)
		error = strobe_cursor_clone(prompt->cursor, &prompt->dump);
	if (error) {
		prompt_fail(prompt, "%s", strobe_error_message(error));
		strobe_error_free(error);
		return;
	}
	strobe_cursor_set_forwards(prompt->dump, true);
	bool heading = true;
	for (uint64_t i = 0; i < count && strobe_cursor_has_value(prompt->dump); i++) {
		if (strobe_cursor_kind(prompt->dump) == STROBE_ITEM_INSTRUCTION)
			put_instruction(prompt, prompt->dump, heading);
		else
			put_note(prompt, prompt->dump);
		heading = strobe_cursor_kind(prompt->dump) != STROBE_ITEM_INSTRUCTION;
		strobe_cursor_next(prompt->dump);
	}
	if (!strobe_cursor_has_value(prompt->dump))
		puts("    no more data");
}

static void put_frame(struct prompt *prompt, struct strobe_cursor *cursor, uint64_t index)
{
	struct place place;
	char text[1024];
	uint64_t address;
	if (!strobe_cursor_address(cursor, &address))
		return;
	if (prompt->command->json) {
		json_object(&prompt->json, NULL);
		json_unsigned(&prompt->json, "index", index);
		item_json(&prompt->json, prompt->command->symbols, cursor);
		json_object_end(&prompt->json);
		return;
	}
	place_find(prompt->command, address, &place);
	place_text(&place, text, sizeof(text));
	printf("  frame #%" PRIu64 ": ", index);
	put_styled(stdout, prompt->command->color, STYLE_FUNCTION, text);
	printf("  [%" PRIu64 "]\n", strobe_cursor_id(cursor));
}

/** A frame of which the trace does not have the call. */
static void put_far_frame(struct prompt *prompt, const struct strobe_trace_frame *frame,
			  uint64_t index)
{
	struct place place;
	struct code_place code;
	char text[1024];
	place_find(prompt->command, frame->pc, &place);
	if (prompt->command->json) {
		json_object(&prompt->json, NULL);
		json_unsigned(&prompt->json, "index", index);
		json_null(&prompt->json, "id");
		code_place_find(prompt->command->symbols, frame->pc, &code);
		code_place_json(&prompt->json, &code);
		json_object_end(&prompt->json);
		return;
	}
	place_text(&place, text, sizeof(text));
	printf("  frame #%" PRIu64 ": ", index);
	put_styled(stdout, prompt->command->color, STYLE_FUNCTION, text);
	puts(frame->uncertain ? "  (what it called is not known)" : "");
}

/** Frames from `index` on that later returns tell: beyond a gap, or from before the trace. How many frames there are
 *  then. */
static uint64_t put_far_frames(struct prompt *prompt, uint64_t index, uint64_t limit)
{
	struct strobe_trace_stacks *stacks = NULL;
	const struct strobe_trace_frame *frames = NULL;
	size_t count = 0;
	struct command *command = prompt->command;
	struct strobe_error *error = strobe_trace_stacks_open(command->trace, command->thread_index,
							      command->symbols, &stacks);
	if (!error)
		error = strobe_trace_stacks_at(stacks, strobe_cursor_id(prompt->cursor), &frames,
					       &count);
	for (; !error && index < count && index < limit; index++)
		put_far_frame(prompt, &frames[index], index);
	if (error)
		prompt_fail(prompt, "%s", strobe_error_message(error));
	strobe_error_free(error);
	strobe_trace_stacks_close(stacks);
	return index;
}

static void put_frames(struct prompt *prompt, struct strobe_cursor *cursor, uint64_t limit)
{
	enum step_result result = STEP_DONE;
	struct progress progress;
	uint64_t shown = 0, known;
	progress_begin(&progress, "stack", true);
	strobe_cursor_set_forwards(cursor, false);
	for (; shown < limit && result == STEP_DONE; shown++) {
		put_frame(prompt, cursor, shown);
		result = step_move(prompt->command, cursor, STEP_OUT);
	}
	progress_release();
	known = shown;
	if (result != STEP_DONE && result != STEP_INTERRUPTED)
		known = put_far_frames(prompt, shown, limit);
	if (prompt->command->json)
		return;
	if (result == STEP_GAP && known == shown)
		puts("  callers before the gap are not known");
	else if (result == STEP_INTERRUPTED)
		puts("  interrupted");
	else if (result == STEP_DONE)
		puts("  ...");
}

void prompt_where(struct prompt *prompt, uint64_t limit)
{
	struct strobe_cursor *cursor = NULL;
	struct strobe_error *error = strobe_cursor_clone(prompt->cursor, &cursor);
	if (error) {
		prompt_fail(prompt, "%s", strobe_error_message(error));
		strobe_error_free(error);
		return;
	}
	if (prompt->command->json) {
		json_init(&prompt->json, stdout);
		json_object(&prompt->json, NULL);
		json_array(&prompt->json, "frames", false);
	}
	put_frames(prompt, cursor, limit ? limit : FRAMES_DEFAULT);
	if (prompt->command->json) {
		json_array_end(&prompt->json);
		json_object_end(&prompt->json);
		json_fini(&prompt->json);
	}
	strobe_cursor_close(cursor);
}

void prompt_info(struct prompt *prompt)
{
	struct strobe_position position;
	double time_ns;
	const struct strobe_trace_thread *thread =
		strobe_trace_thread(prompt->command->trace, prompt->command->thread_index);
	printf("  thread: %d", thread->tid);
	if (thread->name) {
		fputs(", ", stdout);
		put_safe(stdout, thread->name);
	}
	printf("\n  item: %" PRIu64 " of %" PRIu64 "\n", strobe_cursor_id(prompt->cursor),
	       thread->item_count);
	if (strobe_cursor_tell(prompt->cursor, &position))
		printf("  position: %s\n", position.text);
	if (strobe_cursor_time_ns(prompt->cursor, &time_ns))
		printf("  time: %.3f ns\n", time_ns);
	if (strobe_cursor_cpu(prompt->cursor) >= 0)
		printf("  CPU: %d\n", strobe_cursor_cpu(prompt->cursor));
}
