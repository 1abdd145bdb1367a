// SPDX-License-Identifier: Apache-2.0
// show_values CORE FUNCTION [--dynamic]: the variables of the innermost frame of FUNCTION, then the value of each
// expression on standard input; "/x EXPRESSION" in radix x. With --dynamic, an object's value as what
// it really is, behind that type in parentheses, where it is not the declared one.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strobe/value.h>

static bool show_variable(void *context, const struct strobe_variable *variable,
			  const struct strobe_value *value)
{
	char *text = NULL;
	strobe_error_free(strobe_value_format(value, NULL, &text));
	printf("%s = %s\n", variable->name, text ? text : "");
	free(text);
	return true;
}

static void show(struct strobe_symbols *symbols, struct strobe_stack *stack, size_t frame,
		 const char *line, bool is_dynamic)
{
	struct strobe_format format = {.size = sizeof(format)};
	struct strobe_value *value = NULL, *dynamic = NULL;
	char *text = NULL;
	if (line[0] == '/') {
		format.radix = line[1];
		line += 3;
	}
	struct strobe_error *error = strobe_evaluate(symbols, stack, frame, line, &value);
	if (!error && is_dynamic)
		error = strobe_value_dynamic(value, &dynamic);
	if (!error)
		error = strobe_value_format(dynamic ? dynamic : value, &format, &text);
	if (dynamic && !error)
		printf("(%s) ", strobe_value_type(dynamic));
	printf("%s\n", error ? "error" : text);
	if (error)
		fprintf(stderr, "%s: %s\n", line, strobe_error_message(error));
	strobe_error_free(error);
	free(text);
	strobe_value_close(dynamic);
	strobe_value_close(value);
}

static size_t find_frame(const struct strobe_stack *stack, const char *function)
{
	size_t count = strobe_stack_frame_count(stack);
	for (size_t i = 0; i < count; i++) {
		const char *name = strobe_stack_frame(stack, i)->function;
		if (name && strcmp(name, function) == 0)
			return i;
	}
	return 0;
}

int main(int argc, char **argv)
{
	struct strobe_view *view = NULL;
	struct strobe_symbols *symbols = NULL;
	struct strobe_stack *stack = NULL;
	const struct strobe_view_options options = {.size = sizeof(options), .no_debuginfod = true};
	struct strobe_error *error = strobe_view_open(argc > 2 ? argv[1] : "", &options, &view);
	if (!error)
		error = strobe_symbols_open(view, &symbols);
	if (!error)
		error = strobe_stack_open(symbols, 0, NULL, &stack);
	if (error) {
		fprintf(stderr, "%s\n", strobe_error_message(error));
		return 1;
	}
	size_t frame = find_frame(stack, argv[2]);
	strobe_error_free(strobe_frame_variables(stack, frame, show_variable, NULL));
	puts("--");
	char line[1024];
	while (fgets(line, sizeof(line), stdin)) {
		line[strcspn(line, "\n")] = '\0';
		show(symbols, stack, frame, line, argc > 3);
	}
	strobe_stack_close(stack);
	strobe_symbols_close(symbols);
	strobe_view_close(view);
	return 0;
}
