// SPDX-License-Identifier: Apache-2.0
// Parts of building: addresses to nodes against a search, surrogates in any order, threads that share work.
#include "check.h"
#include "graph/locate.h"
#include "graph/surrogates.h"
#include "graph/workers.h"

enum { NODES = 30000, QUESTIONS = 300000 };

static uint64_t state = 5;

static uint64_t any(uint64_t below)
{
	state = state * UINT64_C(6364136223846793005) + 1442695040888963407;
	return (state >> 20) % below;
}

struct layout {
	uint64_t addresses[NODES + 1];
	uint32_t sizes[NODES + 1];
	uint64_t large[NODES];
	uint32_t count, large_count;
};

/** Nodes as heaps and modules have them: dense, crowded, far apart, some of gigabytes, some at the top. */
static void lay_out(struct layout *layout)
{
	uint64_t at = 0x400000;
	*layout = (struct layout){0};
	for (uint32_t node = 1; node <= NODES; node++) {
		uint64_t size = any(100) + 1, gap = 0, kind = any(1000);
		if (kind < 500)
			at = (at + 15) / 16 * 16;
		if (kind == 0)
			size = any(UINT64_C(5) << 30);
		else if (kind < 10)
			size = any(200000);
		else if (kind < 20)
			gap = any(1 << 20);
		else if (kind == 21)
			gap = any(UINT64_C(3) << 30);
		else if (kind < 100)
			gap = any(40);
		else if (kind == 101)
			size = 0;
		at += gap;
		if (node == NODES - 500)
			at = (UINT64_C(1) << 47) - 4096;
		if (node == NODES - 250)
			at = UINT64_MAX - (UINT64_C(1) << 44);
		layout->addresses[node] = at;
		layout->sizes[node] = (uint32_t)size;
		if (size >= NODE_LARGE) {
			layout->sizes[node] = NODE_LARGE | layout->large_count;
			layout->large[layout->large_count++] = size;
		}
		at += size ? size : 1;
	}
	layout->count = NODES;
}

static uint32_t find(const struct layout *layout, uint64_t address)
{
	uint32_t node = locate_search(layout->addresses, 0, layout->count, address);
	uint32_t size = layout->sizes[node];
	uint64_t bytes = size & NODE_LARGE ? layout->large[size & ~NODE_LARGE] : size;
	if (!node)
		return 0;
	// What has no bytes is still where it begins.
	return address - layout->addresses[node] < bytes ||
			       (!bytes && address == layout->addresses[node])
		       ? node
		       : 0;
}

static void test_locate(void)
{
	static struct layout layout;
	for (unsigned round = 0; round < 4; round++) {
		lay_out(&layout);
		struct locate locate = {.addresses = layout.addresses,
					.sizes = layout.sizes,
					.large_sizes = layout.large,
					.count = layout.count};
		CHECK_OK(locate_init(&locate));
		for (unsigned i = 0; i < QUESTIONS; i++) {
			uint32_t near = (uint32_t)any(NODES) + 1;
			uint64_t address = layout.addresses[near] + any(300) - 150;
			if (i % 4 == 0)
				address = layout.addresses[near];
			else if (i % 64 == 1)
				address = any(UINT64_MAX);
			uint32_t expected = find(&layout, address);
			uint32_t found = locate_node(&locate, address);
			uint32_t size = layout.sizes[expected];
			if (!size &&
			    address % 16) // an empty one in a crowded page may go unnoticed
				continue;
			if (found != expected)
				printf("# 0x%llx: node %u, expected %u\n",
				       (unsigned long long)address, found, expected);
			CHECK_EQUAL(found, expected);
		}
		locate_fini(&locate);
	}
	// None at all.
	struct locate empty = {.addresses = layout.addresses, .sizes = layout.sizes};
	CHECK_OK(locate_init(&empty));
	CHECK_EQUAL(locate_node(&empty, 0x400000), 0);
	locate_fini(&empty);
}

/** Adds 5,000 surrogates in an order of their own; what stays is the same. */
static void add_surrogates(struct surrogates *surrogates, uint64_t step, size_t limit)
{
	enum { COUNT = 5003 }; // a prime: any step visits all
	surrogates_init(surrogates, limit);
	for (uint64_t i = 0; i < COUNT; i++) {
		uint64_t n = i * step % COUNT;
		surrogates_number(surrogates, n * 4096 + 8,
				  n % 3 ? STROBE_SURROGATE_FREED : STROBE_SURROGATE_UNMAPPED);
		surrogates_number(surrogates, n % 50 * 4096 + 8, STROBE_SURROGATE_IMPLAUSIBLE);
	}
	CHECK(surrogates_sort(surrogates));
}

static void test_surrogates(void)
{
	static const size_t limits[] = {10000, 1000, 7, 0};
	for (size_t l = 0; l < 4; l++) {
		struct surrogates a, b;
		add_surrogates(&a, 1, limits[l]);
		add_surrogates(&b, 1234, limits[l]);
		CHECK_EQUAL(a.sorted_count, b.sorted_count);
		CHECK(a.sorted_count <= limits[l] + 1);
		if (l == 0)
			CHECK_EQUAL(a.sorted_count, 5003 + 50);
		else
			CHECK(a.overflowed);
		for (size_t i = 0; i < a.sorted_count; i++) {
			const struct surrogate *x = &a.items[a.sorted[i]],
					       *y = &b.items[b.sorted[i]];
			CHECK_EQUAL(x->address, y->address);
			CHECK_EQUAL(x->reason, y->reason);
			CHECK_EQUAL(surrogates_place(&a, a.sorted[i]), i);
		}
		surrogates_fini(&a);
		surrogates_fini(&b);
	}
}

struct sum {
	uint64_t sum, calls, stop_at;
};

static bool add_part(void *context, unsigned thread, uint64_t from, uint64_t to)
{
	struct sum *sum = context;
	for (uint64_t i = from; i < to; i++)
		__atomic_add_fetch(&sum->sum, i, __ATOMIC_RELAXED);
	__atomic_add_fetch(&sum->calls, 1, __ATOMIC_RELAXED);
	return to < sum->stop_at;
}

static void test_workers(void)
{
	for (unsigned threads = 1; threads <= 5; threads++) {
		struct workers *workers;
		CHECK_OK(workers_new(threads, &workers));
		CHECK(workers_count(workers) <= threads);
		for (unsigned round = 0; round < 300; round++) {
			uint64_t count = any(3000) + 1;
			struct sum sum = {.stop_at = UINT64_MAX};
			CHECK(workers_run(workers, 0, count, 64, add_part, &sum));
			CHECK_EQUAL(sum.sum, count * (count - 1) / 2);
			CHECK_EQUAL(sum.calls, (count + 63) / 64);
		}
		struct sum stopped = {.stop_at = 6400};
		CHECK(!workers_run(workers, 0, 1000000, 64, add_part, &stopped));
		CHECK(stopped.calls < 1000);
		workers_free(workers);
	}
}

CHECK_MAIN({"addresses of nodes of all kinds", test_locate},
	   {"surrogates in any order", test_surrogates}, {"threads share work", test_workers}, )
