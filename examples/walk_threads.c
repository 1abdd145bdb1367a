// SPDX-License-Identifier: Apache-2.0
// Walks all threads of a core: walk_threads CORE
#include <stdio.h>
#include <stdlib.h>
#include <strobe/stack.h>
#include <strobe/value.h>

static bool print_variable(void *context, const struct strobe_variable *variable,
			   const struct strobe_value *value)
{
	char *text;
	struct strobe_error *error = strobe_value_format(value, NULL, &text);
	(void)context;
	if (error) {
		strobe_error_free(error);
		return false;
	}
	printf("        %s = %s\n", variable->name, text);
	free(text);
	return true;
}

static struct strobe_error *print_stack(struct strobe_symbols *symbols, size_t thread_index)
{
	struct strobe_stack *stack = NULL;
	struct strobe_error *error = strobe_stack_open(symbols, thread_index, NULL, &stack);
	for (size_t i = 0; !error && i < strobe_stack_frame_count(stack); i++) {
		const struct strobe_frame *frame = strobe_stack_frame(stack, i);
		printf("    #%zu %s %s:%u\n", i, frame->function ? frame->function : "??",
		       frame->file ? frame->file : "??", frame->line);
		error = strobe_frame_variables(stack, i, print_variable, NULL);
	}
	if (!error)
		printf("    %s\n", strobe_stack_stop_text(stack));
	strobe_stack_close(stack);
	return error;
}

int main(int argc, char **argv)
{
	struct strobe_view *view = NULL;
	struct strobe_symbols *symbols = NULL;
	struct strobe_error *error = strobe_view_open(argc > 1 ? argv[1] : "core", NULL, &view);
	if (!error)
		error = strobe_symbols_open(view, &symbols);
	for (size_t i = 0; !error && i < strobe_view_thread_count(view); i++) {
		printf("thread %d\n", strobe_view_thread(view, i)->tid);
		error = print_stack(symbols, i);
	}
	if (error)
		fprintf(stderr, "walk_threads: %s\n", strobe_error_message(error));
	int status = error ? 1 : 0;
	strobe_error_free(error);
	strobe_symbols_close(symbols);
	strobe_view_close(view);
	return status;
}
