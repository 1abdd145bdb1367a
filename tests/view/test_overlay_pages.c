// SPDX-License-Identifier: Apache-2.0
#include "view/overlay_pages.h"

#include "check.h"

static void keeps_pages_sorted_whatever_the_order(void)
{
	enum { COUNT = 20000 };
	struct overlay_pages pages = {0};
	uint64_t number = 1;
	static uint64_t addresses[COUNT];
	for (size_t i = 0; i < COUNT; i++) {
		number = number * 6364136223846793005u + 1442695040888963407u;
		addresses[i] = number & ~UINT64_C(4095);
		CHECK(overlay_pages_get(&pages, addresses[i]));
	}
	size_t count = 0;
	uint64_t last = 0;
	for (struct overlay_page *page = pages.first[0]; page; page = page->next[0]) {
		CHECK(count == 0 || page->address > last);
		last = page->address;
		count++;
	}
	CHECK_EQUAL(count, pages.count);
	for (size_t i = 0; i < COUNT; i++) {
		struct overlay_page *page = overlay_pages_from(&pages, addresses[i] + 4095);
		CHECK(page && page->address == addresses[i]);
		CHECK(overlay_pages_get(&pages, addresses[i]) == page);
	}
	for (size_t i = 0; i < COUNT; i += 2)
		overlay_pages_remove(&pages, addresses[i]);
	for (size_t i = 0; i < COUNT; i++) {
		struct overlay_page *page = overlay_pages_from(&pages, addresses[i]);
		CHECK((page && page->address == addresses[i]) == (i % 2 == 1));
	}
	overlay_pages_fini(&pages);
	CHECK_EQUAL(pages.count, 0);
}

static void says_where_its_bytes_end(void)
{
	struct overlay_pages pages = {0};
	uint64_t end;
	CHECK(!overlay_pages_run(&pages, 0x5000, &end));
	CHECK_EQUAL(end, 0);
	struct overlay_page *page = overlay_pages_get(&pages, 0x7000);
	overlay_page_mark(page, 60, 200, true);
	page->bytes[60] = 7;
	CHECK(!overlay_pages_run(&pages, 0x5000, &end));
	CHECK_EQUAL(end, 0x7000 + 60);
	CHECK(!overlay_pages_run(&pages, 0x703b, &end));
	CHECK_EQUAL(end, 0x7000 + 60);
	const uint8_t *bytes = overlay_pages_run(&pages, 0x7000 + 60, &end);
	CHECK(bytes && *bytes == 7);
	CHECK_EQUAL(end, 0x7000 + 260);
	CHECK(!overlay_pages_run(&pages, 0x7000 + 260, &end));
	CHECK_EQUAL(end, 0x8000);
	overlay_page_mark(page, 128, 64, false);
	overlay_pages_run(&pages, 0x7000 + 60, &end);
	CHECK_EQUAL(end, 0x7000 + 128);
	overlay_page_mark(page, 0, 4096, true);
	overlay_pages_run(&pages, 0x7000, &end);
	CHECK_EQUAL(end, 0x8000);
	overlay_pages_fini(&pages);
}

static void reaches_the_top_of_memory(void)
{
	struct overlay_pages pages = {0};
	uint64_t top = UINT64_MAX - 4095, end;
	struct overlay_page *page = overlay_pages_get(&pages, top);
	overlay_page_mark(page, 4095, 1, true);
	CHECK(!overlay_pages_run(&pages, 0, &end));
	CHECK_EQUAL(end, UINT64_MAX);
	CHECK(overlay_pages_run(&pages, UINT64_MAX, &end));
	CHECK_EQUAL(end, 0);
	overlay_pages_fini(&pages);
}

CHECK_MAIN({"keeps pages sorted, whatever the order they come in",
	    keeps_pages_sorted_whatever_the_order},
	   {"says where its bytes end, and where the next begin", says_where_its_bytes_end},
	   {"reaches the top of memory", reaches_the_top_of_memory})
