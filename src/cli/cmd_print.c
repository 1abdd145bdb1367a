// SPDX-License-Identifier: Apache-2.0
#include "verbs.h"

#include <stdlib.h>
#include <string.h>

#include "command.h"

static const struct option options[] = {
	OPTIONS_FRAME,
	{"format", 'x', "LETTER", "x|d|u|o|t|c|a|f|s",
	 "Show numbers as x hexadecimal, d signed, u unsigned, o octal, t binary, c character, "
	 "a address with symbol, f floating point, s string."},
	{"type", 'T', NULL, NULL, "Show the type before the value."},
	OPTION_DYNAMIC,
	OPTIONS_FORMAT,
};

/** A value that was asked for, and what it really is. */
struct result {
	struct strobe_value *value, *dynamic; // `dynamic` is NULL if it says no more than `value`
	char *text;
};

static void value_json(struct json *json, const char *expression, const struct result *result)
{
	const struct strobe_value *value = result->value;
	uint64_t address;
	json_string(json, "expression", expression);
	json_string(json, "type", strobe_value_type(value));
	if (result->dynamic)
		json_string(json, "dynamic_type", strobe_value_type(result->dynamic));
	json_string(json, "value", result->text);
	if (strobe_value_address(value, &address))
		json_address(json, "address", address);
	else
		json_null(json, "address");
}

static void error_json(struct json *json, const char *expression, const struct strobe_error *error)
{
	unsigned column = strobe_error_column(error);
	json_string(json, "expression", expression);
	json_null(json, "type");
	json_null(json, "value");
	json_null(json, "address");
	json_object(json, "error");
	json_string(json, "message", strobe_error_message(error));
	if (column)
		json_unsigned(json, "column", column);
	else
		json_null(json, "column");
	json_object_end(json);
}

static void value_line(const struct command *command, const char *expression,
		       const struct result *result)
{
	bool dynamic = result->dynamic && command_has(command, "dynamic");
	const struct strobe_value *value = dynamic ? result->dynamic : result->value;
	if (command->argument_count > 2) {
		put_styled(stdout, command->color, STYLE_NAME, expression);
		fputs(" = ", stdout);
	}
	if (dynamic || command_has(command, "type")) {
		fputs("(", stdout);
		put_styled(stdout, command->color, STYLE_FAINT, strobe_value_type(value));
		fputs(") ", stdout);
	}
	put_safe_lines(stdout, result->text, 0);
	putchar('\n');
}

static struct strobe_error *evaluate(const struct command *command, size_t frame,
				     const char *expression, const struct strobe_format *format,
				     struct result *result)
{
	const struct strobe_stack *stack = command->stack;
	if (stack && frame >= strobe_stack_frame_count(stack))
		stack = NULL;
	struct strobe_error *error =
		strobe_evaluate(command->symbols, stack, frame, expression, &result->value);
	bool dynamic = command_has(command, "dynamic");
	if (!error && (dynamic || command->json))
		error = strobe_value_dynamic(result->value, &result->dynamic);
	return error ? error
		     : strobe_value_format(dynamic && result->dynamic ? result->dynamic
								      : result->value,
					   format, &result->text);
}

static int print_one(const struct command *command, size_t frame, const char *expression,
		     const struct strobe_format *format, struct json *json)
{
	struct result result = {0};
	int status = STATUS_DONE;
	struct strobe_error *error = evaluate(command, frame, expression, format, &result);
	if (json)
		json_object(json, NULL);
	if (error && json)
		error_json(json, expression, error);
	else if (!error && json)
		value_json(json, expression, &result);
	else if (!error)
		value_line(command, expression, &result);
	if (json)
		json_object_end(json);
	if (error)
		status = command_expression_error(command, expression, error);
	strobe_value_close(result.dynamic);
	strobe_value_close(result.value);
	free(result.text);
	return status;
}

// One expression is one object; several are an array of them.
static int print_json(const struct command *command, size_t frame,
		      const struct strobe_format *format)
{
	struct json json;
	int status = STATUS_DONE;
	bool several = command->argument_count > 2;
	json_init(&json, stdout);
	if (several) {
		json_object(&json, NULL);
		json_array(&json, "values", true);
	}
	for (size_t i = 1; i < command->argument_count; i++)
		status |= print_one(command, frame, command->arguments[i], format, &json);
	if (several) {
		json_array_end(&json);
		json_object_end(&json);
	}
	json_fini(&json);
	return status;
}

// A core without threads or registers still has globals: only an explicit choice must succeed.
static int choose_frame(struct command *command, size_t *frame)
{
	*frame = 0;
	if (!command_has(command, "thread") && !command_has(command, "frame") &&
	    strobe_view_thread_count(command->view) == 0)
		return STATUS_DONE;
	return command_frame(command, frame);
}

static int run_print(struct command *command)
{
	size_t frame;
	struct strobe_format format;
	const char *radix = command_option(command, "format");
	int status = command_format(command, &format);
	if (!status)
		status = choose_frame(command, &frame);
	if (status)
		return status;
	if (radix)
		format.radix = radix[0];
	if (command->json)
		return print_json(command, frame, &format);
	for (size_t i = 1; i < command->argument_count; i++)
		status |= print_one(command, frame, command->arguments[i], &format, NULL);
	return status;
}

const struct verb verb_print = {
	.name = "print",
	.arguments = "TARGET EXPRESSION...",
	.summary = "the value of C expressions in a frame",
	.options = options,
	.option_count = sizeof(options) / sizeof(options[0]),
	.min_arguments = 2,
	.max_arguments = SIZE_MAX,
	.has_target = true,
	.run = run_print,
};
