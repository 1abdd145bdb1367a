// SPDX-License-Identifier: Apache-2.0
#include "snapshot/xstate.h"

#include <stdbool.h>
#include <string.h>

#include "base/xsave.h"

enum {
	ENABLED_AT = 464, // XCR0, as the kernel puts it into the FXSAVE area
	HEADER_END = 576,
	FIRST = 2, // x87 and SSE are in the FXSAVE area
};

// Intel SDM volume 1, 13.4: components at fixed places in all processors of theirs that have them.
static const struct xstate_place usual[XSTATE_COMPONENTS] = {
	[2] = {576, 256},   // AVX
	[3] = {960, 64},    // MPX
	[4] = {1024, 64},   //
	[5] = {1088, 64},   // AVX-512
	[6] = {1152, 512},  //
	[7] = {1664, 1024}, //
	[9] = {2688, 8},    // protection keys
	[17] = {2752, 64},  // AMX
	[18] = {2816, 8192},
};

static uint64_t enabled_in(const uint8_t *bytes, size_t size)
{
	uint64_t enabled = 0;
	if (size >= HEADER_END)
		memcpy(&enabled, bytes + ENABLED_AT, sizeof(enabled));
	return enabled;
}

void xstate_places(const uint8_t *bytes, size_t size, struct xstate_place places[XSTATE_COMPONENTS])
{
	uint64_t enabled = enabled_in(bytes, size);
	memset(places, 0, XSTATE_COMPONENTS * sizeof(*places));
	const struct xsave_place *ours = xsave_places();
	for (unsigned i = FIRST; i < XSAVE_COMPONENTS; i++)
		if (enabled >> i & 1)
			places[i] = (struct xstate_place){(uint32_t)ours[i].offset,
							  (uint32_t)ours[i].size};
}

static bool can_move(const struct xstate_place *from, const struct xstate_place *to, size_t size)
{
	return from->size && from->size == to->size && from->offset >= HEADER_END &&
	       from->offset <= size && from->size <= size - from->offset;
}

const uint8_t *xstate_usual(const uint8_t *bytes, size_t *size,
			    const struct xstate_place places[XSTATE_COMPONENTS], uint8_t *room,
			    size_t room_size)
{
	uint64_t enabled = enabled_in(bytes, *size);
	size_t end = HEADER_END;
	bool same = true;
	for (unsigned i = FIRST; i < 64; i++) {
		if (!(enabled >> i & 1))
			continue;
		if (i >= XSTATE_COMPONENTS || !can_move(&places[i], &usual[i], *size))
			return bytes;
		same = same && places[i].offset == usual[i].offset;
		end = usual[i].offset + usual[i].size; // they ascend
	}
	if (same || end > room_size)
		return bytes;
	memset(room, 0, end);
	memcpy(room, bytes, HEADER_END);
	for (unsigned i = FIRST; i < XSTATE_COMPONENTS; i++)
		if (enabled >> i & 1)
			memcpy(room + usual[i].offset, bytes + places[i].offset, usual[i].size);
	*size = end;
	return room;
}
