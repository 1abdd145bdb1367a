// SPDX-License-Identifier: Apache-2.0
#include "snapshot/xstate.h"

#include <string.h>

#include "check.h"

enum { ENABLED_AT = 464, ROOM = 16384, COMPACT_SIZE = 2440, USUAL_SIZE = 2696 };

// As AMD's processors have them: no room for MPX.
static const struct xstate_place compact[XSTATE_COMPONENTS] = {
	[2] = {576, 256}, [5] = {832, 64}, [6] = {896, 512}, [7] = {1408, 1024}, [9] = {2432, 8},
};
static const struct xstate_place usual[XSTATE_COMPONENTS] = {
	[2] = {576, 256}, [5] = {1088, 64}, [6] = {1152, 512}, [7] = {1664, 1024}, [9] = {2688, 8},
};

/** An image whose components hold their numbers. */
static void make_image(uint8_t *image, size_t size, uint64_t enabled,
		       const struct xstate_place *places)
{
	memset(image, 0xee, size);
	memcpy(image + ENABLED_AT, &enabled, sizeof(enabled));
	for (unsigned i = 2; i < XSTATE_COMPONENTS; i++)
		if (enabled >> i & 1)
			memset(image + places[i].offset, (int)i, places[i].size);
}

static void components_are_moved(void)
{
	static uint8_t image[COMPACT_SIZE], room[ROOM];
	static const uint64_t sets[] = {0x2e7, 0x207};
	for (unsigned k = 0; k < 2; k++) {
		size_t size = COMPACT_SIZE;
		make_image(image, size, sets[k], compact);
		const uint8_t *got = xstate_usual(image, &size, compact, room, sizeof(room));
		CHECK(got == room);
		CHECK_EQUAL(size, USUAL_SIZE);
		CHECK(memcmp(got, image, 576) == 0);
		for (unsigned i = 2; i < XSTATE_COMPONENTS; i++)
			for (uint32_t at = 0; at < usual[i].size; at++)
				CHECK_EQUAL(got[usual[i].offset + at], sets[k] >> i & 1 ? i : 0);
	}
}

static void what_is_in_its_place_stays(void)
{
	static uint8_t image[USUAL_SIZE], room[ROOM];
	size_t size = USUAL_SIZE;
	make_image(image, size, 0x2e7, usual);
	CHECK(xstate_usual(image, &size, usual, room, sizeof(room)) == image);
	CHECK_EQUAL(size, USUAL_SIZE);
	make_image(image, size, 7, usual);
	size = 832;
	CHECK(xstate_usual(image, &size, usual, room, sizeof(room)) == image);
}

static void what_is_not_known_stays(void)
{
	static uint8_t image[COMPACT_SIZE], room[ROOM];
	struct xstate_place places[XSTATE_COMPONENTS];
	size_t size = COMPACT_SIZE;
	// A component that is nowhere usual, one beyond the end, no room, no header.
	memcpy(places, compact, sizeof(places));
	places[19] = (struct xstate_place){1000, 128};
	make_image(image, size, 0x802e7, places);
	CHECK(xstate_usual(image, &size, places, room, sizeof(room)) == image);
	make_image(image, size, 0x2e7, compact);
	places[9].offset = COMPACT_SIZE - 4;
	CHECK(xstate_usual(image, &size, places, room, sizeof(room)) == image);
	CHECK(xstate_usual(image, &size, compact, room, USUAL_SIZE - 1) == image);
	size = 512;
	CHECK(xstate_usual(image, &size, compact, room, sizeof(room)) == image);
	CHECK_EQUAL(size, 512);
}

static void this_processor_is_asked(void)
{
	static uint8_t image[ROOM];
	struct xstate_place places[XSTATE_COMPONENTS];
	uint64_t enabled = 7;
	memcpy(image + ENABLED_AT, &enabled, sizeof(enabled));
	xstate_places(image, sizeof(image), places);
	CHECK_EQUAL(places[5].size, 0);
	if (__builtin_cpu_supports("avx")) {
		CHECK_EQUAL(places[2].offset, 576);
		CHECK_EQUAL(places[2].size, 256);
	}
}

CHECK_MAIN({"components are moved", components_are_moved},
	   {"what is in its place stays", what_is_in_its_place_stays},
	   {"what is not known stays", what_is_not_known_stays},
	   {"this processor is asked", this_processor_is_asked})
