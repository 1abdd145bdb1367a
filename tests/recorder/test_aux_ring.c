// SPDX-License-Identifier: Apache-2.0
// Rings in memory of our own, written to as the kernel does.

#include "base/array.h"
#include "check.h"
#include "recorder/aux_ring.h"

enum { DATA = 4096, AUX = 1024 };

struct fake {
	struct perf_event_mmap_page page;
	uint8_t data[DATA], aux[AUX];
	struct aux_ring ring;
	uint64_t made; // bytes or records
};

struct taken {
	ARRAY(uint8_t) bytes;
	uint64_t records;
	bool wrong;
};

static void begin(struct fake *fake)
{
	memset(fake, 0, sizeof(*fake));
	fake->ring = (struct aux_ring){.page = &fake->page,
				       .data = fake->data,
				       .data_size = DATA,
				       .aux = fake->aux,
				       .aux_size = AUX};
}

static void put_record(struct fake *fake, uint16_t size)
{
	struct perf_event_header header = {.type = PERF_RECORD_SWITCH, .size = size};
	uint8_t record[512];
	memset(record, (int)(fake->made & 0xff), sizeof(record));
	memcpy(record, &header, sizeof(header));
	for (uint16_t i = 0; i < size; i++)
		fake->data[(fake->page.data_head + i) % DATA] = record[i];
	fake->page.data_head += size;
	fake->made++;
}

static struct strobe_error *take_record(void *context, const struct perf_event_header *record,
					size_t size)
{
	struct taken *taken = context;
	const uint8_t *bytes = (const uint8_t *)record;
	for (size_t i = sizeof(*record); i < size; i++)
		taken->wrong = taken->wrong || bytes[i] != (taken->records & 0xff);
	taken->records++;
	return NULL;
}

static void put_trace(struct fake *fake, unsigned size)
{
	for (unsigned i = 0; i < size; i++)
		fake->aux[fake->page.aux_head++ % AUX] = (uint8_t)(fake->made++ * 7 / 3);
}

static struct strobe_error *take_bytes(void *context, const uint8_t *bytes, size_t size)
{
	struct taken *taken = context;
	for (size_t i = 0; i < size; i++)
		if (!array_push(&taken->bytes, bytes[i]))
			abort();
	return NULL;
}

static void records_wrap_around(void)
{
	static struct fake fake;
	struct taken taken = {0};
	begin(&fake);
	for (unsigned round = 0; round < 1000; round++) {
		for (unsigned i = 0; i < round % 8; i++)
			put_record(&fake, (uint16_t)(8 + 8 * ((round + i) % 40)));
		CHECK_OK(aux_ring_records(&fake.ring, take_record, &taken));
		CHECK_EQUAL(taken.records, fake.made);
		CHECK_EQUAL(fake.page.data_tail, fake.page.data_head);
	}
	CHECK(!taken.wrong);
}

static void a_broken_record_ends_it(void)
{
	static struct fake fake;
	struct taken taken = {0};
	begin(&fake);
	put_record(&fake, 16);
	put_record(&fake, 16);
	fake.data[16 + 6] = 4; // shorter than its header
	CHECK_OK(aux_ring_records(&fake.ring, take_record, &taken));
	CHECK_EQUAL(taken.records, 1);
	CHECK_EQUAL(fake.page.data_tail, fake.page.data_head);
	put_record(&fake, 16);
	fake.data[32 + 6] = 200; // longer than what is there
	CHECK_OK(aux_ring_records(&fake.ring, take_record, &taken));
	CHECK_EQUAL(taken.records, 1);
}

static void trace_data_come_in_their_order(void)
{
	static struct fake fake;
	struct taken taken = {0};
	uint64_t lost = 0;
	begin(&fake);
	for (unsigned round = 0; round < 300; round++) {
		put_trace(&fake, round * 37 % 1000);
		CHECK_OK(aux_ring_trace(&fake.ring, take_bytes, &taken, &lost));
		CHECK_EQUAL(taken.bytes.count, fake.made);
	}
	for (uint64_t i = 0; i < taken.bytes.count; i++)
		CHECK_EQUAL(taken.bytes.items[i], (uint8_t)(i * 7 / 3));
	CHECK_EQUAL(lost, 0);
	put_trace(&fake, AUX + 100);
	CHECK_OK(aux_ring_trace(&fake.ring, take_bytes, &taken, &lost));
	CHECK_EQUAL(lost, 100);
	CHECK_EQUAL(taken.bytes.count, fake.made - 100);
	CHECK_EQUAL(taken.bytes.items[taken.bytes.count - 1], (uint8_t)((fake.made - 1) * 7 / 3));
	array_fini(&taken.bytes);
}

static void a_snapshot_begins_with_the_oldest(void)
{
	static struct fake fake;
	struct taken taken = {0};
	begin(&fake);
	put_trace(&fake, 700);
	CHECK_OK(aux_ring_snapshot(&fake.ring, false, take_bytes, &taken));
	CHECK_EQUAL(taken.bytes.count, 700);
	taken.bytes.count = 0;
	put_trace(&fake, 1000);
	CHECK_OK(aux_ring_snapshot(&fake.ring, true, take_bytes, &taken));
	CHECK_EQUAL(taken.bytes.count, AUX);
	for (uint64_t i = 0; i < AUX; i++)
		CHECK_EQUAL(taken.bytes.items[i], (uint8_t)((1700 - AUX + i) * 7 / 3));
	array_fini(&taken.bytes);
}

CHECK_MAIN({"records wrap around", records_wrap_around},
	   {"a broken record ends it", a_broken_record_ends_it},
	   {"trace data come in their order", trace_data_come_in_their_order},
	   {"a snapshot begins with the oldest", a_snapshot_begins_with_the_oldest})
