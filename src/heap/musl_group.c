// SPDX-License-Identifier: Apache-2.0
// musl's meta areas, and the groups that they describe.
#include "heap/musl.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/hash.h"
#include "view/view.h"

enum {
	AREA_HEADER = 24, // check, next, number of descriptions
	DESCRIPTION = 40, // previous, next, memory, two masks, and a word of bits
	DESCRIPTIONS = (MUSL_PAGE - AREA_HEADER) / DESCRIPTION,
	MAX_AREAS = 1 << 22,

};
#define USER_END (UINT64_C(1) << 47)

/** Sizes of the classes, in units. */
static const uint16_t class_units[MUSL_CLASSES] = {
	1,    2,    3,	  4,	5,    6,    7,	  8,	9,    10,   12,	  15,
	18,   20,   25,	  31,	36,   42,   50,	  63,	72,   84,   102,  127,
	146,  170,  204,  255,	292,  340,  409,  511,	584,  682,  818,  1023,
	1169, 1364, 1637, 2047, 2340, 2730, 3276, 4095, 4680, 5460, 6552, 8191};

uint64_t musl_stride(const struct musl_group *group)
{
	if (!group->last && group->map_bytes)
		return group->map_bytes - MUSL_UNIT;
	return (uint64_t)class_units[group->class] * MUSL_UNIT;
}

uint64_t musl_group_end(const struct musl_group *group)
{
	return group->memory + MUSL_UNIT + musl_stride(group) * (group->last + 1U);
}

const struct musl_group *musl_group_at(const struct musl *musl, uint64_t address)
{
	size_t low = 0, high = musl->groups.count;
	while (low < high) {
		size_t middle = (low + high) / 2;
		if (musl->groups.items[middle].memory < address)
			low = middle + 1;
		else
			high = middle;
	}
	return low < musl->groups.count && musl->groups.items[low].memory == address
		       ? &musl->groups.items[low]
		       : NULL;
}

bool musl_area_at(const struct strobe_view *view, uint64_t address, uint64_t secret, uint64_t *next)
{
	uint64_t words[3];
	if (!address || address % MUSL_PAGE || address >= USER_END ||
	    strobe_memory_read(view, address, words, sizeof(words)) != sizeof(words))
		return false;
	*next = words[1];
	return words[0] == secret && (uint32_t)words[2] == DESCRIPTIONS;
}

/** Follows the list from `address` on. */
static struct strobe_error *follow_areas(struct musl *musl, struct hash *seen, uint64_t address)
{
	uint64_t next;
	while (address && !hash_get(seen, address)) {
		if (!musl_area_at(musl->view, address, musl->secret, &next)) {
			heap_damage(musl->heap, address, 0,
				    "musl: expected a meta area, which begins with the secret");
			return NULL;
		}
		if (musl->areas.count == MAX_AREAS)
			return NULL;
		if (!hash_put(seen, address, musl) || !array_push(&musl->areas, address))
			return error_no_memory();
		address = next;
	}
	return NULL;
}

/** Adds the areas in [start, end) that are not known. */
static struct strobe_error *search_run(struct musl *musl, struct hash *seen, uint64_t start,
				       uint64_t end)
{
	uint64_t next;
	for (uint64_t at = (start + MUSL_PAGE - 1) / MUSL_PAGE * MUSL_PAGE; at < end;
	     at += MUSL_PAGE) {
		if (!musl_area_at(musl->view, at, musl->secret, &next) || hash_get(seen, at))
			continue;
		if (musl->areas.count == MAX_AREAS)
			return NULL;
		if (!hash_put(seen, at, musl) || !array_push(&musl->areas, at))
			return error_no_memory();
	}
	return NULL;
}

/** Where the list is damaged, the other areas are found by their secret: they are first in their pages. */
static struct strobe_error *search_areas(struct musl *musl, struct hash *seen)
{
	struct strobe_error *error = NULL;
	for (size_t i = 0; i < strobe_view_mapping_count(musl->view); i++) {
		const struct strobe_mapping *mapping = strobe_view_mapping(musl->view, i);
		struct view_run run;
		if (!(mapping->permissions & STROBE_PERMISSION_WRITE) ||
		    mapping->module_index != SIZE_MAX)
			continue;
		for (uint64_t at = mapping->start; !error && at < mapping->end; at = run.end) {
			view_run_at(musl->view, at, mapping->end, &run);
			if (run.kind == VIEW_RUN_DATA)
				error = search_run(musl, seen, at, run.end);
		}
	}
	return error;
}

/** NULL if the group can be one and its memory agrees. */
static const char *check_group(const struct musl *musl, struct musl_group *group)
{
	uint64_t header[2];
	bool single = group->class == MUSL_NO_CLASS;
	if (group->memory % MUSL_UNIT || group->memory >= USER_END ||
	    group->map_bytes >= USER_END - group->memory)
		return "memory where there can be none";
	if (single ? group->last || !group->map_bytes : group->class >= MUSL_CLASSES)
		return "a size class that does not exist";
	if (group->map_bytes &&
	    (group->memory % MUSL_PAGE || musl_group_end(group) > group->memory + group->map_bytes))
		return "slots that are larger than its mapping";
	if (strobe_memory_read(musl->view, group->memory, header, sizeof(header)) != sizeof(header))
		return "memory that cannot be read";
	if (header[0] != group->description)
		return "memory that does not point back";
	group->active = header[1] & 31;
	return NULL;
}

static struct strobe_error *add_group(struct musl *musl, uint64_t description,
				      const uint64_t words[DESCRIPTION / 8])
{
	if (!words[2]) // not in use
		return NULL;
	uint64_t bits = words[4];
	struct musl_group group = {
		.memory = words[2],
		.description = description,
		.map_bytes = (bits >> 12) * MUSL_PAGE,
		.free_mask = (uint32_t)words[3] | (uint32_t)(words[3] >> 32),
		.last = bits & 31,
		.freeable = bits >> 5 & 1,
		.class = bits >> 6 & 63,
	};
	const char *why = bits >> 48 ? "a mapping that is larger than memory" : NULL;
	if (!why)
		why = check_group(musl, &group);
	if (why)
		heap_damage(musl->heap, description, 0, "musl: expected a group, found one with %s",
			    why);
	else if (!array_push(&musl->groups, group))
		return error_no_memory();
	return NULL;
}

static struct strobe_error *read_area(struct musl *musl, uint64_t address)
{
	uint64_t words[DESCRIPTIONS * DESCRIPTION / 8] = {0};
	size_t got = strobe_memory_read(musl->view, address + AREA_HEADER, words, sizeof(words));
	for (size_t i = 0; i < got / DESCRIPTION; i++) {
		struct strobe_error *error =
			add_group(musl, address + AREA_HEADER + i * DESCRIPTION,
				  &words[i * (DESCRIPTION / 8)]);
		if (error)
			return error;
	}
	return NULL;
}

static int compare_addresses(const void *a, const void *b)
{
	uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
	return left < right ? -1 : left > right;
}

/** By memory; a pointer back leads to one description only, so no two are equal. */
static int compare_groups(const void *a, const void *b)
{
	const struct musl_group *left = a, *right = b;
	return left->memory < right->memory ? -1 : left->memory > right->memory;
}

struct strobe_error *musl_read_groups(struct musl *musl)
{
	enum { HEAD = 56, TAIL = 64 };
	struct hash seen = {0};
	uint64_t head = 0, tail = 0;
	view_read_unsigned(musl->view, musl->context + HEAD, 8, &head);
	view_read_unsigned(musl->view, musl->context + TAIL, 8, &tail);
	struct strobe_error *error = follow_areas(musl, &seen, head);
	if (!error && !hash_get(&seen, tail))
		error = search_areas(musl, &seen);
	hash_fini(&seen);
	if (!error && musl->areas.count)
		qsort(musl->areas.items, musl->areas.count, sizeof(*musl->areas.items),
		      compare_addresses);
	for (size_t i = 0; !error && i < musl->areas.count; i++)
		error = read_area(musl, musl->areas.items[i]);
	if (!error && musl->groups.count)
		qsort(musl->groups.items, musl->groups.count, sizeof(*musl->groups.items),
		      compare_groups);
	return error;
}
