// SPDX-License-Identifier: Apache-2.0
#include "base/hash_page.h"

#include "check.h"

// What stands in files must not change with the library: values of the XXH3 specification.
static void hashes_as_written_down(void)
{
	static uint8_t page[4096];
	CHECK_EQUAL(page_hash("", 0), 0x2d06800538d394c2);
	uint64_t zeros = page_hash(page, sizeof(page));
	page[4095] = 1;
	CHECK(page_hash(page, sizeof(page)) != zeros);
}

CHECK_MAIN({"the hashes of pages are XXH3", hashes_as_written_down})
