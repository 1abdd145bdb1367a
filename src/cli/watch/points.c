// SPDX-License-Identifier: Apache-2.0
#include "watch/points.h"

#include <ctype.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"

bool cut_pair(const char *text, struct strobe_pair *ret, char **copy)
{
	const char *equals = strchr(text, '=');
	*copy = equals && equals != text ? strdup(text) : NULL;
	if (!*copy)
		return false;
	(*copy)[equals - text] = 0;
	*ret = (struct strobe_pair){*copy, *copy + (equals - text) + 1};
	return true;
}

static bool add(struct point *point, const char *name, const char *value)
{
	if (point->tracepoint.argument_count == POINT_LIMIT)
		return false;
	point->arguments[point->tracepoint.argument_count++] = (struct strobe_pair){name, value};
	return true;
}

/** cut_pair(), for as long as the point is. */
static bool cut(struct point *point, const char *text, struct strobe_pair *ret)
{
	return cut_pair(text, ret, &point->copies[point->copy_count]) && ++point->copy_count;
}

/** "FILE:LINE if CONDITION" or "FUNCTION if CONDITION". */
static int read_place(struct command *command, const char *text, struct point *point)
{
	char *place = strdup(text), *condition, *colon, *end;
	if (!place)
		return command_fail(command, "out of memory");
	point->copies[point->copy_count++] = place;
	if ((condition = strstr(place, " if "))) {
		*condition = 0;
		add(point, "condition", condition + 4);
	}
	for (size_t size = strlen(place); size && place[size - 1] == ' ';)
		place[--size] = 0;
	colon = strrchr(place, ':');
	unsigned long line = colon ? strtoul(colon + 1, &end, 10) : 0;
	if (colon && colon > place && isdigit((unsigned char)colon[1]) && !*end && line > 0 &&
	    line <= INT_MAX) {
		*colon = 0;
		point->tracepoint.path = place;
		point->tracepoint.line = (unsigned)line;
	} else if (*place) {
		add(point, "method_name", place);
	} else {
		return command_usage(command,
				     "'%s' names no place: FILE:LINE or FUNCTION is wanted", text);
	}
	return STATUS_DONE;
}

static int add_metrics(struct command *command, struct point *point)
{
	const char *text;
	size_t at = 0;
	while ((text = command_option_next(command, "metric", &at))) {
		struct strobe_pair pair = {text, NULL};
		if (point->tracepoint.metric_count == POINT_LIMIT)
			return command_usage(command, "--metric: more than %d", POINT_LIMIT);
		cut(point, text, &pair);
		point->metrics[point->tracepoint.metric_count++] =
			(struct strobe_tracepoint_metric){
				.name = pair.name, .type = "counter", .expression = pair.value};
	}
	return STATUS_DONE;
}

static int add_options(struct command *command, struct point *point)
{
	const char *text, *count = command_option(command, "count"),
			  *period = command_option(command, "period");
	const char *log = command_option(command, "log"), *stage = command_option(command, "stage");
	size_t at = 0;
	struct strobe_pair pair;
	bool collect = command_has(command, "snapshot") ||
		       (!log && !command_has(command, "metric") && !command_has(command, "span"));
	add(point, "fire_count", count ? count : "-1");
	add(point, "fire_period", period ? period : "0");
	add(point, "snapshot", collect ? "collect" : "no_collect");
	if (log)
		add(point, "log_msg", log);
	if (stage)
		add(point, "stage", stage);
	if (command_has(command, "span"))
		add(point, "span", "method");
	while ((text = command_option_next(command, "watch", &at))) {
		if (point->tracepoint.watch_count == POINT_LIMIT)
			return command_usage(command, "--watch: more than %d", POINT_LIMIT);
		point->watches[point->tracepoint.watch_count++] = text;
	}
	for (at = 0; (text = command_option_next(command, "set", &at));)
		if (!cut(point, text, &pair) || !add(point, pair.name, pair.value))
			return command_usage(command, "--set: '%s' is not ARGUMENT=VALUE", text);
	return add_metrics(command, point);
}

int point_make(struct command *command, const char *text, struct point **ret)
{
	struct point *point = calloc(1, sizeof(*point));
	if (!point)
		return command_fail(command, "out of memory");
	point->tracepoint = (struct strobe_tracepoint){.size = sizeof(point->tracepoint),
						       .id = text,
						       .arguments = point->arguments,
						       .watches = point->watches,
						       .metrics = point->metrics};
	int status = read_place(command, text, point);
	if (!status)
		status = add_options(command, point);
	if (status)
		point_free(point);
	else
		*ret = point;
	return status;
}

struct point *point_free(struct point *point)
{
	for (size_t i = 0; point && i < point->copy_count; i++)
		free(point->copies[i]);
	free(point);
	return NULL;
}
