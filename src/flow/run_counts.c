// SPDX-License-Identifier: Apache-2.0
#include "flow/run_counts.h"

#include <string.h>

#include "base/error.h"

void run_counts_fini(struct run_counts *counts)
{
	array_fini(&counts->by_code);
	array_fini(&counts->all);
	array_fini(&counts->instructions);
	arena_fini(&counts->arena);
}

static struct run_count *add_new(struct run_counts *counts, uint64_t address,
				 const uint8_t *lengths, uint32_t count)
{
	struct run_count *added = arena_alloc(&counts->arena, sizeof(*added) + count);
	if (!added || !array_push(&counts->all, added))
		return NULL;
	added->address = address;
	added->count = count;
	memcpy(added->lengths, lengths, count);
	return added;
}

// The first of a chain is the one that was met last: most code is always executed to its end.
static struct run_count *find(struct run_counts *counts, const struct strobe_run *run)
{
	while (counts->by_code.count <= run->code_index) {
		if (!array_push(&counts->by_code, NULL))
			return NULL;
	}
	struct run_count **head = &counts->by_code.items[run->code_index];
	for (struct run_count **at = head; *at; at = &(*at)->next) {
		struct run_count *found = *at;
		if (found->count != run->count)
			continue;
		*at = found->next;
		found->next = *head;
		return *head = found;
	}
	struct run_count *added = add_new(counts, run->address, run->lengths, run->count);
	if (!added)
		return NULL;
	added->next = *head;
	return *head = added;
}

static struct strobe_error *add_part(struct run_counts *counts, const struct strobe_run *run,
				     uint32_t first, uint32_t end)
{
	uint64_t address = run->address;
	for (uint32_t i = 0; i < first; i++)
		address += run->lengths[i];
	struct run_count *part = add_new(counts, address, run->lengths + first, end - first);
	if (!part)
		return error_no_memory();
	part->executions = 1;
	counts->instruction_total += end - first;
	return NULL;
}

struct strobe_error *run_counts_add(struct run_counts *counts, const struct strobe_run *run,
				    uint32_t first, uint32_t end)
{
	if (first >= end)
		return NULL;
	if (first > 0 || end < run->count)
		return add_part(counts, run, first, end);
	struct run_count *counter = run->code_index < counts->by_code.count
					    ? counts->by_code.items[run->code_index]
					    : NULL;
	if (!counter || counter->count != run->count)
		counter = find(counts, run);
	if (!counter)
		return error_no_memory();
	counter->executions++;
	counts->instruction_total += run->count;
	return NULL;
}

static int compare(const void *a, const void *b)
{
	const struct instruction_count *x = a, *y = b;
	return x->address < y->address ? -1 : x->address > y->address;
}

struct strobe_error *run_counts_finish(struct run_counts *counts)
{
	size_t total = 0;
	for (size_t i = 0; i < counts->all.count; i++)
		total += counts->all.items[i]->count;
	if (!array_reserve(&counts->instructions, total))
		return error_no_memory();
	struct instruction_count *items = counts->instructions.items;
	size_t count = 0;
	for (size_t i = 0; i < counts->all.count; i++) {
		const struct run_count *run = counts->all.items[i];
		uint64_t address = run->address;
		for (uint32_t j = 0; j < run->count; address += run->lengths[j++])
			items[count++] = (struct instruction_count){address, run->executions};
	}
	if (count)
		qsort(items, count, sizeof(*items), compare);
	size_t kept = 0;
	for (size_t i = 0; i < count; i++) {
		if (kept && items[kept - 1].address == items[i].address)
			items[kept - 1].executions += items[i].executions;
		else
			items[kept++] = items[i];
	}
	counts->instructions.count = kept;
	return NULL;
}

size_t run_counts_from(const struct run_counts *counts, uint64_t address)
{
	size_t low = 0, high = counts->instructions.count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (counts->instructions.items[middle].address < address)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}
