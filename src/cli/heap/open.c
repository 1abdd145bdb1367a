// SPDX-License-Identifier: Apache-2.0
// What all verbs of a graph have in common: opening it.

#include <stdlib.h>
#include <string.h>

#include "heap/heap.h"
#include "progress.h"

static int read_options(const struct command *command, bool guesses,
			struct strobe_graph_options *ret)
{
	uint64_t threads = 0;
	*ret = (struct strobe_graph_options){
		.size = sizeof(*ret),
		.precise = !guesses && command_has(command, "precise"),
		.no_store = command_has(command, "no-store"),
	};
	int status = command_number(command, "threads", HEAP_THREAD_LIMIT, &threads);
	if (!status && threads == 0 && command_has(command, "threads"))
		status = command_usage(command, "--threads: at least 1");
	ret->threads = (unsigned)threads;
	return status;
}

static int build(struct command *command, struct strobe_symbols *symbols, const char *target,
		 bool guesses, struct strobe_graph **ret)
{
	struct strobe_graph_options options;
	struct progress progress;
	int status = read_options(command, guesses, &options);
	if (status)
		return status;
	options.progress = progress_tell_part;
	options.progress_context = &progress;
	progress_begin(&progress, "object graph", command->quiet);
	struct strobe_error *error = strobe_graph_open(symbols, &options, ret);
	progress_end(&progress);
	bool interrupted = progress_interrupted();
	progress_release();
	if (error && interrupted) {
		strobe_error_free(error);
		return command_fail(command, "%s: interrupted while the graph was built", target);
	}
	return error ? command_error(command, target, error) : STATUS_DONE;
}

int heap_open(struct command *command, bool guesses, struct strobe_graph **ret)
{
	int status = build(command, command->symbols, command->arguments[0], guesses, ret);
	command_tell_warnings(command);
	return status;
}

int heap_open_other(struct command *command, const char *target, struct heap_other *ret)
{
	struct strobe_view_options options = command_view_options(command);
	struct strobe_error *error = strobe_view_open(target, &options, &ret->view);
	if (error)
		return command_error(command, NULL, error);
	int status = command_open_overlay(command, ret->view);
	if (status)
		return status;
	error = strobe_symbols_open(ret->view, &ret->symbols);
	if (error)
		return command_error(command, target, error);
	status = build(command, ret->symbols, target, false, &ret->graph);
	size_t count = strobe_view_warning_count(ret->view);
	for (size_t i = 0; i < count; i++)
		command_warn(command, "%s: %s", target, strobe_view_warning(ret->view, i));
	return status;
}

void heap_close_other(struct heap_other *other)
{
	strobe_graph_close(other->graph);
	strobe_symbols_close(other->symbols);
	strobe_view_close(other->view);
	*other = (struct heap_other){0};
}

int heap_limit(const struct command *command, size_t *ret)
{
	uint64_t limit = command->json ? 0 : HEAP_ROWS;
	int status = command_number(command, "limit", SIZE_MAX, &limit);
	*ret = limit ? (size_t)limit : SIZE_MAX;
	return status;
}

int heap_share(const struct command *command, const char *option, double *ret)
{
	const char *text = command_option(command, option);
	char *end;
	if (!text)
		return STATUS_DONE;
	double share = strtod(text, &end);
	bool percent = strcmp(end, "%") == 0;
	if (percent)
		share /= 100;
	if (end == text || (*end && !percent) || !(share >= 0 && share <= 1))
		return command_usage(command, "--%s: '%s' is no part (10%%, or 0.1)", option, text);
	*ret = share;
	return STATUS_DONE;
}

int heap_bytes(const struct command *command, const char *option, uint64_t *ret)
{
	const char *text = command_option(command, option);
	if (text && !parse_size(text, ret))
		return command_usage(command, "--%s: '%s' is not a size (10M)", option, text);
	return STATUS_DONE;
}
