// SPDX-License-Identifier: Apache-2.0
#include "location.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static void set_address(struct command *command, uint64_t address, struct location *ret)
{
	struct strobe_line line;
	ret->address = address;
	ret->has_address = true;
	ret->module_index = strobe_view_module_at(command->view, address);
	if (strobe_line_at(command->symbols, address, &line)) {
		ret->file = line.file;
		ret->line = line.line;
	}
	if (!strobe_function_at(command->symbols, address, &ret->function))
		ret->function = (struct strobe_function){0};
}

static int find_frame(struct command *command, struct location *ret)
{
	size_t index;
	int status = command_frame(command, &index);
	if (status)
		return status;
	if (index >= strobe_stack_frame_count(command->stack))
		return command_fail(command, "frame 0: %s", strobe_stack_stop_text(command->stack));
	const struct strobe_frame *frame = strobe_stack_frame(command->stack, index);
	set_address(command, frame->pc, ret);
	ret->file = frame->file; // of a caller, the line of the call
	ret->line = frame->line;
	return STATUS_DONE;
}

static int find_expression(struct command *command, const char *text, struct location *ret)
{
	struct strobe_value *value = NULL;
	size_t frame = 0;
	uint64_t address;
	int status = STATUS_DONE;
	if (strobe_view_thread_count(command->view) > 0)
		status = command_frame(command, &frame);
	if (!status)
		status = command_evaluate(command, frame, text, &value);
	if (status)
		return status;
	if (!strobe_value_integer(value, &address) && !strobe_value_address(value, &address))
		status = command_fail(command, "%s: has no address", text);
	strobe_value_close(value);
	if (!status)
		set_address(command, address, ret);
	ret->is_address = true;
	return status;
}

static bool take_first(void *context, uint64_t address, const struct strobe_line *line)
{
	struct location *ret = context;
	ret->address = address;
	ret->has_address = true;
	ret->file = line->file;
	ret->line = line->line;
	return false;
}

// "LINE" or "LINE,LINE".
static bool parse_lines(const char *text, struct location *ret)
{
	char first[16];
	uint64_t line, last = 0;
	size_t size = strcspn(text, ",");
	if (size >= sizeof(first))
		return false;
	memcpy(first, text, size);
	first[size] = '\0';
	if (!parse_number(first, &line) || line == 0 || line > INT32_MAX)
		return false;
	if (text[size] &&
	    (!parse_number(text + size + 1, &last) || last < line || last > INT32_MAX))
		return false;
	ret->line = (unsigned)line;
	ret->last_line = (unsigned)last;
	return true;
}

static int find_line(struct command *command, const char *text, const char *colon,
		     struct location *ret)
{
	struct strobe_error *error = NULL;
	if (!parse_lines(colon + 1, ret))
		return command_usage(command, "'%s' is not FILE:LINE", text);
	char *file = strndup(text, (size_t)(colon - text));
	if (!file)
		return command_fail(command, "out of memory");
	unsigned line = ret->line;
	error = strobe_line_find(command->symbols, file, line, take_first, ret);
	if (!error && ret->has_address)
		ret->module_index = strobe_view_module_at(command->view, ret->address);
	else if (!error) // a comment, say: it can be listed all the same
		error = strobe_line_file(command->symbols, file, &ret->file, &ret->module_index);
	free(file);
	if (error)
		return command_error(command, text, error);
	ret->line = line;
	if (!ret->has_address ||
	    !strobe_function_at(command->symbols, ret->address, &ret->function))
		ret->function = (struct strobe_function){0};
	return STATUS_DONE;
}

static int find_function(struct command *command, const char *text, struct location *ret)
{
	struct strobe_error *error = strobe_function_find(command->symbols, text, &ret->function);
	if (error && strobe_error_code(error) == STROBE_ERROR_NOT_FOUND &&
	    strpbrk(text, "$&+-*[(")) { // no name has these, but for those of operators
		strobe_error_free(error);
		return find_expression(command, text, ret);
	}
	if (error)
		return command_error(command, text, error);
	struct strobe_function function = ret->function;
	set_address(command, function.start, ret);
	ret->function = function;
	if (function.file && function.line) {
		ret->file = function.file;
		ret->line = function.line;
	}
	return STATUS_DONE;
}

int location_find(struct command *command, const char *text, struct location *ret)
{
	uint64_t address;
	*ret = (struct location){.module_index = SIZE_MAX};
	if (!text)
		return find_frame(command, ret);
	if (parse_number(text + (text[0] == '*'), &address)) {
		set_address(command, address, ret);
		ret->is_address = true;
		return STATUS_DONE;
	}
	if (text[0] == '*')
		return find_expression(command, text + 1, ret);
	const char *colon = strrchr(text, ':');
	if (colon && colon > text && colon[-1] != ':' && colon[1] >= '0' && colon[1] <= '9')
		return find_line(command, text, colon, ret);
	return find_function(command, text, ret);
}
