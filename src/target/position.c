// SPDX-License-Identifier: Apache-2.0
#include "target/position.h"

#include <stdlib.h>
#include <string.h>
#include <strobe/cursor.h>
#include <strobe/trace.h>
#include <strobe/trace_state.h>
#include <unistd.h>

#include "base/error.h"
#include "view/build.h"

/** "12#345", "12#345@0123abcd" or "345". */
static bool is_position(const char *text)
{
	size_t digits = strspn(text, "0123456789");
	if (digits == 0 || text[digits] == '\0')
		return digits > 0;
	if (text[digits] != '#')
		return false;
	text += digits + 1;
	digits = strspn(text, "0123456789");
	if (digits == 0 || (text[digits] != '\0' && text[digits] != '@'))
		return false;
	text += digits;
	return *text == '\0' || (text[1] && text[1 + strspn(text + 1, "0123456789abcdef")] == '\0');
}

/** The '@' before the position; NULL if there is no such file, or no position. */
static const char *find_position(const char *target, char *path)
{
	if (access(target, F_OK) == 0)
		return NULL;
	for (const char *at = strchr(target, '@'); at; at = strchr(at + 1, '@')) {
		memcpy(path, target, (size_t)(at - target));
		path[at - target] = '\0';
		if (at > target && is_position(at + 1) && access(path, F_OK) == 0)
			return at;
	}
	return NULL;
}

static void close_trace(void *context)
{
	strobe_trace_close(context);
}

/** A thread's index: of "TID#...", else the first one. */
static struct strobe_error *find_thread(struct strobe_trace *trace, const char *position,
					size_t *ret)
{
	*ret = 0;
	if (!strchr(position, '#'))
		return NULL;
	*ret = strobe_trace_thread_index(trace, atoi(position));
	return *ret == SIZE_MAX ? error_new(STROBE_ERROR_NOT_FOUND,
					    "thread %d: there is none in the trace", atoi(position))
				: NULL;
}

static struct strobe_error *open_at(struct strobe_trace *trace, const char *position,
				    const struct strobe_view_options *options,
				    struct strobe_view **ret)
{
	struct strobe_trace_state_options how = {.size = sizeof(how), .view = options};
	struct strobe_cursor *cursor = NULL;
	size_t thread;
	struct strobe_error *error = find_thread(trace, position, &thread);
	if (!error)
		error = strobe_cursor_open(trace, thread, &cursor);
	if (!error)
		error = strobe_cursor_go_to(cursor, position);
	if (!error)
		error = strobe_trace_view_at(cursor, &how, ret);
	strobe_cursor_close(cursor);
	return error;
}

struct strobe_error *position_open(const char *target, const struct strobe_view_options *options,
				   bool *ret_is, struct strobe_view **ret)
{
	struct strobe_trace_options how = {.size = sizeof(how), .view = options};
	struct strobe_trace *trace = NULL;
	char *path = malloc(strlen(target) + 1);
	if (!path)
		return error_no_memory();
	const char *at = find_position(target, path);
	*ret_is = at != NULL;
	struct strobe_error *error = at ? strobe_trace_open(path, &how, &trace) : NULL;
	if (!error && at)
		error = open_at(trace, at + 1, options, ret);
	free(path);
	if (error)
		strobe_trace_close(trace);
	else if (at)
		(*ret)->owner = (struct view_owner){close_trace, trace};
	return error;
}
