// SPDX-License-Identifier: Apache-2.0
// The grammar of C expressions. $STROBE_FUZZ_CORE names a core with debug information to evaluate
// in (./dev fuzz makes one); without it there are numbers, casts and registers only.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strobe/stack.h>
#include <strobe/value.h>
#include <unistd.h>

#include "synthetic_core.h"

static struct strobe_view *view;
static struct strobe_symbols *symbols;
static struct strobe_stack *stack;

static void open_all(void)
{
	char path[32];
	const char *core = getenv("STROBE_FUZZ_CORE");
	if (!core) {
		int fd = synthetic_core("/nonexistent", 4096, SYNTHETIC_BASE + 16);
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		core = path;
	}
	const struct strobe_view_options options = {.size = sizeof(options), .no_debuginfod = true};
	struct strobe_error *error = strobe_view_open(core, &options, &view);
	if (!error)
		error = strobe_symbols_open(view, &symbols);
	if (!error)
		error = strobe_stack_open(symbols, 0, NULL, &stack);
	if (error) {
		fprintf(stderr, "%s\n", strobe_error_message(error));
		exit(1);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!view)
		open_all();
	if (size < 1)
		return 0;
	char *expression = strndup((const char *)data + 1, size - 1);
	size_t frames = strobe_stack_frame_count(stack);
	struct strobe_value *value = NULL;
	struct strobe_error *error =
		strobe_evaluate(symbols, stack, frames ? data[0] % frames : 0, expression, &value);
	if (!error) {
		char *text = NULL;
		const struct strobe_format format = {.size = sizeof(format), .pretty = data[0] & 1};
		strobe_error_free(strobe_value_format(value, &format, &text));
		free(text);
		if (strobe_value_child_count(value) > 0) {
			struct strobe_value *child = NULL;
			const char *name;
			strobe_error_free(strobe_value_child(value, 0, &name, &child));
			strobe_value_close(child);
		}
	} else if (strchr(strobe_error_message(error), '\n')) {
		abort();
	}
	strobe_error_free(error);
	strobe_value_close(value);
	free(expression);
	return 0;
}
