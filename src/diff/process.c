// SPDX-License-Identifier: Apache-2.0
// Facts of the process, and its descriptors.

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "diff/diff.h"

static void compare_fact(struct strobe_diff *diff, const char *name, const char *a, const char *b)
{
	struct strobe_diff_item item = {.section = STROBE_DIFF_PROCESS,
					.change = !a   ? STROBE_DIFF_ADDED
						  : !b ? STROBE_DIFF_REMOVED
						       : STROBE_DIFF_CHANGED};
	if (diff->stopped || diff_same_text(a, b))
		return;
	item.of.fact = (struct strobe_diff_fact){.name = name, .old_text = a, .new_text = b};
	diff->totals.facts++;
	diff_report(diff, &item);
}

/** Numbers; -1 = not known. */
static void compare_number(struct strobe_diff *diff, const char *name, int64_t a, int64_t b)
{
	char left[32], right[32];
	snprintf(left, sizeof(left), "%" PRId64, a);
	snprintf(right, sizeof(right), "%" PRId64, b);
	compare_fact(diff, name, a == -1 ? NULL : left, b == -1 ? NULL : right);
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

void diff_process(struct strobe_diff *diff)
{
	const struct strobe_process_info *a = strobe_view_process_info(diff->a);
	const struct strobe_process_info *b = strobe_view_process_info(diff->b);
	char left[160], right[160];
	char old_state[2] = {a->state, '\0'}, new_state[2] = {b->state, '\0'};
	compare_number(diff, "pid", a->pid, b->pid);
	compare_number(diff, "ppid", a->ppid, b->ppid);
	compare_number(diff, "pgid", a->pgid, b->pgid);
	compare_number(diff, "sid", a->sid, b->sid);
	compare_number(diff, "uid", a->uid, b->uid);
	compare_number(diff, "gid", a->gid, b->gid);
	compare_fact(diff, "state", a->state ? old_state : NULL, b->state ? new_state : NULL);
	compare_fact(diff, "executable", a->executable, b->executable);
	compare_fact(diff, "name", a->name, b->name);
	compare_fact(diff, "command", a->command, b->command);
	compare_fact(diff, "signal", signal_words(&a->signal, left, sizeof(left)),
		     signal_words(&b->signal, right, sizeof(right)));
	compare_number(diff, "signal_tid", a->signal_tid, b->signal_tid);
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
	       a->flags == b->flags && a->position == b->position;
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
