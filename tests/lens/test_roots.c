// SPDX-License-Identifier: Apache-2.0
// What the roots are made with, against a byte map: stretches that were told, and who has what memory.
#include "check.h"
#include "lens/roots_claims.h"
#include "lens/roots_set.h"

enum { SPACE = 20000, ROUNDS = 40 };

static uint64_t seed = 1;

static uint64_t any(uint64_t below)
{
	seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407;
	return (seed >> 33) % below;
}

/** Fills a part of the space at random, in no order. */
static void fill(struct claims *claims, bool *taken, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		uint64_t start = any(SPACE - 60) + 1, size = any(40) + 1;
		bool free = true;
		for (uint64_t at = start; at < start + size; at++)
			free = free && !taken[at];
		if (!free)
			continue;
		CHECK(claims_add(claims, start, start + size));
		memset(taken + start, true, size);
	}
}

static void check_claims(const struct claims *claims, const bool *taken)
{
	struct stretch found;
	for (uint64_t at = 0; at < SPACE; at++) {
		bool some = claims_free(claims, at, SPACE, &found);
		uint64_t start = at;
		while (start < SPACE && taken[start])
			start++;
		uint64_t end = start;
		while (end < SPACE && !taken[end])
			end++;
		CHECK_EQUAL(some, start < SPACE);
		if (some) {
			CHECK_EQUAL(found.start, start);
			CHECK_EQUAL(found.end, end);
		}
	}
}

static void test_claims(void)
{
	static bool taken[SPACE];
	for (unsigned round = 0; round < ROUNDS; round++) {
		struct claims claims = {0};
		memset(taken, 0, sizeof(taken));
		fill(&claims, taken, (unsigned)any(900));
		check_claims(&claims, taken);
		struct stretch found, before;
		uint64_t at = any(SPACE);
		bool has_before = claims_before(&claims, at, &before);
		CHECK(!has_before || before.start < at);
		if (claims_next(&claims, at, &found))
			CHECK(found.end > at && (!has_before || found.start >= before.start));
		claims_fini(&claims);
	}
}

static void add(struct root_set *set, uint64_t address, uint64_t size, const char *name)
{
	const struct root root = {
		.kind = ROOT_LOCAL, .address = address, .size_bytes = size, .name = name};
	CHECK(root_set_add(set, &root));
}

static void test_owners(void)
{
	struct root_set set = {0};
	add(&set, 100, 8, "within");
	add(&set, 96, 32, "around");
	add(&set, 96, 32, "alias");
	add(&set, 120, 16, "partly"); // overlaps the end of `around`
	add(&set, 200, 8, "small");
	add(&set, 204, 40, "larger"); // takes the memory of `small`
	add(&set, 0, 8, "nowhere");
	CHECK(root_set_settle(&set));
	CHECK_EQUAL(set.owners.count, 2);
	CHECK_EQUAL(set.items.items[0].owner, 1);
	CHECK_EQUAL(set.items.items[2].owner, 1);
	CHECK(set.items.items[3].lost && set.items.items[4].lost);
	CHECK(!set.items.items[1].lost && !set.items.items[5].lost && !set.items.items[6].lost);
	struct stretch gap;
	uint64_t at = 90;
	CHECK(root_set_gap(&set, &at, 260, &gap));
	CHECK_EQUAL(gap.start, 128); // [90, 96) holds no whole word
	CHECK_EQUAL(gap.end, 200);
	CHECK(root_set_gap(&set, &at, 260, &gap));
	CHECK_EQUAL(gap.start, 248);
	CHECK_EQUAL(gap.end, 256);
	CHECK(!root_set_gap(&set, &at, 260, &gap));
	root_set_fini(&set);
}

/** Owners never overlap, whoever lost lay across one, and gaps are the words that nobody has. */
static void test_random_owners(void)
{
	for (unsigned round = 0; round < 400; round++) {
		static uint8_t had[SPACE];
		struct root_set set = {0};
		memset(had, 0, sizeof(had));
		for (uint64_t i = any(200); i > 0; i--)
			add(&set, 8 + any(3000), 1 + any(round % 2 ? 200 : 20), "x");
		CHECK(root_set_settle(&set));
		for (size_t i = 0; i < set.owners.count; i++) {
			const struct root *root = &set.items.items[set.owners.items[i]].root;
			for (uint64_t at = 0; at < root->size_bytes; at++)
				CHECK_EQUAL(had[root->address + at]++, 0);
		}
		for (size_t i = 0; i < set.items.count; i++) {
			const struct root_item *item = &set.items.items[i];
			const struct root *owner = item->owner == ROOT_OWNER_NONE
							   ? NULL
							   : &set.items.items[item->owner].root;
			CHECK(!owner || (owner->address <= item->root.address &&
					 item->root.address + item->root.size_bytes <=
						 owner->address + owner->size_bytes));
		}
		struct stretch gap;
		for (uint64_t at = 0; root_set_gap(&set, &at, 4000, &gap);)
			for (uint64_t byte = gap.start; byte < gap.end; byte++)
				CHECK_EQUAL(had[byte]++, 0);
		for (uint64_t word = 0; word < 4000; word += 8) {
			unsigned sum = 0;
			for (unsigned k = 0; k < 8; k++)
				sum += had[word + k];
			CHECK(sum);
		}
		root_set_fini(&set);
	}
}

CHECK_MAIN({"stretches are found as a byte map has them", test_claims},
	   {"of two roots at one place the larger has it", test_owners},
	   {"owners and gaps cover memory once", test_random_owners})
