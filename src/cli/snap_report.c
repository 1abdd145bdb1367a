// SPDX-License-Identifier: Apache-2.0
#include <inttypes.h>
#include <string.h>

#include "snap.h"

static const char *method_text(enum strobe_snapshot_method method)
{
	return method == STROBE_SNAPSHOT_CLONE ? "clone" : "copy";
}

static void not_atomic_json(struct json *json, const struct strobe_snapshot_info *info)
{
	json_array(json, "not_atomic", false);
	for (size_t i = 0; info && i < info->not_atomic_count; i++) {
		json_object(json, NULL);
		json_address(json, "start", info->not_atomic[i].start);
		json_address(json, "end", info->not_atomic[i].end);
		json_string(json, "why", info->not_atomic[i].why);
		json_object_end(json);
	}
	json_array_end(json);
}

void snap_json(struct json *json, const struct snap_result *result)
{
	const struct strobe_snapshot_info *info = result->info;
	json_object(json, NULL);
	json_string(json, "file", result->file);
	json_string(json, "hold", result->hold);
	if (result->pid > 0)
		json_signed(json, "pid", result->pid);
	else
		json_null(json, "pid");
	json_unsigned(json, "threads", result->thread_count);
	if (info)
		json_unsigned(json, "pause_ns", info->pause_ns);
	else
		json_null(json, "pause_ns");
	json_unsigned(json, "total_ns", result->total_ns);
	json_unsigned(json, "memory_bytes", result->memory_bytes);
	if (result->written)
		json_unsigned(json, "written_bytes", result->written->disk_bytes);
	else
		json_unsigned(json, "written_bytes", 0);
	json_string(json, "method", info ? method_text(info->method) : NULL);
	json_string(json, "method_why", info ? info->method_why : NULL);
	not_atomic_json(json, info);
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
	const struct strobe_snapshot_info *info = result->info;
	struct size_text memory, file;
	fprintf(out, "%d (", result->pid);
	put_safe(out, result->name);
	fprintf(out, "): %" PRIu64 " thread%s, ", result->thread_count,
		result->thread_count == 1 ? "" : "s");
	if (info) {
		fputs("stopped ", out);
		put_seconds(out, info->pause_ns);
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
	if (info)
		fprintf(out, "; %s", method_text(info->method));
	putc('\n', out);
}

void snap_warn(const struct command *command, const struct snap_result *result)
{
	const struct strobe_snapshot_info *info = result->info;
	enum { SHOWN = 5 };
	struct size_text size;
	if (result->written && result->written->missing_bytes)
		command_warn(command, "%d: %s could not be read and are missing", result->pid,
			     size_text(result->written->missing_bytes, &size));
	if (!info)
		return;
	if (info->method == STROBE_SNAPSHOT_COPY)
		command_warn(command, "%d: copied while it stood still: %s", info->pid,
			     info->method_why ? info->method_why : "no clone");
	for (size_t i = 0; i < info->not_atomic_count && i < SHOWN; i++) {
		const struct strobe_not_atomic *range = &info->not_atomic[i];
		command_warn(command, "%d: 0x%" PRIx64 "-0x%" PRIx64 " (%s) is not atomic: %s",
			     info->pid, range->start, range->end,
			     size_text(range->end - range->start, &size), range->why);
	}
	if (info->not_atomic_count > SHOWN)
		command_warn(command, "%d: %zu more ranges are not atomic (--json lists them)",
			     info->pid, info->not_atomic_count - SHOWN);
}
