// SPDX-License-Identifier: Apache-2.0
#include "flow/site_map.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "symbols/code_sites.h"

struct build {
	struct site_map *map;
	struct strobe_symbols *symbols;
	struct hash by_origin; // unit and origin -> function + 1
	struct hash by_name;   // name, file, line -> function + 1
	ARRAY(struct site_segment) ranges;
	ARRAY(struct site_segment) open; // while ranges are made segments: those around
	bool failed;
};

void site_map_fini(struct site_map *map)
{
	array_fini(&map->sites);
	array_fini(&map->functions);
	array_fini(&map->segments);
}

static bool is_same(const struct site_function *function, const struct strobe_function *other)
{
	if (function->line != other->line || !function->file != !other->file)
		return false;
	return strcmp(function->name, other->name) == 0 &&
	       (!other->file || strcmp(function->file, other->file) == 0);
}

/** Index of the function, which is added if it is new; SITE_NONE when memory is short. */
static uint32_t intern(struct build *build, const struct strobe_function *function)
{
	struct site_map *map = build->map;
	uint64_t key = hash_bytes(function->name, strlen(function->name)) ^ function->line;
	void *known;
	if (function->file)
		key ^= hash_bytes(function->file, strlen(function->file)) * 31;
	for (; (known = hash_get(&build->by_name, key)); key++) {
		if (is_same(&map->functions.items[(uintptr_t)known - 1], function))
			return (uint32_t)((uintptr_t)known - 1);
	}
	struct site_function added = {function->name, function->file, function->line};
	if (map->functions.count >= SITE_NONE - 1 || !array_push(&map->functions, added) ||
	    !hash_put(&build->by_name, key, (void *)(uintptr_t)map->functions.count))
		return SITE_NONE;
	return (uint32_t)map->functions.count - 1;
}

static uint32_t function_of(struct build *build, const struct code_site *site)
{
	uint64_t key = ((uint64_t)(uintptr_t)site->unit << 20) ^ site->origin;
	bool has_key = site->origin != UINT64_MAX;
	void *known = has_key ? hash_get(&build->by_origin, key) : NULL;
	if (known)
		return (uint32_t)((uintptr_t)known - 1);
	struct strobe_function function;
	code_site_function(build->symbols, site, &function);
	uint32_t index = intern(build, &function);
	if (index != SITE_NONE && has_key)
		build->failed |= !hash_put(&build->by_origin, key, (void *)((uintptr_t)index + 1));
	return index;
}

static bool add_site(void *context, const struct code_site *code)
{
	struct build *build = context;
	struct site site = {.entry = code->entry,
			    .function = function_of(build, code),
			    .inlined = code->inlined};
	uint32_t index = (uint32_t)build->map->sites.count;
	build->failed |= site.function == SITE_NONE || index == SITE_NONE ||
			 !array_push(&build->map->sites, site);
	for (size_t i = 0; i < code->range_count && !build->failed; i++) {
		struct site_segment range = {code->ranges[i].start, code->ranges[i].end, index};
		build->failed |= !array_push(&build->ranges, range);
	}
	return !build->failed;
}

// Wider ones first, and of equals the outer one: sites are visited outermost first.
static int compare(const void *a, const void *b)
{
	const struct site_segment *x = a, *y = b;
	if (x->start != y->start)
		return x->start < y->start ? -1 : 1;
	if (x->end != y->end)
		return x->end > y->end ? -1 : 1;
	return x->site < y->site ? -1 : x->site > y->site;
}

static bool emit(struct build *build, uint64_t start, uint64_t end, uint32_t site)
{
	struct site_segment segment = {start, end, site};
	return start >= end || array_push(&build->map->segments, segment);
}

// Ends open ranges up to `until`; what the innermost one covers from `*at` on is its own.
static bool close_until(struct build *build, uint64_t *at, uint64_t until)
{
	while (build->open.count) {
		const struct site_segment *top = &build->open.items[build->open.count - 1];
		uint64_t end = top->end < until ? top->end : until;
		if (!emit(build, *at, end, top->site))
			return false;
		*at = end > *at ? end : *at;
		if (top->end > until)
			return true;
		build->open.count--;
	}
	*at = until;
	return true;
}

static bool make_segments(struct build *build)
{
	uint64_t at = 0;
	if (build->ranges.count)
		qsort(build->ranges.items, build->ranges.count, sizeof(struct site_segment),
		      compare);
	for (size_t i = 0; i < build->ranges.count; i++) {
		const struct site_segment *range = &build->ranges.items[i];
		if (!close_until(build, &at, range->start) || !array_push(&build->open, *range))
			return false;
	}
	return close_until(build, &at, UINT64_MAX);
}

struct strobe_error *site_map_make(struct site_map *map, struct strobe_symbols *symbols)
{
	struct build build = {.map = map, .symbols = symbols};
	struct strobe_error *error = code_sites_for_each(symbols, NULL, add_site, &build);
	if (!error && (build.failed || !make_segments(&build)))
		error = error_no_memory();
	hash_fini(&build.by_origin);
	hash_fini(&build.by_name);
	array_fini(&build.ranges);
	array_fini(&build.open);
	return error;
}

uint32_t site_map_at(const struct site_map *map, uint64_t address)
{
	size_t low = 0, high = map->segments.count;
	while (low < high) { // the first that starts behind `address`
		size_t middle = low + (high - low) / 2;
		if (map->segments.items[middle].start <= address)
			low = middle + 1;
		else
			high = middle;
	}
	if (!low || address >= map->segments.items[low - 1].end)
		return SITE_NONE;
	return map->segments.items[low - 1].site;
}
