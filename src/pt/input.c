// SPDX-License-Identifier: Apache-2.0
#include "pt/input.h"

#include <string.h>

void pt_input_init(struct pt_input *input)
{
	memset(input, 0, sizeof(*input));
}

void pt_input_fini(struct pt_input *input)
{
	strobe_view_close(input->view);
	for (size_t i = 0; i < input->streams.count; i++)
		array_fini(&input->streams.items[i].pieces);
	for (size_t i = 0; i < input->schedules.count; i++)
		array_fini(&input->schedules.items[i].executions);
	array_fini(&input->streams);
	array_fini(&input->schedules);
	array_fini(&input->threads);
	array_fini(&input->events);
	array_fini(&input->code);
	array_fini(&input->warnings);
	if (input->close)
		input->close(input->context);
	arena_fini(&input->arena);
	pt_input_init(input);
}

// Both as perf_event_open(2) describes time_zero; the product needs up to 96 bits.
uint64_t pt_clock_to_ns(const struct pt_input *input, uint64_t value)
{
	unsigned __int128 product = (unsigned __int128)value * input->clock_multiplier;
	return (uint64_t)(input->clock_shift < 128 ? product >> input->clock_shift : 0) +
	       input->clock_zero;
}

uint64_t pt_ns_to_clock(const struct pt_input *input, uint64_t ns)
{
	enum { SHIFT_LIMIT = 64 }; // so that the shifted value keeps its 64 bits
	if (!input->clock_multiplier || input->clock_shift >= SHIFT_LIMIT)
		return 0;
	unsigned __int128 shifted = (unsigned __int128)(ns - input->clock_zero)
				    << input->clock_shift;
	return (uint64_t)(shifted / input->clock_multiplier);
}
