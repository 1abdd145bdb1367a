// SPDX-License-Identifier: Apache-2.0
#include "verbs.h"

#include <inttypes.h>
#include <time.h>

#include "command.h"
#include "describe.h"

// Time in UTC, ISO 8601: whoever reads it may sit in another zone than the machine that died.
static const char *time_text(int64_t time_ns, char *buffer, size_t size)
{
	time_t seconds = (time_t)(time_ns / 1000000000);
	struct tm broken;
	if (time_ns < 0 || !gmtime_r(&seconds, &broken) ||
	    strftime(buffer, size, "%Y-%m-%dT%H:%M:%SZ", &broken) == 0)
		return NULL;
	return buffer;
}

static void number_or_null(struct json *json, const char *key, int64_t number)
{
	if (number < 0)
		json_null(json, key);
	else
		json_signed(json, key, number);
}

static void info_json(const struct command *command, const struct strobe_process_info *info)
{
	struct json json;
	char buffer[64];
	json_init(&json, stdout);
	json_object(&json, NULL);
	number_or_null(&json, "pid", info->pid);
	number_or_null(&json, "ppid", info->ppid);
	number_or_null(&json, "uid", info->uid);
	number_or_null(&json, "gid", info->gid);
	json_string(&json, "exe", info->executable);
	json_string(&json, "name", info->name);
	json_string(&json, "command", info->command);
	signal_json(&json, "signal", &info->signal, info->signal_tid);
	json_string(&json, "time", time_text(info->time_ns, buffer, sizeof(buffer)));
	json_bool(&json, "time_is_file_time", info->time_is_file_time);
	json_unsigned(&json, "threads", strobe_view_thread_count(command->view));
	json_unsigned(&json, "modules", strobe_view_module_count(command->view));
	json_unsigned(&json, "mappings", strobe_view_mapping_count(command->view));
	json_object(&json, "memory");
	json_unsigned(&json, "mapped_bytes", info->mapped_bytes);
	json_unsigned(&json, "present_bytes", info->present_bytes);
	json_unsigned(&json, "file_bytes", info->file_bytes);
	json_unsigned(&json, "missing_bytes", info->missing_bytes);
	json_object_end(&json);
	json_string(&json, "source", info->source_path);
	json_string(&json, "source_kind", info->source_kind);
	json_string(&json, "source_maker", info->source_maker);
	json_string(&json, "machine", info->machine);
	json_object_end(&json);
	json_fini(&json);
}

static void field(const struct command *command, const char *name, const char *value)
{
	if (!value || !*value)
		return;
	printf("%s%-9s%s ", style_start(command->color, STYLE_HEADING), name,
	       style_end(command->color));
	put_safe(stdout, value);
	putchar('\n');
}

static void memory_text(const struct strobe_process_info *info, char *buffer, size_t size)
{
	struct size_text mapped, present, file, missing;
	snprintf(buffer, size, "%s mapped, %s in the %s, %s in local files, %s missing",
		 size_text(info->mapped_bytes, &mapped), size_text(info->present_bytes, &present),
		 info->source_kind, size_text(info->file_bytes, &file),
		 size_text(info->missing_bytes, &missing));
}

static void info_text(const struct command *command, const struct strobe_process_info *info)
{
	char buffer[512], when[64];
	const char *time = time_text(info->time_ns, when, sizeof(when));
	if (info->pid >= 0) {
		snprintf(buffer, sizeof(buffer), "%d%s%s%s", info->pid, info->name ? " (" : "",
			 info->name ? info->name : "", info->name ? ")" : "");
		field(command, "process", buffer);
	}
	field(command, "exe", info->executable);
	field(command, "command", info->command);
	if (info->signal.number) {
		signal_text(&info->signal, buffer, sizeof(buffer));
		printf("%ssignal%s    %s%s%s", style_start(command->color, STYLE_HEADING),
		       style_end(command->color), style_start(command->color, STYLE_ALERT), buffer,
		       style_end(command->color));
		if (info->signal_tid > 0)
			printf(", taken by thread %d", info->signal_tid);
		putchar('\n');
	}
	if (time) {
		snprintf(buffer, sizeof(buffer), "%s%s", time,
			 info->time_is_file_time ? " (the file's)" : "");
		field(command, "time", buffer);
	}
	snprintf(buffer, sizeof(buffer), "%zu threads, %zu modules, %zu mappings",
		 strobe_view_thread_count(command->view), strobe_view_module_count(command->view),
		 strobe_view_mapping_count(command->view));
	field(command, "holds", buffer);
	memory_text(info, buffer, sizeof(buffer));
	field(command, "memory", buffer);
	printf("%ssource%s    %s%s%s: ", style_start(command->color, STYLE_HEADING),
	       style_end(command->color), info->source_kind, info->source_maker ? " by " : "",
	       info->source_maker ? info->source_maker : "");
	put_safe(stdout, info->source_path);
	putchar('\n');
}

static int run_info(struct command *command)
{
	const struct strobe_process_info *info = strobe_view_process_info(command->view);
	if (command->json)
		info_json(command, info);
	else
		info_text(command, info);
	return STATUS_DONE;
}

const struct verb verb_info = {
	.name = "info",
	.arguments = "CORE",
	.summary = "who died, when, of what signal, and how much of its memory is here",
	.min_arguments = 1,
	.max_arguments = 1,
	.has_target = true,
	.run = run_info,
};
