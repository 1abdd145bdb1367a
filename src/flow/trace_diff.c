// SPDX-License-Identifier: Apache-2.0
// Two executions step by step. Where they part, windows of steps ahead are hashed to find the place
// nearest to both where they are equal again.

#include <stdlib.h>
#include <strobe/cursor.h>
#include <strobe/trace_diff.h>
#include <string.h>

#include "base/error.h"
#include "flow/step_stream.h"

enum {
	DEFAULT_LOOK_AHEAD = 1 << 16,
	DEFAULT_WINDOW = 32,
	DEFAULT_WINDOW_OF_CALLS = 8,
	WINDOW_LIMIT = 1 << 16,
	FIRST_LOOK_AHEAD = 256,
};
#define HASH_FACTOR UINT64_C(0x9e3779b97f4a7c15)
// Stands for the end of a side: two ends are equal.
#define END_STEP UINT64_C(0xd6e8feb86659fd93)

/** Where a window of B's begins, by its hash. */
struct slot {
	uint64_t hash;
	uint32_t index; // + 1; 0 = empty
};

struct strobe_trace_diff {
	struct step_stream sides[2];
	struct step last[2]; // the last common ones
	bool has_last, done;
	uint32_t look_ahead, window;
	struct strobe_trace_diff_totals totals;
	struct slot *slots;
	size_t slot_count; // a power of two
};

struct strobe_trace_diff *strobe_trace_diff_close(struct strobe_trace_diff *diff)
{
	if (!diff)
		return NULL;
	step_stream_fini(&diff->sides[0]);
	step_stream_fini(&diff->sides[1]);
	free(diff->slots);
	free(diff);
	return NULL;
}

static struct strobe_error *check_options(struct strobe_trace_diff *diff,
					  const struct strobe_trace_diff_options *options)
{
	uint32_t window = options->functions ? DEFAULT_WINDOW_OF_CALLS : DEFAULT_WINDOW;
	diff->window = options->window ? options->window : window;
	diff->look_ahead = options->look_ahead ? options->look_ahead : DEFAULT_LOOK_AHEAD;
	if (diff->window > WINDOW_LIMIT)
		return error_new(STROBE_ERROR_LIMIT, "a window of more than %d steps",
				 WINDOW_LIMIT);
	if (diff->look_ahead > STROBE_TRACE_DIFF_LOOK_AHEAD_LIMIT)
		return error_new(STROBE_ERROR_LIMIT, "a look-ahead of more than %d steps",
				 STROBE_TRACE_DIFF_LOOK_AHEAD_LIMIT);
	return NULL;
}

struct strobe_error *strobe_trace_diff_open(const struct strobe_trace_side *a,
					    const struct strobe_trace_side *b,
					    const struct strobe_trace_diff_options *options,
					    struct strobe_trace_diff **ret)
{
	struct strobe_trace_diff_options wanted = {0};
	if (options)
		memcpy(&wanted, options,
		       options->size < sizeof(wanted) ? options->size : sizeof(wanted));
	struct strobe_trace_diff *diff = calloc(1, sizeof(*diff));
	if (!diff)
		return error_no_memory();
	struct step_options steps = {.functions = wanted.functions, .events = wanted.events};
	struct strobe_error *error = check_options(diff, &wanted);
	if (!error)
		error = step_stream_init(&diff->sides[0], a, &steps);
	if (!error)
		error = step_stream_init(&diff->sides[1], b, &steps);
	if (error)
		strobe_trace_diff_close(diff);
	else
		*ret = diff;
	return error;
}

static struct strobe_trace_diff_place place_of(const struct step *step)
{
	struct strobe_trace_diff_place place = {.id = STROBE_NO_ID};
	if (step) {
		place.id = step->id;
		place.address = step->address;
	}
	return place;
}

/** Steps of one side that lie ahead, followed by the end if it is among them. */
struct stretch {
	const struct step *steps;
	size_t count;
	bool ended;
	size_t size; // how many windows begin in it
};

static uint64_t what_at(const struct stretch *stretch, size_t index)
{
	return index < stretch->count ? stretch->steps[index].what : END_STEP;
}

// What comes in at the right weighs 1, what goes out at the left HASH_FACTOR to the window's size.
static uint64_t roll(uint64_t hash, uint64_t in, uint64_t out, uint64_t weight)
{
	in *= UINT64_C(0xff51afd7ed558ccd);
	out *= UINT64_C(0xff51afd7ed558ccd);
	return hash * HASH_FACTOR + (in ^ in >> 32) - weight * (out ^ out >> 32);
}

static uint64_t weight_of(uint32_t window)
{
	uint64_t weight = 1;
	for (uint32_t i = 0; i < window; i++)
		weight *= HASH_FACTOR;
	return weight;
}

static uint64_t first_hash(const struct stretch *stretch, uint32_t window)
{
	uint64_t hash = 0;
	for (uint32_t i = 0; i < window; i++)
		hash = roll(hash, what_at(stretch, i), 0, 0);
	return hash;
}

static struct stretch look(struct step_stream *side, size_t count, uint32_t window)
{
	struct stretch stretch = {0};
	stretch.steps = step_stream_ahead(side, &stretch.count);
	if (stretch.count > count)
		stretch.count = count;
	else
		stretch.ended = stretch.count < count;
	if (stretch.ended)
		stretch.size = stretch.count + 1;
	else
		stretch.size = stretch.count >= window ? stretch.count - window + 1 : 0;
	return stretch;
}

static struct slot *slot_of(struct strobe_trace_diff *diff, uint64_t hash)
{
	size_t mask = diff->slot_count - 1;
	size_t at = (hash ^ hash >> 29) & mask;
	while (diff->slots[at].index && diff->slots[at].hash != hash)
		at = (at + 1) & mask;
	return &diff->slots[at];
}

static struct strobe_error *make_slots(struct strobe_trace_diff *diff,
				       const struct stretch *stretch)
{
	size_t needed = 64;
	while (needed < stretch->size * 2)
		needed *= 2;
	if (needed > diff->slot_count) {
		free(diff->slots);
		diff->slots = malloc(needed * sizeof(struct slot));
		diff->slot_count = diff->slots ? needed : 0;
		if (!diff->slots)
			return error_no_memory();
	}
	memset(diff->slots, 0, diff->slot_count * sizeof(struct slot));
	uint64_t weight = weight_of(diff->window);
	uint64_t hash = stretch->size ? first_hash(stretch, diff->window) : 0;
	for (size_t i = 0; i < stretch->size; i++) {
		struct slot *slot = slot_of(diff, hash);
		if (!slot->index) // the first of equals is the nearest
			*slot = (struct slot){hash, (uint32_t)i + 1};
		hash = roll(hash, what_at(stretch, i + diff->window), what_at(stretch, i), weight);
	}
	return NULL;
}

static bool is_equal(const struct stretch *a, size_t i, const struct stretch *b, size_t j,
		     uint32_t window)
{
	for (uint32_t n = 0; n < window; n++) {
		if (what_at(a, i + n) != what_at(b, j + n))
			return false;
	}
	return true;
}

/** The windows that are equal and nearest: the fewest steps of both before them. */
static bool find_meeting(struct strobe_trace_diff *diff, const struct stretch *a,
			 const struct stretch *b, size_t ret[2])
{
	uint64_t weight = weight_of(diff->window);
	uint64_t hash = a->size ? first_hash(a, diff->window) : 0;
	size_t best = SIZE_MAX;
	for (size_t i = 0; i < a->size && i < best; i++) {
		const struct slot *slot = slot_of(diff, hash);
		size_t j = slot->index ? slot->index - 1 : 0;
		if (slot->index && i + j < best && is_equal(a, i, b, j, diff->window)) {
			best = i + j;
			ret[0] = i;
			ret[1] = j;
		}
		hash = roll(hash, what_at(a, i + diff->window), what_at(a, i), weight);
	}
	return best != SIZE_MAX;
}

/** Looks ever farther ahead until a meeting is found that none farther away can beat. */
static struct strobe_error *meet(struct strobe_trace_diff *diff, size_t ret[2], bool *met)
{
	for (size_t ahead = FIRST_LOOK_AHEAD;; ahead *= 4) {
		bool last = ahead >= diff->look_ahead;
		size_t count = (last ? diff->look_ahead : ahead) + diff->window;
		if (!step_stream_look_ahead(&diff->sides[0], count) ||
		    !step_stream_look_ahead(&diff->sides[1], count))
			return error_no_memory();
		struct stretch a = look(&diff->sides[0], count, diff->window);
		struct stretch b = look(&diff->sides[1], count, diff->window);
		struct strobe_error *error = make_slots(diff, &b);
		if (error)
			return error;
		*met = find_meeting(diff, &a, &b, ret);
		if (last || (a.ended && b.ended) || (*met && ret[0] + ret[1] <= count))
			return NULL;
	}
}

static struct strobe_error *describe(struct strobe_trace_diff *diff, uint64_t common,
				     struct strobe_trace_difference *ret)
{
	size_t skipped[2] = {0, 0};
	*ret = (struct strobe_trace_difference){.common = common};
	struct strobe_error *error = meet(diff, skipped, &ret->met);
	if (error)
		return error;
	for (int i = 0; i < 2; i++) {
		size_t count;
		const struct step *ahead = step_stream_ahead(&diff->sides[i], &count);
		ret->last[i] = place_of(diff->has_last ? &diff->last[i] : NULL);
		ret->first[i] = place_of(count ? &ahead[0] : NULL);
		ret->count[i] = ret->met ? skipped[i] : count;
		ret->again[i] =
			place_of(ret->met && skipped[i] < count ? &ahead[skipped[i]] : NULL);
		diff->totals.only[i] += ret->count[i];
		step_stream_drop(&diff->sides[i], ret->count[i]);
	}
	diff->totals.differences++;
	diff->done = !ret->met;
	return NULL;
}

/** Takes equal steps; false when both have ended, true where they differ: that is ahead of both. */
static struct strobe_error *take_equal(struct strobe_trace_diff *diff, uint64_t *common,
				       bool *differ)
{
	struct step_stream *a = &diff->sides[0], *b = &diff->sides[1];
	for (;;) {
		uint32_t skipped = step_stream_skip_equal(a, b, diff->last);
		*common += skipped;
		diff->has_last |= skipped > 0;
		if (skipped)
			continue;
		if (!step_stream_look_ahead(a, 1) || !step_stream_look_ahead(b, 1))
			return error_no_memory();
		size_t count_a, count_b;
		const struct step *next_a = step_stream_ahead(a, &count_a);
		const struct step *next_b = step_stream_ahead(b, &count_b);
		*differ = count_a && count_b ? next_a->what != next_b->what : count_a || count_b;
		if (*differ || !count_a)
			return NULL;
		diff->last[0] = *next_a;
		diff->last[1] = *next_b;
		diff->has_last = true;
		++*common;
		step_stream_drop(a, 1);
		step_stream_drop(b, 1);
	}
}

struct strobe_error *strobe_trace_diff_next(struct strobe_trace_diff *diff,
					    struct strobe_trace_difference *ret, bool *ret_found)
{
	uint64_t common = 0;
	*ret_found = false;
	if (diff->done)
		return NULL;
	struct strobe_error *error = take_equal(diff, &common, ret_found);
	diff->totals.common += common;
	if (error)
		return error;
	if (!*ret_found) {
		diff->done = diff->totals.complete = true;
		return NULL;
	}
	return describe(diff, common, ret);
}

const struct strobe_trace_diff_totals *
strobe_trace_diff_totals(const struct strobe_trace_diff *diff)
{
	return &diff->totals;
}
