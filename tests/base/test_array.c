// SPDX-License-Identifier: Apache-2.0
#include "base/array.h"

#include "check.h"

static void grows_and_keeps_its_items(void)
{
	ARRAY(uint64_t) numbers = {0};
	for (uint64_t i = 0; i < 1000; i++)
		CHECK(array_push(&numbers, i * 3));
	CHECK_EQUAL(numbers.count, 1000);
	for (uint64_t i = 0; i < 1000; i++)
		CHECK_EQUAL(numbers.items[i], i * 3);
	array_fini(&numbers);
	CHECK(!numbers.items);
}

static void refuses_a_size_that_overflows(void)
{
	ARRAY(uint64_t) numbers = {0};
	CHECK(!array_reserve(&numbers, SIZE_MAX / 4));
	CHECK(!array_reserve(&numbers, SIZE_MAX));
	CHECK_EQUAL(numbers.count, 0);
	array_fini(&numbers);
}

CHECK_MAIN({"grows and keeps its items", grows_and_keeps_its_items},
	   {"refuses a size that overflows", refuses_a_size_that_overflows})
