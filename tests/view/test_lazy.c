// SPDX-License-Identifier: Apache-2.0
#include "view/lazy.h"

#include "check.h"

// A source whose byte at a position is told by the position, with pages that fail and runs of
// zeros, and which counts what is asked of it.
enum { BAD_LIMIT = 8 };
struct fake {
	uint64_t bad[BAD_LIMIT]; // positions of pages that cannot be read
	size_t bad_count;
	uint64_t zero_start, zero_end;
	uint64_t reads, bytes;
	size_t largest;
};
static struct fake fake;

static uint8_t byte_at(uint64_t position)
{
	if (position >= fake.zero_start && position < fake.zero_end)
		return 0;
	return (uint8_t)(position * 131 + (position >> 12) * 7 + 1);
}

static size_t fake_read(void *context, uint64_t position, void *buffer, size_t size)
{
	struct fake *source = context;
	source->reads++;
	if (size > source->largest)
		source->largest = size;
	for (size_t i = 0; i < source->bad_count; i++)
		if (source->bad[i] + LAZY_PAGE > position && source->bad[i] < position + size)
			size = source->bad[i] > position ? source->bad[i] - position : 0;
	for (size_t i = 0; i < size; i++)
		((uint8_t *)buffer)[i] = byte_at(position + i);
	source->bytes += size;
	return size;
}

static void fake_run(void *context, uint64_t position, uint64_t limit, struct view_run *ret)
{
	struct fake *source = context;
	*ret = (struct view_run){.end = limit, .kind = VIEW_RUN_DATA};
	if (position < source->zero_start && source->zero_start < limit)
		ret->end = source->zero_start;
	if (position >= source->zero_start && position < source->zero_end) {
		ret->kind = VIEW_RUN_ZERO;
		if (source->zero_end < limit)
			ret->end = source->zero_end;
	}
}

static const struct lazy_source plain = {.read = fake_read, .context = &fake};
static const struct lazy_source with_runs = {.read = fake_read, .run = fake_run, .context = &fake};

static const uint64_t start = UINT64_C(0x7f0000003000);
static const uint64_t gigabytes = UINT64_C(100) << 30;

static bool right(const uint8_t *bytes, uint64_t position, size_t size)
{
	for (size_t i = 0; i < size; i++)
		if (bytes[i] != byte_at(position + i))
			return false;
	return true;
}

static void fetches_what_is_looked_at(void)
{
	struct lazy_area area;
	size_t available;
	fake = (struct fake){0};
	lazy_init(&area, &plain, start, start + gigabytes, 5);
	const uint8_t *first = lazy_pointer(&area, start, true, &available);
	CHECK(first != NULL);
	CHECK_EQUAL(available, LAZY_CHUNK - 0x3000);
	CHECK(right(first, 5, available));
	CHECK_EQUAL(fake.bytes, available);
	uint64_t far = start + gigabytes - 10;
	const uint8_t *last = lazy_pointer(&area, far, true, &available);
	CHECK(last != NULL);
	CHECK_EQUAL(available, 10);
	CHECK(right(last, 5 + gigabytes - 10, 10));
	CHECK_EQUAL(last - first, gigabytes - 10);
	CHECK(fake.bytes <= 2 * LAZY_CHUNK);
	uint64_t reads = fake.reads;
	CHECK(lazy_pointer(&area, start + 100, true, &available) == first + 100);
	CHECK_EQUAL(fake.reads, reads);
	lazy_fini(&area);
}

static void a_pointer_near_a_chunks_end_reaches_into_the_next(void)
{
	struct lazy_area area;
	size_t available;
	fake = (struct fake){0};
	lazy_init(&area, &plain, start, start + (4 << 20), 0);
	uint64_t at = LAZY_CHUNK - 0x3000 - 100;
	const uint8_t *bytes = lazy_pointer(&area, start + at, true, &available);
	CHECK(bytes != NULL);
	CHECK_EQUAL(available, 100 + LAZY_CHUNK);
	CHECK(right(bytes, at, available));
	lazy_fini(&area);
}

static void bad_pages_are_known_exactly(void)
{
	struct lazy_area area;
	struct view_run run;
	uint64_t change;
	size_t available;
	// Pages of the target; positions are off by 0x800.
	fake = (struct fake){.bad = {0x5000 + 0x800, 0x6000 + 0x800, 0x9000 + 0x800},
			     .bad_count = 3};
	lazy_init(&area, &plain, start, start + 0x10000, 0x800);
	CHECK(!lazy_is_bad(&area, start + 0x5000, &change)); // nobody looked yet
	CHECK_EQUAL(change, start + 0x10000);
	const uint8_t *bytes = lazy_pointer(&area, start + 0x4ff0, true, &available);
	CHECK(bytes != NULL);
	CHECK_EQUAL(available, 0x10);
	CHECK(right(bytes, 0x57f0, 0x10));
	CHECK(!lazy_pointer(&area, start + 0x5000, true, &available));
	CHECK_EQUAL(available, 0);
	CHECK(!lazy_pointer(&area, start + 0x6fff, true, &available));
	bytes = lazy_pointer(&area, start + 0x7000, true, &available);
	CHECK_EQUAL(available, 0x2000);
	CHECK(right(bytes, 0x7800, 0x2000));
	CHECK_EQUAL(area.bad_pages, 3);
	CHECK(lazy_is_bad(&area, start + 0x5123, &change));
	CHECK_EQUAL(change, start + 0x7000);
	CHECK(!lazy_is_bad(&area, start + 0x7000, &change));
	CHECK_EQUAL(change, start + 0x9000);
	CHECK(!lazy_is_bad(&area, start + 0xa000, &change));
	CHECK_EQUAL(change, start + 0x10000);
	lazy_run(&area, start + 0x4000, start + 0x8000, &run);
	CHECK_EQUAL(run.kind, VIEW_RUN_DATA);
	CHECK_EQUAL(run.end, start + 0x5000);
	lazy_run(&area, start + 0x5000, start + 0x8000, &run);
	CHECK_EQUAL(run.kind, VIEW_RUN_MISSING);
	CHECK_EQUAL(run.end, start + 0x7000);
	CHECK(!lazy_probe(&area, start + 0x9800));
	CHECK(lazy_probe(&area, start + 0xa000));
	lazy_fini(&area);
}

static void large_reads_leave_nothing_behind(void)
{
	struct lazy_area area;
	uint64_t change;
	size_t size = 1 << 20;
	uint8_t *buffer = malloc(size);
	CHECK(buffer != NULL);
	fake = (struct fake){.bad = {0x80000}, .bad_count = 1};
	lazy_init(&area, &plain, start, start + gigabytes, 0);
	CHECK_EQUAL(lazy_read(&area, start + 0x90000, buffer, size), size);
	CHECK(right(buffer, 0x90000, size));
	CHECK_EQUAL(fake.largest, size);
	CHECK(!area.memory);
	CHECK_EQUAL(lazy_read(&area, start + 0x10000, buffer, size), 0x70000);
	CHECK(lazy_is_bad(&area, start + 0x80000, &change));
	CHECK_EQUAL(change, start + 0x81000);
	CHECK_EQUAL(lazy_read(&area, start + 0x80010, buffer, size), 0);
	CHECK_EQUAL(lazy_read(&area, start + gigabytes - 7, buffer, size), 7);
	lazy_fini(&area);
	free(buffer);
}

static void zeros_are_not_read(void)
{
	struct lazy_area area;
	size_t available;
	uint8_t buffer[0x4000];
	fake = (struct fake){.zero_start = 0x2000, .zero_end = 0x20000};
	lazy_init(&area, &with_runs, start, start + (1 << 20), 0);
	const uint8_t *bytes = lazy_pointer(&area, start, true, &available);
	CHECK(bytes && right(bytes, 0, available));
	CHECK_EQUAL(fake.bytes, available - 0x1e000);
	memset(buffer, 0xaa, sizeof(buffer));
	CHECK_EQUAL(lazy_read(&area, start + 0x1000, buffer, sizeof(buffer)), sizeof(buffer));
	CHECK(right(buffer, 0x1000, sizeof(buffer)));
	fake.bytes = fake.reads = 0;
	CHECK(lazy_probe(&area, start + 0x80000 + 0x2000));
	CHECK_EQUAL(fake.bytes, 1);
	lazy_fini(&area);
}

static void released_memory_is_fetched_again(void)
{
	struct lazy_area area;
	size_t available;
	fake = (struct fake){0};
	lazy_init(&area, &plain, start, start + (4 << 20), 0);
	uint64_t inside = 0x40000 - 0x3000; // chunk 1
	const uint8_t *bytes = lazy_pointer(&area, start + inside, true, &available);
	CHECK(lazy_release(&area, bytes, LAZY_CHUNK));
	CHECK(!lazy_release(&area, (const uint8_t *)&area, 1));
	uint64_t before = fake.bytes;
	CHECK(lazy_pointer(&area, start + inside, true, &available) == bytes);
	CHECK_EQUAL(fake.bytes, before + LAZY_CHUNK);
	CHECK(right(bytes, inside, LAZY_CHUNK));
	// Somebody else holds it now: it stays.
	CHECK(lazy_pointer(&area, start + inside + 8, true, &available) == bytes + 8);
	CHECK(lazy_release(&area, bytes, LAZY_CHUNK));
	CHECK(right(bytes, inside, LAZY_CHUNK));
	CHECK_EQUAL(fake.bytes, before + LAZY_CHUNK);
	lazy_fini(&area);
}

static void impossible_spans_are_copied_from_only(void)
{
	struct lazy_area area;
	size_t available;
	uint8_t buffer[8];
	fake = (struct fake){0};
	lazy_init(&area, &plain, 0x1000, UINT64_MAX, 0);
	CHECK(!lazy_pointer(&area, 0x2000, true, &available));
	CHECK(area.unreservable);
	CHECK_EQUAL(lazy_read(&area, 0x2000, buffer, 8), 8);
	CHECK(right(buffer, 0x1000, 8));
	CHECK_EQUAL(lazy_read(&area, UINT64_MAX - 3, buffer, 8), 3);
	lazy_fini(&area);
}

CHECK_MAIN({"fetches what is looked at", fetches_what_is_looked_at},
	   {"a pointer near a chunk's end reaches into the next",
	    a_pointer_near_a_chunks_end_reaches_into_the_next},
	   {"bad pages are known exactly", bad_pages_are_known_exactly},
	   {"large reads leave nothing behind", large_reads_leave_nothing_behind},
	   {"zeros are not read", zeros_are_not_read},
	   {"released memory is fetched again", released_memory_is_fetched_again},
	   {"impossible spans are copied from only", impossible_spans_are_copied_from_only})
