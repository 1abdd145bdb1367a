// SPDX-License-Identifier: Apache-2.0
#include "frame.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strobe/value.h>

enum { LOCALS_INDENT = 8 };

struct visit {
	const struct command *command;
	const struct frame_style *style;
	struct json *json;
	bool first;
};

// In a frame's line an aggregate is "...": gdb's "print frame-arguments scalars".
static bool is_aggregate(const struct strobe_value *value)
{
	const char *type = strobe_value_type(value);
	size_t size = type ? strlen(type) : 0;
	if (size > 0 && (type[size - 1] == '*' || type[size - 1] == '&'))
		return false;
	if (type && strstr(type, "(*"))
		return false;
	if (strobe_value_state(value) == STROBE_VALUE_OPTIMIZED_OUT)
		return false;
	if (strobe_value_child_count(value) == 0)
		return false;
	struct strobe_value *child = NULL;
	const char *name = NULL;
	struct strobe_error *error = strobe_value_child(value, 0, &name, &child);
	bool pointer = !error && name && strcmp(name, "*") == 0;
	strobe_error_free(error);
	strobe_value_close(child);
	return !pointer;
}

// The value's text; an error in making it is shown in its place.
static char *format_value(const struct strobe_value *value, const struct strobe_format *format)
{
	char *text = NULL;
	struct strobe_error *error = strobe_value_format(value, format, &text);
	if (!error)
		return text;
	if (asprintf(&text, "<error: %s>", strobe_error_message(error)) < 0)
		text = NULL;
	strobe_error_free(error);
	return text;
}

/** What the value is by its virtual table, if that is asked for and says more; else NULL. */
static struct strobe_value *dynamic_value(const struct strobe_value *value,
					  const struct frame_style *style)
{
	struct strobe_value *dynamic = NULL;
	if (style->dynamic)
		strobe_error_free(strobe_value_dynamic(value, &dynamic));
	return dynamic;
}

/** The text of the value, behind its type in parentheses if that is not the declared one. */
static char *value_text(const struct strobe_value *value, const struct frame_style *style)
{
	struct strobe_value *dynamic = dynamic_value(value, style);
	char *text = format_value(dynamic ? dynamic : value, &style->format), *full = NULL;
	if (dynamic && text && asprintf(&full, "(%s) %s", strobe_value_type(dynamic), text) >= 0) {
		free(text);
		text = full;
	}
	strobe_value_close(dynamic);
	return text;
}

static bool visit_argument(void *context, const struct strobe_variable *variable,
			   const struct strobe_value *value)
{
	struct visit *visit = context;
	bool color = visit->command->color;
	if (variable->kind != STROBE_VARIABLE_ARGUMENT)
		return false; // arguments come first
	if (!visit->first)
		fputs_unlocked(", ", stdout);
	visit->first = false;
	put_styled(stdout, color, STYLE_NAME, variable->name ? variable->name : "");
	putc_unlocked('=', stdout);
	char *text = is_aggregate(value) ? NULL : value_text(value, visit->style);
	put_safe(stdout, text ? text : "...");
	free(text);
	return true;
}

static bool visit_local(void *context, const struct strobe_variable *variable,
			const struct strobe_value *value)
{
	struct visit *visit = context;
	bool argument = variable->kind == STROBE_VARIABLE_ARGUMENT;
	// The frame's line has the scalar arguments already.
	if (argument ? !visit->style->args && !is_aggregate(value) : !visit->style->locals)
		return true;
	char *text = value_text(value, visit->style);
	printf("%*s", LOCALS_INDENT, "");
	put_styled(stdout, visit->command->color, STYLE_NAME, variable->name);
	fputs_unlocked(" = ", stdout);
	put_safe_lines(stdout, text ? text : "", LOCALS_INDENT);
	if (variable->shadowed)
		put_styled(stdout, visit->command->color, STYLE_FAINT, "  (shadowed)");
	putc_unlocked('\n', stdout);
	free(text);
	return true;
}

static void put_place(const struct command *command, const struct strobe_frame *frame)
{
	if (frame->file) {
		fputs_unlocked(" at ", stdout);
		put_styled(stdout, command->color, STYLE_FILE, frame->file);
		if (frame->line)
			printf(":%u", frame->line);
	} else if (frame->module) {
		fputs_unlocked(" from ", stdout);
		put_styled(stdout, command->color, STYLE_FILE, frame->module);
	}
	if (frame->trust == STROBE_TRUST_FRAME_POINTER || frame->trust == STROBE_TRUST_SCAN ||
	    frame->trust == STROBE_TRUST_GUESS_PLT) {
		fputs_unlocked("  ", stdout);
		printf("%s(by %s)%s", style_start(command->color, STYLE_FAINT), frame->trust_name,
		       style_end(command->color));
	}
}

static void visit_all(const struct command *command, const struct strobe_stack *stack, size_t index,
		      strobe_variable_visit function, struct visit *visit)
{
	struct strobe_error *error = strobe_frame_variables(stack, index, function, visit);
	if (!error)
		return;
	if (strobe_error_code(error) != STROBE_ERROR_NOT_FOUND)
		command_warn(command, "frame %zu: variables: %s", index,
			     strobe_error_message(error));
	strobe_error_free(error);
}

void frame_text(const struct command *command, const struct strobe_stack *stack, size_t index,
		const struct frame_style *style)
{
	const struct strobe_frame *frame = strobe_stack_frame(stack, index);
	struct visit visit = {.command = command, .style = style, .first = true};
	bool color = command->color;
	printf("#%-2zu ", frame->index);
	if (!frame->inlined) {
		printf("%s0x%016" PRIx64 "%s in ", style_start(color, STYLE_ADDRESS), frame->pc,
		       style_end(color));
	}
	if (frame->signal_frame) {
		puts("<signal handler called>");
		return;
	}
	put_styled(stdout, color, STYLE_FUNCTION, frame->function ? frame->function : "??");
	fputs_unlocked(" (", stdout);
	visit_all(command, stack, index, visit_argument, &visit);
	putc_unlocked(')', stdout);
	put_place(command, frame);
	putc_unlocked('\n', stdout);
	if (style->args || style->locals)
		visit_all(command, stack, index, visit_local, &visit);
}

static bool visit_json(void *context, const struct strobe_variable *variable,
		       const struct strobe_value *value)
{
	struct visit *visit = context;
	bool argument = variable->kind == STROBE_VARIABLE_ARGUMENT;
	if (!argument && !visit->style->locals)
		return false;
	struct strobe_value *dynamic = dynamic_value(value, visit->style);
	char *text = format_value(dynamic ? dynamic : value, &visit->style->format);
	json_object(visit->json, NULL);
	json_string(visit->json, "name", variable->name);
	json_string(visit->json, "kind", argument ? "argument" : "local");
	json_string(visit->json, "type", strobe_value_type(value));
	if (dynamic)
		json_string(visit->json, "dynamic_type", strobe_value_type(dynamic));
	json_string(visit->json, "value", text);
	if (variable->line)
		json_unsigned(visit->json, "line", variable->line);
	if (variable->shadowed)
		json_bool(visit->json, "shadowed", true);
	json_object_end(visit->json);
	strobe_value_close(dynamic);
	free(text);
	return true;
}

void frame_json(const struct command *command, const struct strobe_stack *stack, size_t index,
		const struct frame_style *style, struct json *json)
{
	const struct strobe_frame *frame = strobe_stack_frame(stack, index);
	struct visit visit = {.command = command, .style = style, .json = json};
	json_object(json, NULL);
	json_unsigned(json, "index", frame->index);
	json_address(json, "pc", frame->pc);
	json_address(json, "cfa", frame->cfa);
	json_string(json, "module", frame->module);
	json_string(json, "function", frame->function);
	if (frame->function)
		json_unsigned(json, "offset", frame->offset_bytes);
	else
		json_null(json, "offset");
	json_string(json, "file", frame->file);
	if (frame->line)
		json_unsigned(json, "line", frame->line);
	else
		json_null(json, "line");
	if (frame->column)
		json_unsigned(json, "column", frame->column);
	else
		json_null(json, "column");
	json_bool(json, "inlined", frame->inlined);
	json_bool(json, "signal_frame", frame->signal_frame);
	json_string(json, "trust", frame->trust_name);
	if (style->args || style->locals) {
		json_array(json, style->locals ? "locals" : "args", false);
		visit_all(command, stack, index, visit_json, &visit);
		json_array_end(json);
	}
	json_object_end(json);
}
