// SPDX-License-Identifier: Apache-2.0
// Evaluates a C expression in a frame of the thread that died: print_expression CORE FRAME EXPRESSION
#include <stdio.h>
#include <stdlib.h>
#include <strobe/stack.h>
#include <strobe/value.h>

static struct strobe_error *print(const struct strobe_value *value)
{
	char *text = NULL;
	const struct strobe_format format = {.size = sizeof(format), .pretty = true};
	struct strobe_error *error = strobe_value_format(value, &format, &text);
	if (!error)
		printf("(%s) %s\n", strobe_value_type(value), text);
	free(text);
	return error;
}

int main(int argc, char **argv)
{
	struct strobe_view *view = NULL;
	struct strobe_symbols *symbols = NULL;
	struct strobe_stack *stack = NULL;
	struct strobe_value *value = NULL;
	if (argc != 4) {
		fprintf(stderr, "usage: print_expression CORE FRAME EXPRESSION\n");
		return 2;
	}
	struct strobe_error *error = strobe_view_open(argv[1], NULL, &view);
	if (!error)
		error = strobe_symbols_open(view, &symbols);
	if (!error) // thread 0 is the one that took the signal
		error = strobe_stack_open(symbols, 0, NULL, &stack);
	if (!error)
		error = strobe_evaluate(symbols, stack, strtoul(argv[2], NULL, 10), argv[3],
					&value);
	if (!error)
		error = print(value);
	if (error && strobe_error_column(error))
		fprintf(stderr, "%s\n%*s\n", argv[3], (int)strobe_error_column(error), "^");
	if (error)
		fprintf(stderr, "print_expression: %s\n", strobe_error_message(error));
	int status = error ? 1 : 0;
	strobe_error_free(error);
	strobe_value_close(value);
	strobe_stack_close(stack);
	strobe_symbols_close(symbols);
	strobe_view_close(view);
	return status;
}
