// SPDX-License-Identifier: Apache-2.0
#include <inttypes.h>
#include <string.h>

#include "snap.h"

static const char *method_text(enum strobe_snapshot_method method)
{
	return method == STROBE_SNAPSHOT_CLONE ? "clone" : "copy";
}

void snap_set_info(struct snap_result *result, const struct strobe_snapshot_info *info)
{
	result->method = method_text(info->method);
	result->method_why = info->method_why;
	result->pause_ns = (int64_t)info->pause_ns;
	result->memory_bytes = info->memory_bytes;
	result->not_atomic_count = info->not_atomic_count;
	result->not_atomic = info->not_atomic;
}

void snap_set_view(struct snap_result *result, const struct strobe_view *view)
{
	const struct strobe_capture *capture = strobe_view_capture(view);
	const struct strobe_process_info *process = strobe_view_process_info(view);
	result->method = capture ? capture->method : NULL;
	result->pause_ns = capture ? capture->pause_ns : -1;
	result->memory_bytes = process->resident_bytes >= 0 ? (uint64_t)process->resident_bytes
							    : process->present_bytes;
	result->not_atomic_count = strobe_view_not_atomic_count(view);
	result->view = view;
}

static const struct strobe_not_atomic *range_at(const struct snap_result *result, size_t index)
{
	return result->not_atomic ? &result->not_atomic[index]
				  : strobe_view_not_atomic(result->view, index);
}

static void not_atomic_json(struct json *json, const struct snap_result *result)
{
	json_array(json, "not_atomic", false);
	for (size_t i = 0; i < result->not_atomic_count; i++) {
		const struct strobe_not_atomic *range = range_at(result, i);
		json_object(json, NULL);
		json_address(json, "start", range->start);
		json_address(json, "end", range->end);
		json_string(json, "why", range->why);
		json_object_end(json);
	}
	json_array_end(json);
}

void snap_json(struct json *json, const struct snap_result *result)
{
	json_object(json, NULL);
	json_string(json, "file", result->file);
	json_string(json, "hold", result->hold);
	if (result->pid > 0)
		json_signed(json, "pid", result->pid);
	else
		json_null(json, "pid");
	if (result->thread_count)
		json_unsigned(json, "threads", result->thread_count);
	else
		json_null(json, "threads");
	if (result->pause_ns >= 0)
		json_signed(json, "pause_ns", result->pause_ns);
	else
		json_null(json, "pause_ns");
	json_unsigned(json, "total_ns", result->total_ns);
	json_unsigned(json, "memory_bytes", result->memory_bytes);
	json_unsigned(json, "written_bytes", result->written ? result->written->disk_bytes : 0);
	json_string(json, "method", result->method);
	json_string(json, "method_why", result->method_why);
	not_atomic_json(json, result);
	json_object_end(json);
}

static void put_seconds(FILE *out, uint64_t ns)
{
	if (ns < 1000000)
		fprintf(out, "%.0f \302\265s", (double)ns / 1e3);
	else if (ns < 1000000000)
		fprintf(out, "%.1f ms", (double)ns / 1e6);
	else
		fprintf(out, "%.1f s", (double)ns / 1e9);
}

void snap_text(const struct command *command, FILE *out, const struct snap_result *result)
{
	struct size_text memory, file;
	if (result->pid > 0)
		fprintf(out, "%d (", result->pid);
	else
		fputs("? (", out);
	put_safe(out, result->name);
	fputs("): ", out);
	if (result->thread_count)
		fprintf(out, "%" PRIu64 " thread%s, ", result->thread_count,
			result->thread_count == 1 ? "" : "s");
	if (result->pause_ns >= 0 && result->method && strcmp(result->method, "crash") != 0) {
		fputs("stopped ", out);
		put_seconds(out, (uint64_t)result->pause_ns);
		fputs(", ", out);
	}
	fprintf(out, "%s -> ", size_text(result->memory_bytes, &memory));
	bool color = command->color && out == stdout;
	if (result->hold) {
		fputs(style_start(color, STYLE_FILE), out);
		putc('@', out);
		put_safe(out, result->hold);
		fputs(style_end(color), out);
	} else {
		put_styled(out, color, STYLE_FILE,
			   strcmp(result->file, "-") == 0 ? "standard output" : result->file);
		fprintf(out, " %s", size_text(result->written->disk_bytes, &file));
	}
	fputs(" in ", out);
	put_seconds(out, result->total_ns);
	if (result->method)
		fprintf(out, "; %s", result->method);
	putc('\n', out);
}

void snap_warn(const struct command *command, const struct snap_result *result)
{
	enum { SHOWN = 5 };
	struct size_text size;
	if (result->missing_bytes)
		command_warn(command, "%d: %s could not be read and are missing", result->pid,
			     size_text(result->missing_bytes, &size));
	if (result->method_why)
		command_warn(command, "%d: copied while it stood still: %s", result->pid,
			     result->method_why);
	for (size_t i = 0; i < result->not_atomic_count && i < SHOWN; i++) {
		const struct strobe_not_atomic *range = range_at(result, i);
		command_warn(command, "%d: 0x%" PRIx64 "-0x%" PRIx64 " (%s) is not atomic: %s",
			     result->pid, range->start, range->end,
			     size_text(range->end - range->start, &size), range->why);
	}
	if (result->not_atomic_count > SHOWN)
		command_warn(command, "%d: %zu more ranges are not atomic (--json lists them)",
			     result->pid, result->not_atomic_count - SHOWN);
}
