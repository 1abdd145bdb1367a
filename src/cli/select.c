// SPDX-License-Identifier: Apache-2.0
#include "command.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

// What the options and arguments of a verb select: numbers, threads, frames, formats.

bool parse_number(const char *text, uint64_t *ret)
{
	bool hex = text[0] == '0' && (text[1] == 'x' || text[1] == 'X');
	const char *digits = hex ? text + 2 : text;
	size_t size = strspn(digits, hex ? "0123456789abcdefABCDEF" : "0123456789");
	if (size == 0 || digits[size] != '\0')
		return false;
	errno = 0;
	uint64_t number = strtoull(digits, NULL, hex ? 16 : 10);
	if (errno)
		return false;
	*ret = number;
	return true;
}

bool parse_size(const char *text, uint64_t *ret)
{
	static const char suffixes[] = "kMGT";
	char digits[32];
	size_t size = strlen(text);
	if (size == 0 || size >= sizeof(digits))
		return false;
	const char *suffix = strchr(suffixes, text[size - 1]);
	memcpy(digits, text, size + 1);
	if (!suffix)
		return parse_number(text, ret);
	digits[size - 1] = '\0';
	unsigned shift = 10 * (unsigned)(suffix - suffixes + 1);
	uint64_t number;
	if (!parse_number(digits, &number) || number > UINT64_MAX >> shift)
		return false;
	*ret = number << shift;
	return true;
}

bool parse_range(const char *text, uint64_t *start, uint64_t *end)
{
	char first[32];
	size_t size = strcspn(text, "-+");
	if (size >= sizeof(first) || !text[size])
		return false;
	memcpy(first, text, size);
	first[size] = '\0';
	if (!parse_number(first, start) || !parse_size(text + size + 1, end))
		return false;
	if (text[size] == '+')
		return !__builtin_add_overflow(*start, *end, end);
	return *end >= *start;
}

int command_thread(const struct command *command, size_t *ret)
{
	const char *text = command_option(command, "thread");
	size_t count = strobe_view_thread_count(command->view);
	if (!text || strcmp(text, "signal") == 0) {
		int tid = strobe_view_process_info(command->view)->signal_tid;
		size_t index = tid > 0 ? strobe_view_thread_index(command->view, tid) : SIZE_MAX;
		if (count == 0)
			return command_fail(command, "%s: no thread is recorded",
					    command->arguments[0]);
		*ret = index < count ? index : 0;
		return STATUS_DONE;
	}
	uint64_t tid;
	if (!parse_number(text, &tid) || tid > INT32_MAX)
		return command_usage(command, "--thread: '%s' is not a thread id", text);
	*ret = strobe_view_thread_index(command->view, (int)tid);
	if (*ret >= count)
		return command_fail(command, "thread %s: there is none in %s (see strobe threads)",
				    text, command->arguments[0]);
	return STATUS_DONE;
}

int command_frame(struct command *command, size_t *ret)
{
	size_t thread;
	uint64_t frame = 0;
	int status = command_thread(command, &thread);
	if (!status)
		status = command_number(command, "frame", UINT32_MAX, &frame);
	if (status)
		return status;
	// main()'s callers can be chosen too; no more is unwound than is needed to tell the frame.
	struct strobe_stack_options options = {
		.size = sizeof(options), .max_frames = frame + 1, .past_main = true};
	struct strobe_error *error =
		strobe_stack_open(command->symbols, thread, &options, &command->stack);
	if (error)
		return command_error(command, "stack", error);
	size_t count = strobe_stack_frame_count(command->stack);
	if (frame >= count && (frame > 0 || command_has(command, "frame")))
		return command_fail(command, "frame %llu: thread %d has %zu frames: %s",
				    (unsigned long long)frame,
				    strobe_view_thread(command->view, thread)->tid, count,
				    strobe_stack_stop_text(command->stack));
	*ret = frame;
	return STATUS_DONE;
}

int command_format(const struct command *command, struct strobe_format *ret)
{
	uint64_t elements = 0, depth = 0;
	int status = command_number(command, "max-elements", UINT32_MAX, &elements);
	if (!status)
		status = command_number(command, "depth", 1000, &depth);
	if (!status && depth == 0 && command_has(command, "depth"))
		status = command_usage(command, "--depth: at least 1");
	if (elements == 0 && command_has(command, "max-elements"))
		elements = UINT32_MAX;
	*ret = (struct strobe_format){
		.size = sizeof(*ret),
		.max_elements = (unsigned)elements,
		.max_depth = (unsigned)depth,
		.pretty = command_has(command, "pretty"),
	};
	return status;
}
