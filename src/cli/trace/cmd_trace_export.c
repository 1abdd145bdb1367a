// SPDX-License-Identifier: Apache-2.0
#include "verbs.h"

#include <inttypes.h>
#include <string.h>
#include <strobe/trace_export.h>

#include "command.h"
#include "progress.h"
#include "trace/range.h"

static const struct option options[] = {
	{"format", 'f', "FORMAT", "perfetto|folded|ctf",
	 "perfetto: JSON for Perfetto's UI and chrome://tracing. folded: stacks for flame graphs. "
	 "ctf: a directory in Common Trace Format 1.8, for babeltrace2. Default: perfetto."},
	{"output", 'o', "PATH", NULL, "Write to this file, or directory; '-' is standard output."},
	{"max-depth", 0, "N", NULL, "Leave out calls that are nested deeper than N."},
	{"min-duration", 0, "TIME", NULL,
	 "Leave out calls that are shorter: 10us, say. A trace without time counts items as ns."},
	{"no-inlined", 0, NULL, NULL, "Leave out inlined calls."},
	{"no-events", 0, NULL, NULL, "Leave out events and errors."},
	{"by", 0, "WEIGHT", "instructions|time",
	 "Of folded stacks: what they are weighed by. Default: instructions."},
	OPTIONS_TRACE_RANGE,
};

static enum strobe_trace_export_format format_of(const struct command *command)
{
	const char *text = command_option(command, "format");
	if (text && strcmp(text, "folded") == 0)
		return STROBE_TRACE_EXPORT_FOLDED;
	return text && strcmp(text, "ctf") == 0 ? STROBE_TRACE_EXPORT_CTF
						: STROBE_TRACE_EXPORT_PERFETTO;
}

static int read_range(struct command *command, struct strobe_trace_export_options *ret)
{
	struct trace_range range = {0};
	if (!command_has(command, "from") && !command_has(command, "to"))
		return STATUS_DONE;
	int status = trace_range(command, &range);
	ret->one_thread = true; // ids are a thread's
	ret->from_id = range.empty ? UINT64_MAX : range.first;
	ret->end_id = range.empty ? 0 : range.last + 1;
	return status;
}

static int read_options(struct command *command, struct strobe_trace_export_options *ret)
{
	const char *duration = command_option(command, "min-duration");
	const char *by = command_option(command, "by");
	uint64_t depth = 0;
	trace_thread_of_range(command);
	*ret = (struct strobe_trace_export_options){
		.size = sizeof(*ret),
		.thread_index = command->thread_index,
		.one_thread = command_has(command, "thread"),
		.no_inlined = command_has(command, "no-inlined"),
		.no_events = command_has(command, "no-events"),
		.by_time = by && strcmp(by, "time") == 0,
	};
	if (!command_has(command, "output"))
		return command_usage(command, "say where to with --output");
	if (by && format_of(command) != STROBE_TRACE_EXPORT_FOLDED)
		return command_usage(command, "--by goes with --format folded");
	if (duration && !parse_time(duration, &ret->min_duration_ns))
		return command_usage(command, "--min-duration: '%s' is no time (10us)", duration);
	int status = command_number(command, "max-depth", UINT32_MAX, &depth);
	if (!status && depth == 0 && command_has(command, "max-depth"))
		status = command_usage(command, "--max-depth: at least 1");
	ret->max_depth = (uint32_t)depth;
	return status ? status : read_range(command, ret);
}

static void summary_json(const struct command *command,
			 const struct strobe_trace_export_summary *summary)
{
	struct json json;
	json_init(&json, stdout);
	json_object(&json, NULL);
	json_string(&json, "output", command_option(command, "output"));
	json_string(&json, "clock", summary->has_time ? "time" : "items");
	json_unsigned(&json, "calls", summary->calls);
	json_unsigned(&json, "calls_left_out", summary->left_out);
	json_unsigned(&json, "events", summary->events);
	json_unsigned(&json, "errors", summary->errors);
	json_unsigned(&json, "stacks", summary->stacks);
	json_unsigned(&json, "bytes", summary->bytes);
	json_object_end(&json);
	json_fini(&json);
}

static void summary_text(const struct command *command,
			 const struct strobe_trace_export_summary *summary)
{
	struct size_text size;
	const char *output = command_option(command, "output");
	if (!summary->has_time)
		command_note(command, "the trace has no time: an item stands for a nanosecond");
	if (strcmp(output, "-") == 0)
		return;
	printf("%s: %" PRIu64 " calls", output, summary->calls);
	if (summary->left_out)
		printf(", %" PRIu64 " shorter ones left out", summary->left_out);
	if (format_of(command) == STROBE_TRACE_EXPORT_FOLDED)
		printf(", %" PRIu64 " stacks", summary->stacks);
	else
		printf(", %" PRIu64 " events, %" PRIu64 " errors", summary->events,
		       summary->errors);
	printf(", %s\n", size_text(summary->bytes, &size));
}

static int run_trace_export(struct command *command)
{
	struct strobe_trace_export_options wanted;
	struct strobe_trace_export_summary summary;
	struct progress progress;
	int status = read_options(command, &wanted);
	if (status)
		return status;
	const char *output = command_option(command, "output");
	if (command->json && strcmp(output, "-") == 0)
		return command_usage(command, "--json and --output - both want standard output");
	progress_begin(&progress, "exporting", command->quiet);
	wanted.progress = progress_tell;
	wanted.progress_context = &progress;
	struct strobe_error *error = strobe_trace_export(
		command->trace, command->symbols, format_of(command), output, &wanted, &summary);
	progress_end(&progress);
	progress_release();
	if (error)
		return command_error(command, NULL, error);
	if (command->json)
		summary_json(command, &summary);
	else
		summary_text(command, &summary);
	return STATUS_DONE;
}

const struct verb verb_trace_export = {
	.name = "trace export",
	.arguments = "FILE",
	.summary = "calls as Perfetto or Chrome JSON, folded stacks, or Common Trace Format",
	.options = options,
	.option_count = sizeof(options) / sizeof(options[0]),
	.min_arguments = 1,
	.max_arguments = 1,
	.has_trace = true,
	.run = run_trace_export,
};
