// SPDX-License-Identifier: Apache-2.0
#include "snapshot/write_layout.h"

#include "check.h"

enum { PAGE = PAGE_SIZE_BYTES };

static void short_gaps_are_stored_and_long_ones_are_not(void)
{
	struct layout layout;
	struct strobe_note_extent *extents;
	size_t count;
	layout_init(&layout, 16);
	CHECK_OK(layout_add(&layout, 0, 0, 10 * PAGE, LAYOUT_STORED));
	CHECK_OK(layout_add(&layout, 0, 10 * PAGE, 20 * PAGE, STROBE_EXTENT_AS_FILE));
	CHECK_OK(layout_add(&layout, 0, 20 * PAGE, 25 * PAGE, STROBE_EXTENT_LEFT_OUT));
	CHECK_OK(layout_add(&layout, 0, 25 * PAGE, 26 * PAGE, LAYOUT_STORED));
	CHECK_EQUAL(layout.loads.count, 1);
	CHECK_EQUAL(layout.loads.items[0].end, 26 * PAGE);
	CHECK_OK(layout_add(&layout, 0, 26 * PAGE, 42 * PAGE, STROBE_EXTENT_AS_FILE));
	CHECK_OK(layout_add(&layout, 0, 42 * PAGE, 43 * PAGE, LAYOUT_STORED));
	CHECK_EQUAL(layout.loads.count, 3);
	// What cannot be read is never stored, however short.
	CHECK_OK(layout_add(&layout, 0, 43 * PAGE, 44 * PAGE, STROBE_EXTENT_UNREADABLE));
	CHECK_OK(layout_add(&layout, 0, 44 * PAGE, 45 * PAGE, LAYOUT_STORED));
	CHECK_EQUAL(layout.loads.count, 5);
	// Mappings stay apart.
	CHECK_OK(layout_add(&layout, 1, 45 * PAGE, 46 * PAGE, LAYOUT_STORED));
	CHECK_OK(layout_add(&layout, 1, 46 * PAGE, 47 * PAGE, STROBE_EXTENT_AS_FILE));
	CHECK_OK(layout_add(&layout, 2, 47 * PAGE, 48 * PAGE, STROBE_EXTENT_AS_FILE));
	CHECK_OK(layout_add(&layout, 2, 48 * PAGE, 49 * PAGE, LAYOUT_STORED));
	CHECK_EQUAL(layout.loads.count, 9);
	CHECK_OK(layout_extents(&layout, &extents, &count));
	CHECK_EQUAL(count, 3);
	CHECK_EQUAL(extents[2].start, 46 * PAGE);
	CHECK_EQUAL(extents[2].end, 48 * PAGE);
	free(extents);
	layout_settle(&layout, 100);
	CHECK_EQUAL(layout.stored_bytes, 30 * PAGE);
	CHECK_EQUAL(layout.data_offset % PAGE, 0);
	CHECK(layout.data_offset >= layout.notes_offset + 100);
	layout_fini(&layout);
}

static void too_many_loads_become_fewer(void)
{
	struct layout layout;
	uint64_t stored = 0, all = 0, at = 0;
	layout_init(&layout, 1);
	for (unsigned i = 0; i < 10 * LAYOUT_LOADS; i++) {
		CHECK_OK(layout_add(&layout, 0, at, at + PAGE, LAYOUT_STORED));
		CHECK_OK(layout_add(&layout, 0, at + PAGE, at + 3 * PAGE, STROBE_EXTENT_AS_PARENT));
		at += 3 * PAGE;
	}
	CHECK(layout.loads.count < LAYOUT_LOADS);
	for (size_t i = 0; i < layout.loads.count; i++) {
		const struct load *load = &layout.loads.items[i];
		CHECK_EQUAL(load->start, all);
		all = load->end;
		if (load->kind == LAYOUT_STORED)
			stored += load->end - load->start;
	}
	CHECK_EQUAL(all, at);
	CHECK(stored >= at / 3);
	layout_fini(&layout);
}

static void many_mappings_stay_many(void)
{
	struct layout layout;
	layout_init(&layout, 16);
	for (uint32_t i = 0; i < 3 * LAYOUT_LOADS; i++)
		CHECK_OK(layout_add(&layout, i, (uint64_t)i * 2 * PAGE,
				    (uint64_t)i * 2 * PAGE + PAGE, LAYOUT_STORED));
	CHECK_EQUAL(layout.loads.count, 3 * LAYOUT_LOADS);
	layout_fini(&layout);
}

CHECK_MAIN({"short gaps are stored, long ones are not",
	    short_gaps_are_stored_and_long_ones_are_not},
	   {"too many loads become fewer, and lose nothing", too_many_loads_become_fewer},
	   {"many mappings stay many", many_mappings_stay_many})
