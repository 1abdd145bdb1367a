// SPDX-License-Identifier: Apache-2.0
// What all verbs of a trace have in common: opening it.

#include <strobe/trace.h>

#include "command.h"
#include "progress.h"

enum { JOBS_LIMIT = 1024 };

static int read_options(const struct command *command, struct strobe_view_options *view,
			struct strobe_trace_options *ret)
{
	const char *cache = command_option(command, "cache");
	uint64_t jobs = 0;
	*view = (struct strobe_view_options){
		.size = sizeof(*view),
		.sysroot = command_option(command, "sysroot"),
		.debug_directories = command_option(command, "debug-dir"),
		.no_debuginfod = command_has(command, "no-debuginfod"),
	};
	*ret = (struct strobe_trace_options){
		.size = sizeof(*ret),
		.view = view,
		.code = command_option(command, "code"),
		.index_path = command_option(command, "index"),
		.rebuild_index = command_has(command, "rebuild-index"),
	};
	if (cache && (!parse_size(cache, &ret->cache_bytes) || ret->cache_bytes == 0))
		return command_usage(command, "--cache: '%s' is not a size", cache);
	int status = command_number(command, "jobs", JOBS_LIMIT, &jobs);
	if (!status && jobs == 0 && command_has(command, "jobs"))
		status = command_usage(command, "--jobs: at least 1");
	ret->threads = (unsigned)jobs;
	return status;
}

static int find_thread(struct command *command)
{
	const char *text = command_option(command, "thread");
	uint64_t tid;
	if (!text)
		return STATUS_DONE;
	if (!parse_number(text, &tid) || tid > INT32_MAX)
		return command_usage(command, "--thread: '%s' is not a thread id", text);
	command->thread_index = strobe_trace_thread_index(command->trace, (int)tid);
	if (command->thread_index == SIZE_MAX)
		return command_fail(command,
				    "thread %s: there is none in %s (see strobe trace info)", text,
				    command->arguments[0]);
	return STATUS_DONE;
}

// Opens the trace at `path`, building its index if need be.
static int open_trace(struct command *command, const char *path, struct strobe_trace **ret)
{
	struct strobe_view_options view;
	struct strobe_trace_options options;
	struct progress progress;
	int status = read_options(command, &view, &options);
	if (status)
		return status;
	options.progress = progress_tell;
	options.progress_context = &progress;
	progress_begin(&progress, "index", command->quiet);
	struct strobe_error *error = strobe_trace_open(path, &options, ret);
	progress_end(&progress);
	if (error && progress_interrupted()) {
		strobe_error_free(error);
		return command_fail(command, "%s: interrupted while the index was built", path);
	}
	progress_release();
	return error ? command_error(command, NULL, error) : STATUS_DONE;
}

int command_open_trace(struct command *command)
{
	int status = open_trace(command, command->arguments[0], &command->trace);
	if (status)
		return status;
	// A command's view is its own to write on; this one is only read.
	command->view = (struct strobe_view *)strobe_trace_view(command->trace);
	command_tell_warnings(command);
	struct strobe_error *error = strobe_symbols_open(command->view, &command->symbols);
	if (error)
		return command_error(command, command->arguments[0], error);
	return find_thread(command);
}

int command_open_other_trace(struct command *command, const char *path, struct strobe_trace **ret,
			     struct strobe_symbols **ret_symbols)
{
	int status = open_trace(command, path, ret);
	if (status)
		return status;
	size_t count = strobe_trace_warning_count(*ret);
	for (size_t i = 0; i < count; i++)
		command_warn(command, "%s: %s", path, strobe_trace_warning(*ret, i));
	struct strobe_error *error = strobe_symbols_open(strobe_trace_view(*ret), ret_symbols);
	return error ? command_error(command, path, error) : STATUS_DONE;
}
