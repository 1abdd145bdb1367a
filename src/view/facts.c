// SPDX-License-Identifier: Apache-2.0
#include "view/facts.h"

#include <string.h>

void view_facts_fini(struct view_facts *facts)
{
	array_fini(&facts->extents);
	array_fini(&facts->embedded);
	array_fini(&facts->proc_files);
	array_fini(&facts->not_atomic);
	array_fini(&facts->queued_signals);
	array_fini(&facts->limits);
	array_fini(&facts->namespaces);
	array_fini(&facts->arguments);
	array_fini(&facts->environment);
}

const struct proc_file *view_facts_proc_file(const struct view_facts *facts, const char *name)
{
	for (size_t i = 0; i < facts->proc_files.count; i++)
		if (strcmp(facts->proc_files.items[i].name, name) == 0)
			return &facts->proc_files.items[i];
	return NULL;
}

/** The first extent that ends after `address`; NULL if none. */
static const struct strobe_note_extent *extent_from(const struct view_facts *facts,
						    uint64_t address)
{
	const struct strobe_note_extent *items = facts->extents.items;
	size_t low = 0, high = facts->extents.count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (items[middle].end <= address)
			low = middle + 1;
		else
			high = middle;
	}
	return low < facts->extents.count ? &items[low] : NULL;
}

const struct strobe_note_extent *view_facts_extent(const struct view_facts *facts, uint64_t address)
{
	const struct strobe_note_extent *extent = extent_from(facts, address);
	return extent && extent->start <= address ? extent : NULL;
}

unsigned view_facts_extent_kind(const struct view_facts *facts, uint64_t address, uint64_t *end)
{
	const struct strobe_note_extent *extent = extent_from(facts, address);
	if (!extent)
		return 0;
	bool inside = extent->start <= address;
	uint64_t change = inside ? extent->end : extent->start;
	if (change < *end)
		*end = change;
	return inside ? extent->kind : 0;
}
