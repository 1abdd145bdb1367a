// SPDX-License-Identifier: Apache-2.0
// Facts of the process, and its descriptors.

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "diff/diff.h"

/** What one side does not know is no change. */
static void compare_fact(struct strobe_diff *diff, const char *name, const char *a, const char *b)
{
	struct strobe_diff_item item = {.section = STROBE_DIFF_PROCESS,
					.change = STROBE_DIFF_CHANGED};
	if (diff->stopped || !a || !b || strcmp(a, b) == 0)
		return;
	item.of.fact = (struct strobe_diff_fact){.name = name, .old_text = a, .new_text = b};
	diff->totals.facts++;
	diff_report(diff, &item);
}

/** Numbers; `unknown` is the one that stands for not known. */
static void compare_number(struct strobe_diff *diff, const char *name, int64_t a, int64_t b,
			   int64_t unknown)
{
	char left[32], right[32];
	snprintf(left, sizeof(left), "%" PRId64, a);
	snprintf(right, sizeof(right), "%" PRId64, b);
	compare_fact(diff, name, a == unknown ? NULL : left, b == unknown ? NULL : right);
}

static void compare_mask(struct strobe_diff *diff, const char *name, uint64_t a, uint64_t b)
{
	char left[32], right[32];
	snprintf(left, sizeof(left), "0x%" PRIx64, a);
	snprintf(right, sizeof(right), "0x%" PRIx64, b);
	compare_fact(diff, name, left, right);
}

static const char *signal_words(const struct strobe_signal *signal, char *buffer, size_t size)
{
	if (!signal->number)
		return "none";
	int used = snprintf(buffer, size, "%s", signal->name);
	if (signal->code_name && used > 0 && (size_t)used < size)
		used += snprintf(buffer + used, size - (size_t)used, " (%s)", signal->code_name);
	if (signal->has_address && used > 0 && (size_t)used < size)
		snprintf(buffer + used, size - (size_t)used, " at 0x%" PRIx64, signal->address);
	return buffer;
}

static void compare_identity(struct strobe_diff *diff, const struct strobe_process_info *a,
			     const struct strobe_process_info *b)
{
	char old_state[2] = {a->state, '\0'}, new_state[2] = {b->state, '\0'};
	compare_number(diff, "pid", a->pid, b->pid, -1);
	compare_number(diff, "ppid", a->ppid, b->ppid, -1);
	compare_number(diff, "pgid", a->pgid, b->pgid, -1);
	compare_number(diff, "sid", a->sid, b->sid, -1);
	compare_number(diff, "uid", a->uid, b->uid, -1);
	compare_number(diff, "gid", a->gid, b->gid, -1);
	compare_fact(diff, "state", a->state ? old_state : NULL, b->state ? new_state : NULL);
	compare_fact(diff, "executable", a->executable, b->executable);
	compare_fact(diff, "name", a->name, b->name);
	compare_fact(diff, "command", a->command, b->command);
}

static void compare_surroundings(struct strobe_diff *diff, const struct strobe_process_info *a,
				 const struct strobe_process_info *b)
{
	char left[160], right[160];
	compare_fact(diff, "signal", signal_words(&a->signal, left, sizeof(left)),
		     signal_words(&b->signal, right, sizeof(right)));
	compare_number(diff, "signal_tid", a->signal_tid, b->signal_tid, -1);
	compare_fact(diff, "working_directory", a->working_directory, b->working_directory);
	compare_fact(diff, "root", a->root, b->root);
	compare_fact(diff, "cgroup", a->cgroup, b->cgroup);
	compare_number(diff, "nice", a->nice, b->nice, STROBE_NOT_KNOWN);
	compare_number(diff, "oom_score_adjustment", a->oom_score_adjustment,
		       b->oom_score_adjustment, STROBE_NOT_KNOWN);
	compare_number(diff, "umask", a->umask, b->umask, -1);
	compare_number(diff, "user_ns", a->user_ns, b->user_ns, -1);
	compare_number(diff, "system_ns", a->system_ns, b->system_ns, -1);
	compare_number(diff, "resident_bytes", a->resident_bytes, b->resident_bytes, -1);
	compare_number(diff, "swapped_bytes", a->swapped_bytes, b->swapped_bytes, -1);
}

static void compare_ids(struct strobe_diff *diff, const char *const names[4], const int64_t a[4],
			const int64_t b[4])
{
	for (int i = 0; i < 4; i++)
		compare_number(diff, names[i], a[i], b[i], -1);
}

static void compare_credentials(struct strobe_diff *diff)
{
	static const char *const users[4] = {"real_uid", "effective_uid", "saved_uid",
					     "file_system_uid"};
	static const char *const groups[4] = {"real_gid", "effective_gid", "saved_gid",
					      "file_system_gid"};
	const struct strobe_credentials *a = strobe_view_credentials(diff->a);
	const struct strobe_credentials *b = strobe_view_credentials(diff->b);
	if (!a || !b)
		return;
	compare_ids(diff, users, a->user_ids, b->user_ids);
	compare_ids(diff, groups, a->group_ids, b->group_ids);
	if (a->capabilities_known && b->capabilities_known) {
		compare_mask(diff, "capabilities_inheritable", a->inheritable, b->inheritable);
		compare_mask(diff, "capabilities_permitted", a->permitted, b->permitted);
		compare_mask(diff, "capabilities_effective", a->effective, b->effective);
		compare_mask(diff, "capabilities_bounding", a->bounding, b->bounding);
		compare_mask(diff, "capabilities_ambient", a->ambient, b->ambient);
	}
	compare_number(diff, "no_new_privileges", a->no_new_privileges, b->no_new_privileges, -1);
	compare_number(diff, "seccomp", a->seccomp, b->seccomp, -1);
	compare_number(diff, "seccomp_filters", a->seccomp_filters, b->seccomp_filters, -1);
}

static void compare_actions(struct strobe_diff *diff)
{
	const struct strobe_signal_actions *a = strobe_view_signal_actions(diff->a);
	const struct strobe_signal_actions *b = strobe_view_signal_actions(diff->b);
	if (!a || !b)
		return;
	compare_mask(diff, "signals_pending", a->pending, b->pending);
	compare_mask(diff, "signals_ignored", a->ignored, b->ignored);
	compare_mask(diff, "signals_caught", a->caught, b->caught);
}

static void limit_words(const struct strobe_limit *limit, char *buffer, size_t size)
{
	char soft[32] = "unlimited", hard[32] = "unlimited";
	if (limit->soft != UINT64_MAX)
		snprintf(soft, sizeof(soft), "%" PRIu64, limit->soft);
	if (limit->hard != UINT64_MAX)
		snprintf(hard, sizeof(hard), "%" PRIu64, limit->hard);
	snprintf(buffer, size, "%s, at most %s", soft, hard);
}

static void compare_limits(struct strobe_diff *diff)
{
	size_t count = strobe_view_limit_count(diff->b);
	size_t old_count = strobe_view_limit_count(diff->a);
	char name[128], left[80], right[80];
	for (size_t i = 0; i < count && i < old_count; i++) {
		const struct strobe_limit *a = strobe_view_limit(diff->a, i);
		const struct strobe_limit *b = strobe_view_limit(diff->b, i);
		if (!diff_same_text(a->name, b->name))
			continue;
		snprintf(name, sizeof(name), "limit: %s", b->name);
		limit_words(a, left, sizeof(left));
		limit_words(b, right, sizeof(right));
		compare_fact(diff, name, left, right);
	}
}

static void compare_namespaces(struct strobe_diff *diff)
{
	size_t count = strobe_view_namespace_count(diff->b);
	size_t old_count = strobe_view_namespace_count(diff->a);
	char name[128];
	for (size_t i = 0; i < count; i++) {
		const struct strobe_namespace *b = strobe_view_namespace(diff->b, i);
		for (size_t j = 0; j < old_count; j++) {
			const struct strobe_namespace *a = strobe_view_namespace(diff->a, j);
			if (!diff_same_text(a->name, b->name))
				continue;
			snprintf(name, sizeof(name), "namespace: %s", b->name);
			compare_number(diff, name, (int64_t)a->inode, (int64_t)b->inode, -1);
			break;
		}
	}
}

void diff_process(struct strobe_diff *diff)
{
	const struct strobe_process_info *a = strobe_view_process_info(diff->a);
	const struct strobe_process_info *b = strobe_view_process_info(diff->b);
	compare_identity(diff, a, b);
	compare_surroundings(diff, a, b);
	compare_credentials(diff);
	compare_actions(diff);
	compare_limits(diff);
	compare_namespaces(diff);
}

static int compare_descriptors(const void *a, const void *b)
{
	const struct strobe_descriptor *const *left = a, *const *right = b;
	return (*left)->fd < (*right)->fd ? -1 : (*left)->fd > (*right)->fd;
}

/** The descriptors of a view by number; NULL when memory is short. */
static const struct strobe_descriptor **sorted(const struct strobe_view *view, size_t count)
{
	const struct strobe_descriptor **list = calloc(count + 1, sizeof(*list));
	for (size_t i = 0; list && i < count; i++)
		list[i] = strobe_view_descriptor(view, i);
	if (list && count > 1)
		qsort(list, count, sizeof(*list), compare_descriptors);
	return list;
}

static bool same_descriptor(const struct strobe_descriptor *a, const struct strobe_descriptor *b)
{
	return diff_same_text(a->type, b->type) && diff_same_text(a->path, b->path) &&
	       diff_same_text(a->peer, b->peer) && a->flags == b->flags &&
	       a->position == b->position && a->mode == b->mode;
}

static void compare_descriptor(struct strobe_diff *diff, const struct strobe_descriptor *a,
			       const struct strobe_descriptor *b)
{
	struct strobe_diff_item item = {.section = STROBE_DIFF_DESCRIPTORS};
	struct strobe_diff_totals *totals = &diff->totals;
	item.of.descriptor = (struct strobe_diff_descriptor){
		.fd = a ? a->fd : b->fd, .old_descriptor = a, .new_descriptor = b};
	if (!a) {
		item.change = STROBE_DIFF_ADDED;
		totals->descriptors_added++;
	} else if (!b) {
		item.change = STROBE_DIFF_REMOVED;
		totals->descriptors_removed++;
	} else if (!same_descriptor(a, b)) {
		item.change = STROBE_DIFF_CHANGED;
		totals->descriptors_changed++;
	} else {
		return;
	}
	diff_report(diff, &item);
}

void diff_descriptors(struct strobe_diff *diff)
{
	bool old_known = false, new_known = false;
	size_t old_count = strobe_view_descriptor_count(diff->a, &old_known);
	size_t new_count = strobe_view_descriptor_count(diff->b, &new_known);
	diff->totals.descriptors_known = old_known && new_known;
	if (!diff->totals.descriptors_known)
		return;
	const struct strobe_descriptor **a = sorted(diff->a, old_count);
	const struct strobe_descriptor **b = sorted(diff->b, new_count);
	diff->failed = !a || !b;
	for (size_t i = 0, j = 0;
	     !diff->failed && !diff->stopped && (i < old_count || j < new_count);) {
		bool left = i < old_count && (j == new_count || a[i]->fd <= b[j]->fd);
		bool right = j < new_count && (i == old_count || b[j]->fd <= a[i]->fd);
		compare_descriptor(diff, left ? a[i] : NULL, right ? b[j] : NULL);
		i += left;
		j += right;
	}
	free(a);
	free(b);
}
