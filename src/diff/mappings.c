// SPDX-License-Identifier: Apache-2.0
// Mappings: address space is cut where either list has a border, each stretch is judged by itself,
// and neighbours that changed alike are one change. So a mapping that mprotect(2) split in three is
// one change of permissions, not one mapping gone and three come.

#include <string.h>

#include "diff/diff.h"

/** Named limits: pairs looked at for what moved; how much of anonymous memory must be equal. */
enum { MOVED_PAIR_LIMIT = 1 << 20, SAMPLE_SIZE = 4096, SAMPLE_COUNT = 3 };

enum { CODE_BITS = STROBE_PERMISSION_READ | STROBE_PERMISSION_WRITE | STROBE_PERMISSION_EXECUTE };

/** A change: of the stretch, between these mappings (NULL = none). */
struct stretch {
	enum strobe_diff_change change;
	uint64_t start, end;
	const struct strobe_mapping *a, *b;
	uint64_t old_start, old_end; // of what moved: where it was
	bool paired;		     // told with another one
};

struct changes {
	struct strobe_diff *diff;
	ARRAY(struct stretch) list;
	bool shared_known; // both sources tell which mappings are shared
};

static bool is_file(const struct strobe_mapping *mapping)
{
	return mapping->path && mapping->path[0] != '[';
}

/** True if both are the same memory as far as their names go, at distance `shift`. */
static bool same_backing(const struct strobe_mapping *a, const struct strobe_mapping *b,
			 uint64_t shift)
{
	if (is_file(a) || is_file(b))
		return is_file(a) && is_file(b) && strcmp(a->path, b->path) == 0 &&
		       a->offset_bytes - a->start == b->offset_bytes - b->start + shift;
	// A source may not know what a mapping is called.
	return !a->path || !b->path || strcmp(a->path, b->path) == 0;
}

static bool same_permissions(const struct changes *changes, const struct strobe_mapping *a,
			     const struct strobe_mapping *b)
{
	unsigned bits = CODE_BITS | (changes->shared_known ? STROBE_PERMISSION_SHARED : 0);
	return (a->permissions & bits) == (b->permissions & bits);
}

/** Continues the change before, if it is alike; else begins one. */
static void add(struct changes *changes, enum strobe_diff_change change, uint64_t start,
		uint64_t end, const struct strobe_mapping *a, const struct strobe_mapping *b)
{
	struct stretch *last =
		changes->list.count ? &changes->list.items[changes->list.count - 1] : NULL;
	if (last && last->end == start && last->change == change && last->a == a && last->b == b) {
		last->end = end;
		return;
	}
	struct stretch stretch = {.change = change, .start = start, .end = end, .a = a, .b = b};
	if (!array_push(&changes->list, stretch))
		changes->diff->failed = true;
}

static void judge(struct changes *changes, uint64_t start, uint64_t end,
		  const struct strobe_mapping *a, const struct strobe_mapping *b)
{
	if (!a)
		add(changes, STROBE_DIFF_ADDED, start, end, a, b);
	else if (!b)
		add(changes, STROBE_DIFF_REMOVED, start, end, a, b);
	else if (!same_backing(a, b, 0))
		add(changes, STROBE_DIFF_REPLACED, start, end, a, b);
	else if (!same_permissions(changes, a, b))
		add(changes, STROBE_DIFF_PERMISSIONS, start, end, a, b);
}

static uint64_t border(const struct strobe_mapping *mapping, uint64_t at, uint64_t end)
{
	uint64_t next = !mapping ? UINT64_MAX : mapping->start > at ? mapping->start : mapping->end;
	return next < end ? next : end;
}

static void sweep(struct changes *changes)
{
	const struct strobe_view *left = changes->diff->a, *right = changes->diff->b;
	size_t i = 0, j = 0;
	for (uint64_t at = 0; !changes->diff->failed;) {
		const struct strobe_mapping *a, *b;
		while ((a = strobe_view_mapping(left, i)) && a->end <= at)
			i++;
		while ((b = strobe_view_mapping(right, j)) && b->end <= at)
			j++;
		if (!a && !b)
			return;
		uint64_t end = border(a, at, border(b, at, UINT64_MAX));
		bool in_a = a && a->start <= at, in_b = b && b->start <= at;
		if (in_a || in_b)
			judge(changes, at, end, in_a ? a : NULL, in_b ? b : NULL);
		at = end;
	}
}

/** The mapping of `view` that is the same memory as `mapping` and touches [start, end). */
static const struct strobe_mapping *neighbour(const struct strobe_view *view,
					      const struct strobe_mapping *mapping, uint64_t start,
					      uint64_t end)
{
	const struct strobe_mapping *other = NULL;
	if (mapping->start < start)
		other = strobe_view_mapping_at(view, start - 1);
	if ((!other || !same_backing(other, mapping, 0)) && mapping->end > end)
		other = strobe_view_mapping_at(view, end);
	return other && same_backing(other, mapping, 0) ? other : NULL;
}

/** What came or went at the edge of what is in both: that grew or shrank. */
static void find_grown(struct changes *changes)
{
	for (size_t i = 0; i < changes->list.count; i++) {
		struct stretch *stretch = &changes->list.items[i];
		const struct strobe_mapping *other = NULL;
		if (stretch->change == STROBE_DIFF_ADDED) {
			other = neighbour(changes->diff->a, stretch->b, stretch->start,
					  stretch->end);
			stretch->a = other;
			stretch->change = other ? STROBE_DIFF_GROWN : STROBE_DIFF_ADDED;
		} else if (stretch->change == STROBE_DIFF_REMOVED) {
			other = neighbour(changes->diff->b, stretch->a, stretch->start,
					  stretch->end);
			stretch->b = other;
			stretch->change = other ? STROBE_DIFF_SHRUNK : STROBE_DIFF_REMOVED;
		}
	}
}

static bool equal_sample(struct strobe_diff *diff, uint64_t a, uint64_t b, bool *telling,
			 bool *filled)
{
	uint8_t left[SAMPLE_SIZE], right[SAMPLE_SIZE];
	if (strobe_memory_read(diff->a, a, left, SAMPLE_SIZE) != SAMPLE_SIZE ||
	    strobe_memory_read(diff->b, b, right, SAMPLE_SIZE) != SAMPLE_SIZE ||
	    memcmp(left, right, SAMPLE_SIZE) != 0)
		return false;
	*filled |= left[0] != 0;
	*telling |= memcmp(left, left + 1, SAMPLE_SIZE - 1) != 0;
	return true;
}

/**
 * Anonymous memory has no name: it moved if what it holds did, at three places at least. What is
 * all zero tells nothing; what is filled with one byte is believed where nothing else explains it.
 */
static bool same_contents(struct strobe_diff *diff, const struct stretch *old,
			  const struct stretch *new, uint64_t size)
{
	bool telling = false, filled = false;
	if (size < SAMPLE_SIZE)
		return false;
	for (unsigned i = 0; i < SAMPLE_COUNT; i++) {
		uint64_t offset = (size - SAMPLE_SIZE) / (SAMPLE_COUNT - 1) * i;
		if (!equal_sample(diff, old->start + offset, new->start + offset, &telling,
				  &filled))
			return false;
	}
	return telling || (filled && new->change == STROBE_DIFF_ADDED);
}

/** What is left of A, or was: `old` is a stretch of it, [start, end) one of B that came. The special
 *  mappings "[heap]", "[stack]", "[vdso]" are known by their names, files by what is mapped of them,
 *  the rest by what it holds. */
static bool has_moved(struct changes *changes, const struct stretch *old, const struct stretch *new,
		      uint64_t end)
{
	const struct strobe_mapping *a = old->a, *b = new->b;
	uint64_t old_size = old->end - old->start, new_size = end - new->start;
	if (is_file(a) || is_file(b))
		return same_backing(a, b, new->start - old->start) &&
		       same_permissions(changes, a, b) && old_size == new->end - new->start;
	if (a->path && b->path)
		return strcmp(a->path, b->path) == 0 && strncmp(a->path, "[anon", 5) != 0;
	return !a->path && !b->path &&
	       same_contents(changes->diff, old, new, old_size < new_size ? old_size : new_size);
}

static bool has_come(const struct stretch *stretch)
{
	return !stretch->paired &&
	       (stretch->change == STROBE_DIFF_ADDED || stretch->change == STROBE_DIFF_GROWN);
}

/** Where the stretches that came, one behind the other, end: mprotect(2) may have split them. */
static uint64_t end_of_row(const struct changes *changes, size_t first)
{
	const struct stretch *items = changes->list.items;
	size_t i = first;
	while (i + 1 < changes->list.count && has_come(&items[i + 1]) &&
	       items[i + 1].start == items[i].end && !is_file(items[i + 1].b))
		i++;
	return items[i].end;
}

static void pair(struct changes *changes, struct stretch *old, size_t first)
{
	struct stretch *items = changes->list.items;
	uint64_t shift = items[first].start - old->start;
	uint64_t end = items[first].end;
	old->paired = true;
	for (size_t i = first; i < changes->list.count; i++) {
		uint64_t old_start = items[i].start - shift;
		if (i > first && (!has_come(&items[i]) || items[i].start != end ||
				  old_start >= old->end || is_file(items[i].b)))
			break;
		end = items[i].end;
		items[i].change = STROBE_DIFF_MOVED;
		items[i].a = old->a;
		items[i].old_start = old_start;
		items[i].old_end = end - shift < old->end ? end - shift : old->end;
	}
}

static void find_moved(struct changes *changes)
{
	size_t pairs = 0, count = changes->list.count;
	struct stretch *items = changes->list.items;
	for (size_t i = 0; i < count; i++) {
		if (items[i].change != STROBE_DIFF_REMOVED && items[i].change != STROBE_DIFF_SHRUNK)
			continue;
		for (size_t j = 0; j < count && pairs < MOVED_PAIR_LIMIT; j++) {
			if (!has_come(&items[j]))
				continue;
			pairs++;
			if (!has_moved(changes, &items[i], &items[j], end_of_row(changes, j)))
				continue;
			pair(changes, &items[i], j);
			break;
		}
	}
}

static void report(struct strobe_diff *diff, const struct stretch *stretch)
{
	struct strobe_diff_item item = {.section = STROBE_DIFF_MAPPINGS, .change = stretch->change};
	item.of.mapping = (struct strobe_diff_mapping){.start = stretch->start,
						       .end = stretch->end,
						       .old_mapping = stretch->a,
						       .new_mapping = stretch->b,
						       .old_start = stretch->old_start,
						       .old_end = stretch->old_end};
	if (stretch->change == STROBE_DIFF_ADDED)
		diff->totals.mappings_added++;
	else if (stretch->change == STROBE_DIFF_REMOVED)
		diff->totals.mappings_removed++;
	else
		diff->totals.mappings_changed++;
	diff_report(diff, &item);
}

void diff_mappings(struct strobe_diff *diff)
{
	struct changes changes = {
		.diff = diff,
		.shared_known = diff_same_text(strobe_view_process_info(diff->a)->source_maker,
					       strobe_view_process_info(diff->b)->source_maker),
	};
	sweep(&changes);
	find_grown(&changes);
	find_moved(&changes);
	for (size_t i = 0; i < changes.list.count && !diff->stopped; i++)
		if (!changes.list.items[i].paired)
			report(diff, &changes.list.items[i]);
	array_fini(&changes.list);
}
