// SPDX-License-Identifier: Apache-2.0
// Pages and byte ranges that differ, where both views have a mapping.

#include "diff/diff.h"

/** The walk along both lists of mappings. */
struct walk {
	struct strobe_diff *diff;
	const struct strobe_mapping *mapping; // of B, that is being compared
	uint64_t done, total;		      // bytes
};

static bool report_range(void *context, uint64_t start, uint64_t end, uint64_t changed_bytes)
{
	struct walk *walk = context;
	struct strobe_diff_item item = {.section = STROBE_DIFF_MEMORY,
					.change = STROBE_DIFF_CHANGED};
	item.of.range = (struct strobe_diff_range){.start = start,
						   .end = end,
						   .changed_bytes = changed_bytes,
						   .mapping = walk->mapping};
	walk->diff->totals.ranges++;
	return diff_report(walk->diff, &item);
}

static void count(struct strobe_diff_totals *totals, const struct compare_stretch *stretch)
{
	switch (stretch->kind) {
	case COMPARE_BYTES:
		totals->compared_bytes += stretch->size;
		break;
	case COMPARE_EQUAL:
		totals->compared_bytes += stretch->size;
		totals->unread_bytes += stretch->size;
		break;
	case COMPARE_MISSING_A:
		totals->old_missing_bytes += stretch->size;
		break;
	case COMPARE_MISSING_B:
		totals->new_missing_bytes += stretch->size;
		break;
	case COMPARE_MISSING_BOTH:
		totals->both_missing_bytes += stretch->size;
		break;
	}
}

/** [start, end) lies in one mapping of each view. */
static void compare_both(struct walk *walk, struct compare_ranges *ranges, uint64_t start,
			 uint64_t end)
{
	struct strobe_diff *diff = walk->diff;
	const struct strobe_diff_options *options = &diff->options;
	uint64_t at = start;
	while (at < end && !ranges->stopped) {
		struct compare_stretch stretch;
		compare_next(&diff->compare, at, at, end - at, &stretch);
		count(&diff->totals, &stretch);
		if (stretch.kind == COMPARE_BYTES)
			compare_bytes(ranges, at, stretch.a, stretch.b, stretch.size);
		else
			compare_flush(ranges);
		compare_release(&diff->compare, &stretch);
		at += stretch.size;
		walk->done += stretch.size;
		if (options->progress &&
		    !options->progress(options->context, walk->done, walk->total))
			diff->stopped = ranges->stopped = true;
	}
	compare_flush(ranges);
}

/** Called for each stretch that is in one mapping, at most, of each view. */
typedef void (*visit_stretch)(struct walk *walk, struct compare_ranges *ranges, bool in_a,
			      bool in_b, uint64_t start, uint64_t end);

/** Mapping `*index` of the view, or the first after it that ends above `at`; NULL if none. */
static const struct strobe_mapping *from(const struct strobe_view *view, size_t *index, uint64_t at)
{
	const struct strobe_mapping *mapping;
	while ((mapping = strobe_view_mapping(view, *index)) && mapping->end <= at)
		++*index;
	return mapping;
}

static uint64_t cut(uint64_t end, const struct strobe_mapping *mapping, bool inside)
{
	uint64_t limit = !mapping ? UINT64_MAX : inside ? mapping->end : mapping->start;
	return limit < end ? limit : end;
}

static void walk_mappings(struct walk *walk, struct compare_ranges *ranges, visit_stretch visit)
{
	const struct strobe_diff *diff = walk->diff;
	size_t i = 0, j = 0;
	for (uint64_t at = diff->options.start; !diff->stopped;) {
		const struct strobe_mapping *a = from(diff->a, &i, at);
		const struct strobe_mapping *b = from(diff->b, &j, at);
		if (!a && !b)
			break;
		uint64_t first = a && (!b || a->start < b->start) ? a->start : b->start;
		if (at < first)
			at = first;
		if (at > diff->last)
			break;
		bool in_a = a && a->start <= at, in_b = b && b->start <= at;
		uint64_t end = cut(cut(UINT64_MAX, a, in_a), b, in_b);
		if (end - 1 > diff->last)
			end = diff->last + 1;
		walk->mapping = in_b ? b : NULL;
		visit(walk, ranges, in_a, in_b, at, end);
		at = end;
	}
}

static void sum_stretch(struct walk *walk, struct compare_ranges *ranges, bool in_a, bool in_b,
			uint64_t start, uint64_t end)
{
	(void)ranges;
	if (in_a && in_b)
		walk->total += end - start;
}

static void compare_stretch(struct walk *walk, struct compare_ranges *ranges, bool in_a, bool in_b,
			    uint64_t start, uint64_t end)
{
	if (in_a && in_b)
		compare_both(walk, ranges, start, end);
	else if (in_a)
		walk->diff->totals.only_old_bytes += end - start;
	else
		walk->diff->totals.only_new_bytes += end - start;
}

void diff_memory(struct strobe_diff *diff)
{
	struct walk walk = {.diff = diff};
	struct compare_ranges ranges = {.visit = report_range, .context = &walk};
	walk_mappings(&walk, &ranges, sum_stretch);
	walk_mappings(&walk, &ranges, compare_stretch);
	diff->totals.changed_bytes = ranges.changed_bytes;
	diff->totals.changed_pages = ranges.changed_pages;
}
