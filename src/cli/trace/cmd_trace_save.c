// SPDX-License-Identifier: Apache-2.0
#include "verbs.h"

#include <inttypes.h>
#include <math.h>
#include <strobe/trace_save.h>

#include "command.h"
#include "progress.h"
#include "trace/range.h"

#define OPTION_REFERENCE                                                                           \
	{                                                                                          \
		"reference-modules", 'r', NULL, NULL,                                              \
			"Name the files of modules where they are. Without it they are copied, "   \
			"and the folder can be carried elsewhere."                                 \
	}
static const struct option save_options[] = {OPTION_REFERENCE};
static const struct option trim_options[] = {OPTIONS_TRACE_RANGE, OPTION_REFERENCE};

static void saved_json(const struct command *command, const struct strobe_trace_saved *saved)
{
	struct json json;
	json_init(&json, stdout);
	json_object(&json, NULL);
	json_string(&json, "directory", command->arguments[1]);
	json_unsigned(&json, "threads", saved->thread_count);
	json_unsigned(&json, "packet_bytes", saved->packet_bytes);
	json_unsigned(&json, "file_bytes", saved->file_bytes);
	json_unsigned(&json, "modules", saved->module_count);
	json_unsigned(&json, "modules_missing", saved->module_missing_count);
	json_unsigned(&json, "code_missing", saved->code_missing_count);
	if (saved->has_ids) {
		json_unsigned(&json, "first_id", saved->first_id);
		json_unsigned(&json, "last_id", saved->last_id);
	} else {
		json_null(&json, "first_id");
		json_null(&json, "last_id");
	}
	json_object_end(&json);
	json_fini(&json);
}

static void saved_text(const struct command *command, const struct strobe_trace_saved *saved)
{
	struct size_text packets, all;
	put_styled(stdout, command->color, STYLE_FILE, command->arguments[1]);
	printf(": %zu thread%s, %s of packets, %zu module%s, %s in all\n", saved->thread_count,
	       saved->thread_count == 1 ? "" : "s", size_text(saved->packet_bytes, &packets),
	       saved->module_count, saved->module_count == 1 ? "" : "s",
	       size_text(saved->file_bytes, &all));
	if (saved->has_ids)
		printf("items %" PRIu64 " to %" PRIu64
		       " are in it: packets are cut where decoding can begin\n",
		       saved->first_id, saved->last_id);
}

static int save(struct command *command, struct strobe_trace_save_options *wanted)
{
	struct strobe_trace_saved saved;
	struct progress progress;
	int tid = 0;
	if (wanted->by_id || command_has(command, "thread")) { // ids are of one thread
		tid = strobe_trace_thread(command->trace, command->thread_index)->tid;
		wanted->tids = &tid;
		wanted->tid_count = 1;
	}
	wanted->reference_modules = command_has(command, "reference-modules");
	progress_begin(&progress, "saving", command->quiet);
	wanted->progress = progress_tell;
	wanted->progress_context = &progress;
	struct strobe_error *error =
		strobe_trace_save(command->trace, command->arguments[1], wanted, &saved);
	progress_end(&progress);
	progress_release();
	if (error)
		return command_error(command, NULL, error);
	if (saved.module_missing_count)
		command_warn(command,
			     "%zu modules have no file: what ran in them cannot be decoded there",
			     saved.module_missing_count);
	if (saved.code_missing_count)
		command_warn(command,
			     "%zu pieces of code that changed with time have no place in a bundle",
			     saved.code_missing_count);
	if (command->json)
		saved_json(command, &saved);
	else
		saved_text(command, &saved);
	return STATUS_DONE;
}

static int run_trace_save(struct command *command)
{
	struct strobe_trace_save_options wanted = {.size = sizeof(wanted)};
	return save(command, &wanted);
}

// True if each end that is given is a time; then `*first` and `*last` are the times.
static bool are_times(const struct command *command, double *first, double *last)
{
	const char *from = command_option(command, "from"), *to = command_option(command, "to");
	*first = 0;
	*last = INFINITY;
	return (!from || parse_time(from, first)) && (!to || parse_time(to, last));
}

// Times are of all threads, ids of one.
static int run_trace_trim(struct command *command)
{
	struct strobe_trace_save_options wanted = {.size = sizeof(wanted)};
	struct trace_range range;
	if (!command_has(command, "from") && !command_has(command, "to"))
		return command_usage(command,
				     "say which part with --from and --to; trace save saves all");
	wanted.by_time = are_times(command, &wanted.first_ns, &wanted.last_ns);
	if (wanted.by_time && wanted.first_ns > wanted.last_ns)
		return command_usage(command, "--from is later than --to");
	if (wanted.by_time)
		return save(command, &wanted);
	trace_thread_of_range(command);
	int status = trace_range(command, &range);
	if (status)
		return status;
	if (range.empty)
		return command_fail(command, "%s: no item is between --from and --to",
				    command->arguments[0]);
	wanted.by_id = true;
	wanted.first_id = range.first;
	wanted.last_id = range.last;
	return save(command, &wanted);
}

const struct verb verb_trace_save = {
	.name = "trace save",
	.arguments = "FILE DIRECTORY",
	.summary = "the trace as a bundle, which LLDB loads, too",
	.options = save_options,
	.option_count = sizeof(save_options) / sizeof(save_options[0]),
	.min_arguments = 2,
	.max_arguments = 2,
	.has_trace = true,
	.run = run_trace_save,
};

const struct verb verb_trace_trim = {
	.name = "trace trim",
	.arguments = "FILE DIRECTORY",
	.summary = "a part of the trace as a bundle, which LLDB loads, too",
	.options = trim_options,
	.option_count = sizeof(trim_options) / sizeof(trim_options[0]),
	.min_arguments = 2,
	.max_arguments = 2,
	.has_trace = true,
	.run = run_trace_trim,
};
