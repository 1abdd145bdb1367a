// SPDX-License-Identifier: Apache-2.0
#include "command.h"

int command_evaluate(struct command *command, size_t frame, const char *expression,
		     struct strobe_value **ret)
{
	const struct strobe_stack *stack = command->stack;
	if (stack && frame >= strobe_stack_frame_count(stack))
		stack = NULL;
	struct strobe_error *error =
		strobe_evaluate(command->symbols, stack, frame, expression, ret);
	return error ? command_expression_error(command, expression, error) : STATUS_DONE;
}

int command_address(struct command *command, const char *text, uint64_t *address, uint64_t *size)
{
	struct strobe_value *value = NULL;
	size_t frame = 0;
	int status = STATUS_DONE;
	if (parse_number(text, address))
		return STATUS_DONE;
	if (strobe_view_thread_count(command->view) > 0)
		status = command_frame(command, &frame);
	if (!status)
		status = command_evaluate(command, frame, text, &value);
	if (status)
		return status;
	if (strobe_value_integer(value, address))
		;
	else if (!strobe_value_address(value, address))
		status = command_fail(command, "%s: has no address", text);
	else if (strobe_value_size(value) > 0)
		*size = strobe_value_size(value);
	strobe_value_close(value);
	return status;
}
