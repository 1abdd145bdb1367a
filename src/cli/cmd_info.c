// SPDX-License-Identifier: Apache-2.0
#include "verbs.h"

#include <inttypes.h>
#include <time.h>
#include <unistd.h>

#include "command.h"
#include "describe.h"
#include "process_facts.h"

static void verified_json(struct json *json, const struct strobe_verification *found)
{
	json_object(json, "verified");
	json_unsigned(json, "pages", found->page_count);
	json_unsigned(json, "damaged", found->damaged_count);
	if (found->damaged_count)
		json_address(json, "first_offset", found->first_offset);
	else
		json_null(json, "first_offset");
	if (found->has_address)
		json_address(json, "first_address", found->first_address);
	else
		json_null(json, "first_address");
	json_object_end(json);
}

static void info_json(const struct command *command, const struct strobe_process_info *info,
		      const struct strobe_verification *verified)
{
	struct json json;
	json_init(&json, stdout);
	json_object(&json, NULL);
	number_json(&json, "pid", info->pid, -1);
	number_json(&json, "ppid", info->ppid, -1);
	number_json(&json, "uid", info->uid, -1);
	number_json(&json, "gid", info->gid, -1);
	json_string(&json, "exe", info->executable);
	json_string(&json, "name", info->name);
	json_string(&json, "command", info->command);
	signal_json(&json, "signal", &info->signal, info->signal_tid);
	time_json(&json, "time", info->time_ns);
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
	facts_json(command, &json, info);
	if (verified)
		verified_json(&json, verified);
	json_object_end(&json);
	json_fini(&json);
}

static void memory_text(const struct strobe_process_info *info, char *buffer, size_t size)
{
	struct size_text mapped, present, file, missing;
	snprintf(buffer, size, "%s mapped, %s in the %s, %s in local files, %s missing",
		 size_text(info->mapped_bytes, &mapped), size_text(info->present_bytes, &present),
		 info->source_kind, size_text(info->file_bytes, &file),
		 size_text(info->missing_bytes, &missing));
}

// "4242 (server), sleeping, child of 1, since 2026-11-27T05:06:07Z"
static void process_text(const struct command *command, const struct strobe_process_info *info)
{
	char when[64];
	const char *since = time_text(info->start_time_ns, when, sizeof(when));
	if (info->pid < 0)
		return;
	facts_heading(command, "process");
	printf("%d", info->pid);
	if (info->name) {
		fputs(" (", stdout);
		put_safe(stdout, info->name);
		putchar(')');
	}
	if (strobe_view_capture(command->view)) { // of the dead, it is of no interest
		if (info->state)
			printf(", %s", state_text(info->state));
		if (info->ppid > 0)
			printf(", child of %d", info->ppid);
	}
	printf("%s%s\n", since ? ", since " : "", since ? since : "");
}

static void info_text(const struct command *command, const struct strobe_process_info *info)
{
	char buffer[512], when[64];
	const char *time = time_text(info->time_ns, when, sizeof(when));
	process_text(command, info);
	if (info->executable) {
		facts_heading(command, "exe");
		put_safe(stdout, info->executable);
		puts(info->executable_deleted ? " (deleted)" : "");
	}
	facts_field(command, "command", info->command);
	if (info->signal.number) {
		signal_text(&info->signal, buffer, sizeof(buffer));
		facts_heading(command, "signal");
		put_styled(stdout, command->color, STYLE_ALERT, buffer);
		if (info->signal_tid > 0)
			printf(", taken by thread %d", info->signal_tid);
		putchar('\n');
	}
	if (time) {
		snprintf(buffer, sizeof(buffer), "%s%s", time,
			 info->time_is_file_time ? " (the file's)" : "");
		facts_field(command, "time", buffer);
	}
	size_t threads = strobe_view_thread_count(command->view);
	snprintf(buffer, sizeof(buffer), "%zu thread%s, %zu modules, %zu mappings", threads,
		 threads == 1 ? "" : "s", strobe_view_module_count(command->view),
		 strobe_view_mapping_count(command->view));
	facts_field(command, "holds", buffer);
	memory_text(info, buffer, sizeof(buffer));
	facts_field(command, "memory", buffer);
	facts_text(command, info);
	facts_heading(command, "source");
	printf("%s%s%s: ", info->source_kind, info->source_maker ? " by " : "",
	       info->source_maker ? info->source_maker : "");
	put_safe(stdout, info->source_path);
	putchar('\n');
}

/** Sections that options ask for, in place of the summary; how many there were. */
static unsigned sections_text(const struct command *command)
{
	static const struct {
		const char *option, *heading;
		void (*write)(const struct command *command);
	} sections[] = {
		{"environment", "ENVIRONMENT", facts_environment},
		{"limits", "LIMITS", facts_limits},
		{"signals", "SIGNALS", facts_signals},
	};
	unsigned asked = 0, written = 0;
	for (size_t i = 0; i < sizeof(sections) / sizeof(sections[0]); i++)
		asked += command_has(command, sections[i].option);
	for (size_t i = 0; i < sizeof(sections) / sizeof(sections[0]); i++) {
		if (!command_has(command, sections[i].option))
			continue;
		if (asked > 1) {
			printf("%s%s%s%s\n", written ? "\n" : "",
			       style_start(command->color, STYLE_HEADING), sections[i].heading,
			       style_end(command->color));
		}
		sections[i].write(command);
		written++;
	}
	return asked;
}

// A bar for who waits; moves at most five times a second.
static bool on_progress(void *context, uint64_t done_bytes, uint64_t total_bytes)
{
	struct timespec *told = context, now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	double passed =
		(double)(now.tv_sec - told->tv_sec) + (double)(now.tv_nsec - told->tv_nsec) / 1e9;
	if (passed < 0.2 || !isatty(STDERR_FILENO))
		return true;
	*told = now;
	fprintf(stderr, "\r%3.0f%% of %.1f GiB", 100.0 * (double)done_bytes / (double)total_bytes,
		(double)total_bytes / (1 << 30));
	return true;
}

static int verify(struct command *command, struct strobe_verification *ret)
{
	struct timespec told;
	clock_gettime(CLOCK_MONOTONIC, &told);
	struct strobe_error *error = strobe_view_verify(command->view, on_progress, &told, ret);
	if (isatty(STDERR_FILENO))
		fputs("\r\033[K", stderr);
	return error ? command_error(command, NULL, error) : STATUS_DONE;
}

static int tell_damage(const struct command *command, const struct strobe_verification *found)
{
	char place[64] = "";
	if (!found->damaged_count)
		return STATUS_DONE;
	if (found->has_address)
		snprintf(place, sizeof(place), ", memory 0x%" PRIx64, found->first_address);
	return command_fail(command,
			    "%s: %" PRIu64 " of %" PRIu64
			    " pages are damaged; the first is at 0x%" PRIx64 "%s",
			    strobe_view_process_info(command->view)->source_path,
			    found->damaged_count, found->page_count, found->first_offset, place);
}

static int run_info(struct command *command)
{
	const struct strobe_process_info *info = strobe_view_process_info(command->view);
	struct strobe_verification found;
	bool verified = command_has(command, "verify");
	int status = verified ? verify(command, &found) : STATUS_DONE;
	if (status != STATUS_DONE)
		return status;
	if (command->json)
		info_json(command, info, verified ? &found : NULL);
	else if (verified && !found.damaged_count)
		printf("%" PRIu64 " pages, all as they were written\n", found.page_count);
	else if (!verified && !sections_text(command))
		info_text(command, info);
	return verified ? tell_damage(command, &found) : STATUS_DONE;
}

static const struct option options[] = {
	{"environment", 0, NULL, NULL,
	 "Show the environment that the program was started with, a variable a line."},
	{"limits", 0, NULL, NULL, "Show the resource limits."},
	{"signals", 0, NULL, NULL,
	 "Show which signals are caught, ignored, blocked and pending, and those that are queued."},
	{"verify", 0, NULL, NULL,
	 "Hold every page of a snapshot file against the hash that was written with it, or a "
	 "compressed file's frames against their checksums, and say how many pages differ."},
};

const struct verb verb_info = {
	.name = "info",
	.arguments = "TARGET",
	.summary = "the process: who, when, of what signal it died, and how much of its memory is "
		   "here",
	.options = options,
	.option_count = sizeof(options) / sizeof(options[0]),
	.min_arguments = 1,
	.max_arguments = 1,
	.has_target = true,
	.run = run_info,
};
