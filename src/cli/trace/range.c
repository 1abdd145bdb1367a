// SPDX-License-Identifier: Apache-2.0
#include "trace/range.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

bool parse_time(const char *text, double *ret_ns)
{
	static const struct {
		const char *name;
		double ns;
	} units[] = {{"ns", 1}, {"us", 1e3}, {"\302\265s", 1e3}, {"ms", 1e6}, {"s", 1e9}};
	char *end;
	// strtod() takes more than decimal numbers: blanks, signs, "nan", hexadecimal.
	size_t digits = strspn(text, "0123456789.");
	if (digits == 0 || (text[0] == '0' && (text[1] == 'x' || text[1] == 'X')))
		return false;
	double number = strtod(text, &end);
	if (end == text || !isfinite(number))
		return false;
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (strcmp(end, units[i].name) != 0)
			continue;
		*ret_ns = number * units[i].ns;
		return true;
	}
	return false;
}

int trace_place(const struct command *command, struct strobe_cursor *cursor, const char *option,
		const char *text, bool *ret_found)
{
	double time_ns;
	*ret_found = true;
	if (parse_time(text, &time_ns)) {
		*ret_found = strobe_cursor_seek_time(cursor, time_ns);
		return STATUS_DONE;
	}
	struct strobe_error *error = strobe_cursor_go_to(cursor, text);
	if (!error)
		return STATUS_DONE;
	if (strobe_error_code(error) != STROBE_ERROR_SYNTAX)
		return command_error(command, option, error);
	strobe_error_free(error);
	return command_usage(command, "%s: '%s' is no id, position or time (12.5us)", option, text);
}

void trace_thread_of(struct command *command, const char *position)
{
	char digits[16];
	uint64_t tid;
	size_t size = strspn(position, "0123456789");
	if (position[size] != '#' || size >= sizeof(digits) || command_has(command, "thread"))
		return;
	memcpy(digits, position, size);
	digits[size] = '\0';
	if (!parse_number(digits, &tid) || tid > INT32_MAX)
		return;
	size_t index = strobe_trace_thread_index(command->trace, (int)tid);
	if (index != SIZE_MAX)
		command->thread_index = index;
}

void trace_thread_of_range(struct command *command)
{
	static const char *const names[] = {"from", "to"};
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		const char *text = command_option(command, names[i]);
		if (text)
			trace_thread_of(command, text);
	}
}

int trace_range(const struct command *command, struct trace_range *ret)
{
	const char *from = command_option(command, "from"), *to = command_option(command, "to");
	if (command->thread_index >= strobe_trace_thread_count(command->trace))
		return command_fail(command, "%s: no thread is in it", command->arguments[0]);
	uint64_t count = strobe_trace_thread(command->trace, command->thread_index)->item_count;
	struct strobe_cursor *cursor = NULL;
	bool found = true;
	int status = STATUS_DONE;
	*ret = (struct trace_range){
		.last = count ? count - 1 : 0, .empty = count == 0, .whole = !from && !to};
	if (ret->whole)
		return STATUS_DONE;
	struct strobe_error *error =
		strobe_cursor_open(command->trace, command->thread_index, &cursor);
	if (error)
		return command_error(command, command->arguments[0], error);
	if (from && !(status = trace_place(command, cursor, "--from", from, &found))) {
		ret->empty |= !found; // all of it is earlier
		ret->first = found ? strobe_cursor_id(cursor) : 0;
	}
	double time_ns;
	if (!status && to && !(status = trace_place(command, cursor, "--to", to, &found)) &&
	    found) {
		uint64_t id = strobe_cursor_id(cursor);
		double item_ns = 0;
		bool later = parse_time(to, &time_ns) && strobe_cursor_time_ns(cursor, &item_ns) &&
			     item_ns > time_ns;
		ret->empty |= later && id == 0;
		ret->last = later && id ? id - 1 : id;
	}
	if (ret->first > ret->last)
		ret->empty = true;
	strobe_cursor_close(cursor);
	return status;
}
