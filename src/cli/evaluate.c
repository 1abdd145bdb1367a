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
