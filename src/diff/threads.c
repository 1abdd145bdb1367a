// SPDX-License-Identifier: Apache-2.0
// Threads come and gone, and registers of those that stayed.

#include <string.h>

#include "base/error.h"
#include "diff/diff.h"

static bool same_signal(const struct strobe_signal *a, const struct strobe_signal *b)
{
	return a->number == b->number && a->code == b->code && a->address == b->address;
}

static bool has_run(const struct strobe_thread *a, const struct strobe_thread *b)
{
	return (a->user_ns >= 0 && b->user_ns >= 0 && a->user_ns != b->user_ns) ||
	       (a->system_ns >= 0 && b->system_ns >= 0 && a->system_ns != b->system_ns) ||
	       (a->voluntary_switches >= 0 && b->voluntary_switches >= 0 &&
		a->voluntary_switches != b->voluntary_switches);
}

static bool same_scheduling(const struct strobe_thread *a, const struct strobe_thread *b)
{
	return (!a->policy || !b->policy || strcmp(a->policy, b->policy) == 0) &&
	       (a->realtime_priority < 0 || b->realtime_priority < 0 ||
		a->realtime_priority == b->realtime_priority) &&
	       (a->nice == STROBE_NOT_KNOWN || b->nice == STROBE_NOT_KNOWN || a->nice == b->nice);
}

/** What only Strobe's own snapshots know. */
static unsigned other_changes(const struct strobe_thread *a, const struct strobe_thread *b)
{
	unsigned what = 0;
	if (a->in_system_call >= 0 && b->in_system_call >= 0 &&
	    (a->in_system_call != b->in_system_call ||
	     (a->in_system_call && a->system_call != b->system_call)))
		what |= STROBE_DIFF_THREAD_SYSTEM_CALL;
	if (has_run(a, b))
		what |= STROBE_DIFF_THREAD_RAN;
	if (!same_scheduling(a, b))
		what |= STROBE_DIFF_THREAD_SCHEDULING;
	if (a->signals_known && b->signals_known &&
	    (a->blocked != b->blocked || a->pending != b->pending))
		what |= STROBE_DIFF_THREAD_MASKS;
	return what;
}

static unsigned changes_of(const struct strobe_thread *a, const struct strobe_thread *b)
{
	unsigned what = other_changes(a, b);
	if (a->name && b->name && strcmp(a->name, b->name) != 0)
		what |= STROBE_DIFF_THREAD_NAME;
	if (a->state && b->state && a->state != b->state)
		what |= STROBE_DIFF_THREAD_STATE;
	if (a->has_registers && b->has_registers && a->pc != b->pc)
		what |= STROBE_DIFF_THREAD_PC;
	if (a->has_registers && b->has_registers && a->sp != b->sp)
		what |= STROBE_DIFF_THREAD_SP;
	if (!same_signal(&a->signal, &b->signal))
		what |= STROBE_DIFF_THREAD_SIGNAL;
	return what;
}

static void compare_thread(struct strobe_diff *diff, const struct strobe_thread *a,
			   const struct strobe_thread *b)
{
	struct strobe_diff_item item = {.section = STROBE_DIFF_THREADS};
	struct strobe_diff_totals *totals = &diff->totals;
	item.of.thread = (struct strobe_diff_thread){
		.tid = a ? a->tid : b->tid, .old_thread = a, .new_thread = b};
	if (!b) {
		item.change = STROBE_DIFF_REMOVED;
		totals->threads_removed++;
	} else if (!a) {
		item.change = STROBE_DIFF_ADDED;
		totals->threads_added++;
	} else {
		item.change = STROBE_DIFF_CHANGED;
		item.of.thread.what = changes_of(a, b);
		if (!item.of.thread.what)
			return;
		totals->threads_changed++;
		if (item.of.thread.what & (STROBE_DIFF_THREAD_PC | STROBE_DIFF_THREAD_SP))
			totals->threads_moved++;
	}
	diff_report(diff, &item);
}

/** A thread id and where it is in either view; SIZE_MAX = not there. */
struct pair {
	int tid;
	size_t old_index, new_index;
};
typedef ARRAY(struct pair) pair_array;

static int compare_pairs(const void *a, const void *b)
{
	const struct pair *left = a, *right = b;
	return left->tid < right->tid ? -1 : left->tid > right->tid;
}

/** The threads of both views, by tid. */
static void collect(struct strobe_diff *diff, pair_array *ret)
{
	size_t count = strobe_view_thread_count(diff->a);
	for (size_t i = 0; i < count && !diff->failed; i++) {
		int tid = strobe_view_thread(diff->a, i)->tid;
		// A damaged source may list an id twice: the first one is the thread.
		if (diff_wants(diff, tid) && strobe_view_thread_index(diff->a, tid) == i)
			diff->failed = !array_push(
				ret, (struct pair){tid, i, strobe_view_thread_index(diff->b, tid)});
	}
	count = strobe_view_thread_count(diff->b);
	for (size_t i = 0; i < count && !diff->failed; i++) {
		int tid = strobe_view_thread(diff->b, i)->tid;
		if (diff_wants(diff, tid) && strobe_view_thread_index(diff->b, tid) == i &&
		    strobe_view_thread_index(diff->a, tid) == SIZE_MAX)
			diff->failed = !array_push(ret, (struct pair){tid, SIZE_MAX, i});
	}
	if (ret->count > 1)
		qsort(ret->items, ret->count, sizeof(*ret->items), compare_pairs);
}

void diff_threads(struct strobe_diff *diff)
{
	pair_array pairs = {0};
	collect(diff, &pairs);
	for (size_t i = 0; i < pairs.count && !diff->stopped && !diff->failed; i++) {
		size_t a = pairs.items[i].old_index, b = pairs.items[i].new_index;
		compare_thread(diff, a == SIZE_MAX ? NULL : strobe_view_thread(diff->a, a),
			       b == SIZE_MAX ? NULL : strobe_view_thread(diff->b, b));
	}
	array_fini(&pairs);
}

static bool same_register(const struct strobe_register *a, const struct strobe_register *b)
{
	return a->size_bytes == b->size_bytes && memcmp(a->bytes, b->bytes, a->size_bytes) == 0;
}

static void report_register(struct strobe_diff *diff, int tid, const struct strobe_register *a,
			    const struct strobe_register *b)
{
	struct strobe_diff_item item = {
		.section = STROBE_DIFF_REGISTERS,
		.change = !a   ? STROBE_DIFF_ADDED
			  : !b ? STROBE_DIFF_REMOVED
			       : STROBE_DIFF_CHANGED,
	};
	item.of.reg.tid = tid;
	item.of.reg.old_register = a ? *a : *b;
	item.of.reg.new_register = b ? *b : *a;
	if (!a)
		item.of.reg.old_register.bytes = NULL;
	if (!b)
		item.of.reg.new_register.bytes = NULL;
	diff->totals.registers++;
	diff_report(diff, &item);
}

/** The register called `name`: usually the one at `index`, as both views list them alike. */
static bool find_register(const struct strobe_view *view, size_t thread, size_t index,
			  const char *name, struct strobe_register *ret)
{
	if (index < strobe_view_register_count(view, thread)) {
		strobe_view_register(view, thread, index, ret);
		if (strcmp(ret->name, name) == 0)
			return true;
	}
	return strobe_view_register_by_name(view, thread, name, ret);
}

static void compare_registers(struct strobe_diff *diff, const struct pair *pair)
{
	size_t count = strobe_view_register_count(diff->a, pair->old_index);
	for (size_t i = 0; i < count && !diff->stopped; i++) {
		struct strobe_register a, b;
		strobe_view_register(diff->a, pair->old_index, i, &a);
		if (!find_register(diff->b, pair->new_index, i, a.name, &b))
			report_register(diff, pair->tid, &a, NULL);
		else if (!same_register(&a, &b))
			report_register(diff, pair->tid, &a, &b);
	}
	count = strobe_view_register_count(diff->b, pair->new_index);
	for (size_t i = 0; i < count && !diff->stopped; i++) {
		struct strobe_register a, b;
		strobe_view_register(diff->b, pair->new_index, i, &b);
		if (!find_register(diff->a, pair->old_index, i, b.name, &a))
			report_register(diff, pair->tid, NULL, &b);
	}
}

void diff_registers(struct strobe_diff *diff)
{
	pair_array pairs = {0};
	collect(diff, &pairs);
	for (size_t i = 0; i < pairs.count && !diff->stopped && !diff->failed; i++)
		if (pairs.items[i].old_index != SIZE_MAX && pairs.items[i].new_index != SIZE_MAX)
			compare_registers(diff, &pairs.items[i]);
	array_fini(&pairs);
}
