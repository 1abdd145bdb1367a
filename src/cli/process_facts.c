// SPDX-License-Identifier: Apache-2.0
#include "process_facts.h"

#include <inttypes.h>
#include <string.h>
#include <strobe/snapshot.h>

#include "describe.h"
#include "table.h"

void facts_heading(const struct command *command, const char *name)
{
	printf("%s%-9s%s ", style_start(command->color, STYLE_HEADING), name,
	       style_end(command->color));
}

void facts_field(const struct command *command, const char *name, const char *value)
{
	if (!value || !*value)
		return;
	facts_heading(command, name);
	put_safe(stdout, value);
	putchar('\n');
}

static void put_ids(const char *what, const int64_t ids[4])
{
	static const char *const kinds[] = {"", "effective ", "saved ", "file system "};
	bool open = false;
	if (ids[0] < 0)
		return;
	printf("%s %" PRId64, what, ids[0]);
	for (int i = 1; i < 4; i++) {
		int64_t usual = i == 3 ? ids[1] : ids[0]; // the file system's follows the effective
		if (ids[i] < 0 || ids[i] == usual)
			continue;
		printf("%s%s%" PRId64, open ? ", " : " (", kinds[i], ids[i]);
		open = true;
	}
	if (open)
		putchar(')');
}

static void credentials_text(const struct command *command)
{
	const struct strobe_credentials *credentials = strobe_view_credentials(command->view);
	if (!credentials)
		return;
	facts_heading(command, "user");
	put_ids("uid", credentials->user_ids);
	put_ids(", gid", credentials->group_ids);
	for (size_t i = 0; i < credentials->group_count; i++)
		printf("%s%" PRIu32, i ? " " : ", groups ", credentials->groups[i]);
	putchar('\n');
	facts_heading(command, "may");
	if (credentials->capabilities_known) {
		fputs("capabilities ", stdout);
		put_capabilities(stdout, credentials->effective);
	} else {
		fputs("capabilities unknown", stdout);
	}
	if (credentials->no_new_privileges > 0)
		fputs(", no new privileges", stdout);
	if (credentials->seccomp == 1)
		fputs(", seccomp strict", stdout);
	else if (credentials->seccomp == 2 && credentials->seccomp_filters > 0)
		printf(", seccomp with %" PRId64 " filter%s", credentials->seccomp_filters,
		       credentials->seccomp_filters == 1 ? "" : "s");
	else if (credentials->seccomp == 2)
		fputs(", seccomp with filters", stdout);
	putchar('\n');
}

static void usage_text(const struct command *command, const struct strobe_process_info *info)
{
	char user[64], system[64];
	struct size_text size;
	if (info->user_ns < 0 && info->resident_bytes < 0)
		return;
	facts_heading(command, "usage");
	const char *comma = "";
	if (info->user_ns >= 0 && info->system_ns >= 0) {
		printf("%s user, %s system", duration_text(info->user_ns, user, sizeof(user)),
		       duration_text(info->system_ns, system, sizeof(system)));
		comma = ", ";
	}
	if (info->resident_bytes >= 0) {
		printf("%s%s resident", comma, size_text((uint64_t)info->resident_bytes, &size));
		comma = ", ";
	}
	if (info->resident_peak_bytes >= 0)
		printf(" (%s at most)", size_text((uint64_t)info->resident_peak_bytes, &size));
	if (info->swapped_bytes > 0)
		printf("%s%s swapped", comma, size_text((uint64_t)info->swapped_bytes, &size));
	if (info->nice != STROBE_NOT_KNOWN && info->nice)
		printf("%snice %d", comma, info->nice);
	if (info->oom_score_adjustment != STROBE_NOT_KNOWN && info->oom_score_adjustment)
		printf("%sOOM score %+d", comma, info->oom_score_adjustment);
	putchar('\n');
}

static void capture_text(const struct command *command)
{
	const struct strobe_capture *capture = strobe_view_capture(command->view);
	char pause[64];
	if (!capture)
		return;
	facts_heading(command, "captured");
	printf("by %s", capture->method ? capture->method : "an unknown method");
	if (capture->pause_ns >= 0)
		printf(", paused %s", duration_text(capture->pause_ns, pause, sizeof(pause)));
	if (capture->contents)
		printf(", contents %s", capture->contents);
	if (capture->redacted || capture->redacted_matches)
		printf(", redacted%s%s%s",
		       capture->redacted & STROBE_REDACT_STRINGS ? " strings" : "",
		       capture->redacted & STROBE_REDACT_ENVIRONMENT ? " environment" : "",
		       capture->redacted_matches ? " patterns" : "");
	putchar('\n');
	facts_field(command, "id", capture->id);
	if (!capture->parent_id)
		return;
	facts_heading(command, "since");
	put_safe(stdout, capture->parent_path ? capture->parent_path : "a snapshot");
	printf(" (%s)\n", capture->parent_id);
}

static void not_atomic_text(const struct command *command)
{
	size_t count = strobe_view_not_atomic_count(command->view);
	for (size_t i = 0; i < count; i++) {
		const struct strobe_not_atomic *range = strobe_view_not_atomic(command->view, i);
		facts_heading(command, i ? "" : "changing");
		printf("0x%" PRIx64 "-0x%" PRIx64 " ", range->start, range->end);
		put_safe(stdout, range->why);
		putchar('\n');
	}
}

void facts_text(const struct command *command, const struct strobe_process_info *info)
{
	size_t count = strobe_view_namespace_count(command->view);
	facts_field(command, "cwd", info->working_directory);
	if (info->root && strcmp(info->root, "/") != 0)
		facts_field(command, "root", info->root);
	credentials_text(command);
	usage_text(command, info);
	facts_field(command, "cgroup", info->cgroup);
	for (size_t i = 0; i < count; i++) {
		const struct strobe_namespace *space = strobe_view_namespace(command->view, i);
		if (i)
			fputs(", ", stdout);
		else
			facts_heading(command, "spaces");
		put_safe(stdout, space->name);
		printf(" %" PRIu64 "%s", space->inode, i + 1 == count ? "\n" : "");
	}
	capture_text(command);
	not_atomic_text(command);
}

void facts_environment(const struct command *command)
{
	const char *variable;
	if (!strobe_view_environment(command->view, 0))
		puts("not recorded: the source does not tell the environment");
	for (size_t i = 0; (variable = strobe_view_environment(command->view, i)); i++) {
		put_safe(stdout, variable);
		putchar('\n');
	}
}

static void limit_cell(struct table *table, uint64_t value)
{
	if (value == UINT64_MAX)
		table_text(table, "unlimited");
	else
		table_cell(table, "%" PRIu64, value);
}

void facts_limits(const struct command *command)
{
	static const struct table_column columns[] = {
		{"LIMIT", false, STYLE_NAME},
		{"SOFT", true, STYLE_PLAIN},
		{"HARD", true, STYLE_PLAIN},
		{"UNIT", false, STYLE_PLAIN},
	};
	size_t count = strobe_view_limit_count(command->view);
	struct table table;
	if (!count) {
		puts("not recorded: the source does not tell the limits");
		return;
	}
	table_init(&table, columns, sizeof(columns) / sizeof(columns[0]));
	for (size_t i = 0; i < count; i++) {
		const struct strobe_limit *limit = strobe_view_limit(command->view, i);
		table_text(&table, limit->name);
		limit_cell(&table, limit->soft);
		limit_cell(&table, limit->hard);
		table_text(&table, limit->unit ? limit->unit : "");
	}
	table_write(&table, stdout, command->color);
	table_fini(&table);
}

static void signal_set_line(const struct command *command, const char *name, uint64_t mask)
{
	facts_heading(command, name);
	put_signal_set(stdout, mask);
	putchar('\n');
}

static void thread_masks(const struct command *command)
{
	for (size_t i = 0; i < strobe_view_thread_count(command->view); i++) {
		const struct strobe_thread *thread = strobe_view_thread(command->view, i);
		if (!thread->signals_known || (!thread->blocked && !thread->pending))
			continue;
		printf("thread %d blocks ", thread->tid);
		put_signal_set(stdout, thread->blocked);
		if (thread->pending) {
			fputs("; pending ", stdout);
			put_signal_set(stdout, thread->pending);
		}
		putchar('\n');
	}
}

void facts_signals(const struct command *command)
{
	const struct strobe_signal_actions *actions = strobe_view_signal_actions(command->view);
	if (!actions) {
		puts("not recorded: the source does not tell what is done with signals");
		return;
	}
	signal_set_line(command, "caught", actions->caught);
	signal_set_line(command, "ignored", actions->ignored);
	signal_set_line(command, "pending", actions->pending);
	thread_masks(command);
	for (size_t i = 0; i < strobe_view_queued_signal_count(command->view); i++) {
		const struct strobe_queued_signal *queued =
			strobe_view_queued_signal(command->view, i);
		char text[256];
		signal_text(&queued->signal, text, sizeof(text));
		if (queued->tid)
			printf("queued for thread %d: %s\n", queued->tid, text);
		else
			printf("queued for the process: %s\n", text);
	}
}
