// SPDX-License-Identifier: Apache-2.0
// Roots that are in no memory: their values are walked as if they were somewhere.
#include "graph/building.h"
#include "graph/object.h"

// No program has memory here.
#define VALUES_AT UINT64_C(0xffff800000000000)

struct values_memory {
	const struct lens_memory *memory;
	const uint8_t *bytes;
	uint64_t size;
};

static const uint8_t *at(void *context, uint64_t address, size_t *available)
{
	struct values_memory *values = context;
	if (address - VALUES_AT >= values->size)
		return values->memory->at(values->memory->reader, address, available);
	*available = (size_t)(values->size - (address - VALUES_AT));
	return values->bytes + (address - VALUES_AT);
}

void graph_values_walk(const struct lens *lens, const struct lens_memory *memory,
		       const uint64_t *values, size_t count, uint32_t type, bool precise,
		       lens_visit visit, void *context)
{
	struct values_memory all = {memory, (const uint8_t *)values, count * sizeof(*values)};
	struct lens_memory both = {.at = at, .reader = &all};
	struct graph_object object = {.type = type,
				      .address = VALUES_AT,
				      .size_bytes = all.size,
				      .high = UINT64_MAX,
				      .precise = precise};
	graph_object_walk(lens, &both, &object, visit, context, NULL);
}
