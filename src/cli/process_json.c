// SPDX-License-Identifier: Apache-2.0
#include <inttypes.h>
#include <string.h>
#include <strobe/snapshot.h>

#include "describe.h"
#include "process_facts.h"

static void ids_json(struct json *json, const char *key, const int64_t ids[4])
{
	json_array(json, key, false);
	for (int i = 0; i < 4; i++)
		number_json(json, NULL, ids[i], -1);
	json_array_end(json);
}

static void credentials_json(struct json *json, const struct strobe_credentials *credentials)
{
	static const char *const modes[] = {"none", "strict", "filter"};
	if (!credentials) {
		json_null(json, "credentials");
		return;
	}
	json_object(json, "credentials");
	ids_json(json, "uids", credentials->user_ids);
	ids_json(json, "gids", credentials->group_ids);
	json_array(json, "groups", false);
	for (size_t i = 0; i < credentials->group_count; i++)
		json_unsigned(json, NULL, credentials->groups[i]);
	json_array_end(json);
	if (credentials->capabilities_known) {
		json_object(json, "capabilities");
		json_address(json, "inheritable", credentials->inheritable);
		json_address(json, "permitted", credentials->permitted);
		json_address(json, "effective", credentials->effective);
		json_address(json, "bounding", credentials->bounding);
		json_address(json, "ambient", credentials->ambient);
		json_object_end(json);
	} else {
		json_null(json, "capabilities");
	}
	if (credentials->no_new_privileges < 0)
		json_null(json, "no_new_privileges");
	else
		json_bool(json, "no_new_privileges", credentials->no_new_privileges);
	json_string(json, "seccomp", credentials->seccomp < 0 ? NULL : modes[credentials->seccomp]);
	number_json(json, "seccomp_filters", credentials->seccomp_filters, -1);
	json_object_end(json);
}

static void limits_json(const struct command *command, struct json *json)
{
	json_array(json, "limits", true);
	for (size_t i = 0; i < strobe_view_limit_count(command->view); i++) {
		const struct strobe_limit *limit = strobe_view_limit(command->view, i);
		json_object(json, NULL);
		json_string(json, "name", limit->name);
		if (limit->soft == UINT64_MAX)
			json_null(json, "soft");
		else
			json_unsigned(json, "soft", limit->soft);
		if (limit->hard == UINT64_MAX)
			json_null(json, "hard");
		else
			json_unsigned(json, "hard", limit->hard);
		json_string(json, "unit", limit->unit);
		json_object_end(json);
	}
	json_array_end(json);
}

static void signals_json(const struct command *command, struct json *json)
{
	const struct strobe_signal_actions *actions = strobe_view_signal_actions(command->view);
	if (actions) {
		json_object(json, "signals");
		signal_set_json(json, "caught", actions->caught);
		signal_set_json(json, "ignored", actions->ignored);
		signal_set_json(json, "pending", actions->pending);
		json_object_end(json);
	} else {
		json_null(json, "signals");
	}
	json_array(json, "queued_signals", true);
	for (size_t i = 0; i < strobe_view_queued_signal_count(command->view); i++) {
		const struct strobe_queued_signal *queued =
			strobe_view_queued_signal(command->view, i);
		json_object(json, NULL);
		number_json(json, "tid", queued->tid, 0);
		signal_json(json, "signal", &queued->signal, -1);
		json_object_end(json);
	}
	json_array_end(json);
}

static void capture_json(const struct command *command, struct json *json)
{
	const struct strobe_capture *capture = strobe_view_capture(command->view);
	if (!capture) {
		json_null(json, "capture");
		return;
	}
	json_object(json, "capture");
	json_string(json, "id", capture->id);
	json_string(json, "method", capture->method);
	number_json(json, "time_ns", capture->time_ns, -1);
	number_json(json, "pause_ns", capture->pause_ns, -1);
	json_string(json, "contents", capture->contents);
	json_array(json, "redacted", false);
	if (capture->redacted & STROBE_REDACT_STRINGS)
		json_string(json, NULL, "strings");
	if (capture->redacted & STROBE_REDACT_ENVIRONMENT)
		json_string(json, NULL, "environment");
	if (capture->redacted_matches)
		json_string(json, NULL, "patterns");
	json_array_end(json);
	json_string(json, "parent_id", capture->parent_id);
	json_string(json, "parent_path", capture->parent_path);
	json_object_end(json);
}

static void strings_json(const struct command *command, struct json *json, const char *key,
			 const char *(*get)(const struct strobe_view *view, size_t index))
{
	const char *text;
	if (!get(command->view, 0)) {
		json_null(json, key);
		return;
	}
	json_array(json, key, false);
	for (size_t i = 0; (text = get(command->view, i)); i++)
		json_string(json, NULL, text);
	json_array_end(json);
}

void facts_json(const struct command *command, struct json *json,
		const struct strobe_process_info *info)
{
	char state[2] = {info->state, '\0'};
	number_json(json, "pgid", info->pgid, -1);
	number_json(json, "sid", info->sid, -1);
	json_string(json, "state", info->state ? state : NULL);
	json_bool(json, "exe_deleted", info->executable_deleted);
	json_string(json, "cwd", info->working_directory);
	json_string(json, "root", info->root);
	json_string(json, "cgroup", info->cgroup);
	time_json(json, "start_time", info->start_time_ns);
	number_json(json, "user_ns", info->user_ns, -1);
	number_json(json, "system_ns", info->system_ns, -1);
	number_json(json, "resident_bytes", info->resident_bytes, -1);
	number_json(json, "resident_peak_bytes", info->resident_peak_bytes, -1);
	number_json(json, "swapped_bytes", info->swapped_bytes, -1);
	number_json(json, "nice", info->nice, STROBE_NOT_KNOWN);
	number_json(json, "oom_score_adj", info->oom_score_adjustment, STROBE_NOT_KNOWN);
	number_json(json, "umask", info->umask, -1);
	credentials_json(json, strobe_view_credentials(command->view));
	signals_json(command, json);
	limits_json(command, json);
	json_array(json, "namespaces", false);
	for (size_t i = 0; i < strobe_view_namespace_count(command->view); i++) {
		const struct strobe_namespace *space = strobe_view_namespace(command->view, i);
		json_object(json, NULL);
		json_string(json, "name", space->name);
		json_unsigned(json, "inode", space->inode);
		json_object_end(json);
	}
	json_array_end(json);
	strings_json(command, json, "arguments", strobe_view_argument);
	strings_json(command, json, "environment", strobe_view_environment);
	capture_json(command, json);
	json_array(json, "not_atomic", true);
	for (size_t i = 0; i < strobe_view_not_atomic_count(command->view); i++) {
		const struct strobe_not_atomic *range = strobe_view_not_atomic(command->view, i);
		json_object(json, NULL);
		json_address(json, "start", range->start);
		json_address(json, "end", range->end);
		json_string(json, "why", range->why);
		json_object_end(json);
	}
	json_array_end(json);
}
