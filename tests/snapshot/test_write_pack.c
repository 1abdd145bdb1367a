// SPDX-License-Identifier: Apache-2.0
#include "snapshot/write_pack.h"

#include <stdlib.h>
#include <string.h>

#include "check.h"

enum { PAGE = PAGE_SIZE_BYTES, LOADS = 40, ROUNDS = 200 };

/** Pages of all stored loads, in order: is it zero, and has it a place of its own in the file? */
struct fate {
	uint64_t address;
	bool zero, dropped;
};

static uint64_t state = 88172645463325252u;

static unsigned random_below(unsigned limit)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (unsigned)(state % limit);
}

/** Loads of all kinds; returns how many pages are stored. */
static size_t make_layout(struct layout *layout)
{
	uint64_t at = 0x10000;
	layout_init(layout, 1);
	for (uint32_t i = 0; i < LOADS; i++) {
		unsigned pages = 1 + random_below(60);
		uint32_t kind = random_below(3) ? LAYOUT_STORED : STROBE_EXTENT_AS_FILE;
		CHECK_OK(layout_add(layout, i / 3, at, at + pages * PAGE, kind));
		at += pages * PAGE;
		if (random_below(2))
			at += PAGE;
	}
	return layout_left_out(layout, LAYOUT_STORED) / PAGE;
}

/** Adds the pages of one load, in stretches. */
static size_t add_load(struct pack *pack, const struct load *load, struct fate *fates)
{
	size_t count = 0;
	for (uint64_t at = load->start; at < load->end;) {
		bool zero = random_below(2);
		uint64_t left = (load->end - at) / PAGE;
		uint64_t pages = 1 + random_below(7);
		pages = pages < left ? pages : left;
		bool dropped = pack_add(pack, pages, zero);
		CHECK(zero || !dropped);
		for (; pages; pages--, at += PAGE)
			fates[count++] = (struct fate){at, zero, dropped};
	}
	return count;
}

/** Where the headers say that each page is, against where writing puts it. */
static void check_result(const struct layout *from, const struct layout *to,
			 const struct fate *fates, size_t count)
{
	uint64_t offset = to->data_offset, written = to->data_offset;
	size_t fate = 0;
	uint64_t last = 0;
	for (size_t i = 0; i < to->loads.count; i++) {
		const struct load *load = &to->loads.items[i];
		CHECK(load->start >= last && load->end > load->start);
		last = load->end;
		for (uint64_t at = load->start; at < load->end; at += PAGE) {
			if (load->kind != LAYOUT_STORED && load->kind != LAYOUT_ZEROS)
				continue;
			CHECK(fate < count);
			CHECK_EQUAL(fates[fate].address, at);
			CHECK_EQUAL(fates[fate].dropped, load->kind == LAYOUT_ZEROS);
			CHECK_EQUAL(load->kind == LAYOUT_STORED ? offset : written, written);
			written += fates[fate].dropped ? 0 : PAGE;
			offset += load->kind == LAYOUT_STORED ? PAGE : 0;
			fate++;
		}
		// The hole has room for it: the file ends where it was planned to.
		if (load->kind == LAYOUT_ZEROS)
			CHECK(to->zeros_offset + (load->end - load->start) <=
			      from->data_offset + from->stored_bytes);
	}
	CHECK_EQUAL(fate, count);
	CHECK_EQUAL(to->zeros_offset, written);
}

static void pack_once(size_t spare)
{
	struct layout layout;
	struct pack pack;
	size_t count = make_layout(&layout), done = 0;
	layout.spare = spare;
	layout_settle(&layout, 1000);
	struct fate *fates = calloc(count + 1, sizeof(*fates));
	CHECK(fates);
	CHECK_OK(pack_init(&pack, &layout));
	for (size_t i = 0; i < layout.loads.count; i++)
		if (layout.loads.items[i].kind == LAYOUT_STORED)
			done += add_load(&pack, &layout.loads.items[i], fates + done);
	CHECK_EQUAL(done, count);
	const struct layout *to = pack_layout(&pack);
	CHECK(to->loads.count <= layout.loads.count + spare);
	CHECK(to->loads.count >= layout.loads.count);
	check_result(&layout, to, fates, count);
	free(fates);
	pack_fini(&pack);
	layout_fini(&layout);
}

static void pages_are_where_headers_say(void)
{
	for (unsigned i = 0; i < ROUNDS; i++)
		pack_once(2 * LOADS * 60);
}

static void no_more_headers_than_there_is_room_for(void)
{
	for (unsigned i = 0; i < ROUNDS; i++)
		pack_once(random_below(100));
}

static void small_ones_are_left_as_they_are(void)
{
	struct layout layout;
	layout_init(&layout, 16);
	CHECK_EQUAL(pack_spare(&layout), 0);
	CHECK_OK(layout_add(&layout, 0, 0, (PACK_MIN_PAGES - 1) * PAGE, LAYOUT_STORED));
	CHECK_EQUAL(pack_spare(&layout), 0);
	CHECK_OK(layout_add(&layout, 0, PACK_MIN_PAGES * PAGE, UINT64_C(1) << 40, LAYOUT_STORED));
	CHECK_EQUAL(pack_spare(&layout), PACK_LOADS - layout.loads.count);
	layout_fini(&layout);
}

CHECK_MAIN({"pages are where the headers say", pages_are_where_headers_say},
	   {"no more headers than there is room for", no_more_headers_than_there_is_room_for},
	   {"small ones are left as they are", small_ones_are_left_as_they_are})
