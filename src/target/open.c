// SPDX-License-Identifier: Apache-2.0
#include <ctype.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <strobe/hold.h>
#include <strobe/snapshot.h>
#include <unistd.h>

#include "base/error.h"
#include "core/core.h"
#include "hold/hold.h"
#include "target/open_trace.h"
#include "target/position.h"

static bool is_number(const char *text)
{
	for (const char *c = text; *c; c++)
		if (!isdigit((unsigned char)*c))
			return false;
	return *text;
}

static void close_snapshot(void *context)
{
	strobe_snapshot_close(context);
}

static struct strobe_error *no_process(const char *target, struct strobe_error *error)
{
	if (strobe_error_code(error) != STROBE_ERROR_NOT_FOUND || access(target, F_OK) != 0)
		return error;
	return error_wrap(error, "digits name a process (the file is ./%s)", target);
}

// The process runs on as soon as it is copied; the view has the copy for itself.
static struct strobe_error *open_process(const char *target,
					 const struct strobe_view_options *options,
					 struct strobe_view **ret)
{
	enum { PID_DIGITS = 9 };
	struct strobe_snapshot *snapshot;
	struct strobe_view *view;
	if (strlen(target) > PID_DIGITS)
		return no_process(target,
				  error_new(STROBE_ERROR_NOT_FOUND, "%s: no such process", target));
	struct strobe_error *error = strobe_snapshot_take(atoi(target), NULL, &snapshot);
	if (error)
		return no_process(target, error);
	error = strobe_snapshot_view(snapshot, options, &view);
	if (error) {
		strobe_snapshot_close(snapshot);
		return error;
	}
	view->owner = (struct view_owner){close_snapshot, snapshot};
	*ret = view;
	return NULL;
}

// What is written to a frozen copy stands beside its name, and goes when the name goes.
static struct strobe_error *open_held(const char *name, const struct strobe_view_options *options,
				      struct strobe_view **ret)
{
	char *path = NULL;
	struct strobe_error *error = strobe_hold_open(name, options, ret);
	if (error)
		return error;
	error = hold_overlay_path(name, &path);
	if (!error)
		(*ret)->overlay_path = arena_strdup(&(*ret)->arena, path);
	free(path);
	strobe_error_free(error); // it reads all the same, and has no place for writes
	return NULL;
}

struct strobe_error *strobe_view_open(const char *target, const struct strobe_view_options *options,
				      struct strobe_view **ret)
{
	if (!target || !*target)
		return error_new(STROBE_ERROR_INVALID,
				 "no target given: a process id, a core file, or @NAME");
	if (*target == '@')
		return open_held(target + 1, options, ret);
	if (is_number(target))
		return open_process(target, options, ret);
	bool is_position;
	struct strobe_error *error = position_open(target, options, &is_position, ret);
	if (error || is_position)
		return error;
	error = core_open_file(target, options, ret);
	if (!error || !open_trace_is_one(target))
		return error;
	strobe_error_free(error);
	return error_new(STROBE_ERROR_INVALID,
			 "%s is a trace: say which item of it, as in %s@ID or %s@TID#ID "
			 "('strobe trace dump' shows ids)",
			 target, target, target);
}
