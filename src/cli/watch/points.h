// SPDX-License-Identifier: Apache-2.0
#ifndef CLI_WATCH_POINTS_H
#define CLI_WATCH_POINTS_H

// Tracepoints as the command line has them: "FILE:LINE if CONDITION", and options that all of them share.

#include <strobe/tracepoint.h>

struct command;

enum { POINT_LIMIT = 64 };
struct point {
	struct strobe_tracepoint tracepoint; // of what is below
	struct strobe_pair arguments[POINT_LIMIT];
	const char *watches[POINT_LIMIT];
	struct strobe_tracepoint_metric metrics[POINT_LIMIT];
	char *copies[2 * POINT_LIMIT + 1];
	size_t copy_count;
};

/** Makes one of `text` (borrowed); a status other than STATUS_DONE has been told. */
int point_make(struct command *command, const char *text, struct point **ret);
struct point *point_free(struct point *point);

/** "NAME=VALUE" in two, in `*copy`, which is the caller's; false if it is none, or memory is short. */
bool cut_pair(const char *text, struct strobe_pair *ret, char **copy);

#endif
