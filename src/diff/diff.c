// SPDX-License-Identifier: Apache-2.0
#include "diff/diff.h"

#include <elf.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

bool diff_report(struct strobe_diff *diff, const struct strobe_diff_item *item)
{
	if (!diff->stopped && !diff->visit(diff->context, item))
		diff->stopped = true;
	return !diff->stopped;
}

bool diff_wants(const struct strobe_diff *diff, int tid)
{
	return !diff->options.tid || diff->options.tid == tid;
}

bool diff_same_text(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

/** The build id of the main program; NULL if unknown. */
static const char *program_id(const struct strobe_view *view)
{
	uint64_t type, value;
	for (size_t i = 0; strobe_view_auxv(view, i, &type, &value); i++) {
		size_t index = type == AT_ENTRY ? strobe_view_module_at(view, value) : SIZE_MAX;
		if (index != SIZE_MAX)
			return strobe_view_module(view, index)->build_id;
	}
	return NULL;
}

static void find_sameness(struct strobe_diff *diff)
{
	const struct strobe_process_info *a = strobe_view_process_info(diff->a);
	const struct strobe_process_info *b = strobe_view_process_info(diff->b);
	const char *left = program_id(diff->a), *right = program_id(diff->b);
	if (left && right)
		diff->totals.same_program = strcmp(left, right) == 0;
	else
		diff->totals.same_program = diff_same_text(a->executable, b->executable) &&
					    diff_same_text(a->name, b->name);
	diff->totals.same_process = diff->totals.same_program && a->pid == b->pid;
}

struct strobe_error *strobe_diff_open(struct strobe_symbols *a, struct strobe_symbols *b,
				      const struct strobe_diff_options *options,
				      struct strobe_diff **ret)
{
	struct strobe_diff_options given = {.size = sizeof(given)};
	if (options) // a caller of an older version has a shorter one
		memcpy(&given, options,
		       options->size < sizeof(given) ? options->size : sizeof(given));
	if (given.end && given.end <= given.start)
		return error_new(STROBE_ERROR_INVALID, "an empty range: 0x%llx to 0x%llx",
				 (unsigned long long)given.start, (unsigned long long)given.end);
	struct strobe_diff *diff = calloc(1, sizeof(*diff));
	if (!diff)
		return error_no_memory();
	diff->old_symbols = a;
	diff->new_symbols = b;
	diff->a = strobe_symbols_view(a);
	diff->b = strobe_symbols_view(b);
	diff->options = given;
	diff->last = given.end - 1;
	if (!compare_init(&diff->compare, diff->a, diff->b)) {
		strobe_diff_close(diff);
		return error_no_memory();
	}
	find_sameness(diff);
	diff->totals.old_threads = strobe_view_thread_count(diff->a);
	diff->totals.new_threads = strobe_view_thread_count(diff->b);
	*ret = diff;
	return NULL;
}

struct strobe_diff *strobe_diff_close(struct strobe_diff *diff)
{
	if (!diff)
		return NULL;
	places_free(diff->places);
	compare_fini(&diff->compare);
	free(diff);
	return NULL;
}

struct strobe_error *strobe_diff_run(struct strobe_diff *diff, unsigned sections,
				     strobe_diff_visit visit, void *context, bool *stopped)
{
	static void (*const steps[])(struct strobe_diff *) = {
		diff_process,	  diff_threads, diff_registers, diff_mappings,
		diff_descriptors, diff_memory,	diff_globals,
	};
	if (sections & diff->done || sections & ~(unsigned)STROBE_DIFF_ALL)
		return error_new(STROBE_ERROR_INVALID,
				 "sections 0x%x: unknown, or run before (0x%x)", sections,
				 diff->done);
	diff->visit = visit;
	diff->context = context;
	diff->stopped = diff->failed = false;
	for (unsigned i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		if (!(sections >> i & 1) || diff->stopped || diff->failed)
			continue;
		diff->done |= 1u << i;
		steps[i](diff);
	}
	if (stopped)
		*stopped = diff->stopped;
	return diff->failed ? error_no_memory() : NULL;
}

const struct strobe_diff_totals *strobe_diff_totals(const struct strobe_diff *diff)
{
	return &diff->totals;
}
