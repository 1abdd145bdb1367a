// SPDX-License-Identifier: Apache-2.0
// Positions: "TID#ID@TRACE", TRACE being the first digits of the source's fingerprint.
#include "trace/cursor.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"

enum { TRACE_DIGITS = 12 };

static void name_trace(const struct strobe_trace *trace, char name[TRACE_DIGITS + 1])
{
	for (size_t i = 0; i < TRACE_DIGITS / 2; i++)
		snprintf(name + 2 * i, 3, "%02x", trace->about.fingerprint[i]);
}

bool strobe_cursor_tell(const struct strobe_cursor *cursor, struct strobe_position *ret)
{
	char name[TRACE_DIGITS + 1];
	ret->text[0] = '\0';
	if (cursor->count == 0)
		return false;
	name_trace(cursor->trace, name);
	snprintf(ret->text, sizeof(ret->text), "%d#%" PRIu64 "@%s",
		 cursor->trace->rows.items[cursor->thread].info.tid, cursor->id, name);
	return true;
}

/** Digits at `*at`, which is moved behind them; false if there are none, or too many. */
static bool read_number(const char **at, uint64_t *ret)
{
	uint64_t value = 0;
	const char *start = *at;
	for (; **at >= '0' && **at <= '9'; (*at)++)
		if (__builtin_mul_overflow(value, 10, &value) ||
		    __builtin_add_overflow(value, (uint64_t)(**at - '0'), &value))
			return false;
	*ret = value;
	return *at > start;
}

static struct strobe_error *not_a_position(const char *position, const char *at)
{
	return error_column(STROBE_ERROR_SYNTAX, (unsigned)(at - position) + 1,
			    "'%s' is no position: TID#ID@TRACE, TID#ID or ID", position);
}

static struct strobe_error *check_trace(const struct strobe_cursor *cursor, const char *position,
					const char *digits)
{
	char name[TRACE_DIGITS + 1];
	size_t size = strspn(digits, "0123456789abcdef");
	name_trace(cursor->trace, name);
	if (digits[size] || size != TRACE_DIGITS)
		return not_a_position(position, digits + size);
	if (strcmp(digits, name) == 0)
		return NULL;
	return error_new(STROBE_ERROR_INVALID, "'%s' is of another trace: this one is %s", position,
			 name);
}

struct strobe_error *strobe_cursor_go_to(struct strobe_cursor *cursor, const char *position)
{
	const char *at = position;
	int tid = cursor->trace->rows.items[cursor->thread].info.tid;
	uint64_t id, thread = (uint64_t)tid;
	struct strobe_error *error = NULL;
	bool read = read_number(&at, &id);
	if (read && *at == '#') {
		at++;
		thread = id;
		read = read_number(&at, &id);
	}
	if (!read || (*at && *at != '@') || (*at && !strchr(position, '#')))
		return not_a_position(position, at);
	if (*at)
		error = check_trace(cursor, position, at + 1);
	if (!error && thread != (uint64_t)tid)
		error = error_new(STROBE_ERROR_INVALID, "'%s' is of another thread: this one is %d",
				  position, tid);
	if (!error && !strobe_cursor_go_to_id(cursor, id))
		error = error_new(STROBE_ERROR_NOT_FOUND,
				  "no item %" PRIu64 ": thread %d has %" PRIu64, id, tid,
				  cursor->trace->rows.items[cursor->thread].info.item_count);
	return error;
}
