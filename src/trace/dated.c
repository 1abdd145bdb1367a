// SPDX-License-Identifier: Apache-2.0
#include "trace/dated.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "trace/unit_code.h"

// A record: its size in two bytes, date, thread, the unit, and its early points.
enum {
	RECORD_MAX = UNIT_CODE_MAX + 32 + SCAN_EARLY_POINTS * 20,
	MIN_BUFFER = 4096,
	MAX_BUFFER = 64 << 10,
	ALL_BUFFERS = 16 << 20,
};

void dated_init(struct dated_units *dated)
{
	*dated = (struct dated_units){0};
	spool_init(&dated->spool);
}

void dated_fini(struct dated_units *dated)
{
	spool_fini(&dated->spool);
	array_fini(&dated->starts);
}

struct strobe_error *dated_begin_stream(struct dated_units *dated, uint32_t stream)
{
	if (dated->starts.count == (size_t)stream + 1)
		return NULL;
	while (dated->starts.count <= stream)
		if (!array_push(&dated->starts, dated->spool.size))
			return error_no_memory();
	dated->date = 0;
	return NULL;
}

struct strobe_error *dated_add(struct dated_units *dated, const struct scanned_unit *scanned)
{
	uint8_t record[RECORD_MAX], *at = record + 2;
	struct unit_carry carry = {.cpu = -1};
	if (scanned->has_start && scanned->start > dated->date)
		dated->date = scanned->start;
	if (scanned->thread == WINDOW_NOBODY || scanned->unit.item_count == 0)
		return NULL;
	at = code_put(at, dated->date);
	at = code_put(at, scanned->thread);
	at += unit_encode(&scanned->unit, &carry, at);
	for (uint32_t i = 0; i < scanned->early_count; i++) {
		at = code_put(at, scanned->early[i].id);
		at = code_put(at, scanned->early[i].value);
	}
	size_t size = (size_t)(at - record);
	record[0] = (uint8_t)size;
	record[1] = (uint8_t)(size >> 8);
	return spool_append(&dated->spool, record, size);
}

/** A stream that is being read; its next unit is known. */
struct lane {
	struct spool_reader reader;
	uint32_t stream;
	uint64_t date;
	struct scanned_unit next;
};

static void read_record(const uint8_t *record, size_t size, struct lane *lane)
{
	struct code_bytes bytes = {.at = record + 2, .end = record + size};
	struct unit_carry carry = {.cpu = -1};
	lane->next = (struct scanned_unit){0};
	lane->date = code_get(&bytes);
	lane->next.thread = (uint32_t)code_get(&bytes);
	bool whole = unit_decode(&bytes, &carry, &lane->next.unit);
	while (whole && bytes.at < bytes.end && lane->next.early_count < SCAN_EARLY_POINTS) {
		struct clock_point *point = &lane->next.early[lane->next.early_count++];
		point->id = code_get(&bytes);
		point->value = code_get(&bytes);
	}
	assert(whole && !bytes.bad); // it is our own
}

/** The lane's next unit; `*ret_more` is false at its end. */
static struct strobe_error *advance(struct lane *lane, bool *ret_more)
{
	const uint8_t *bytes;
	size_t size;
	struct strobe_error *error = spool_peek(&lane->reader, 2, &bytes, &size);
	*ret_more = !error && size == 2;
	if (!*ret_more)
		return error;
	size_t wanted = bytes[0] | (size_t)bytes[1] << 8;
	error = spool_peek(&lane->reader, wanted, &bytes, &size);
	if (error)
		return error;
	assert(size == wanted);
	read_record(bytes, size, lane);
	spool_skip(&lane->reader, size);
	return NULL;
}

static bool is_before(const struct lane *a, const struct lane *b)
{
	return a->date != b->date ? a->date < b->date : a->stream < b->stream;
}

/** A heap of lanes: the earliest is heap[0]. */
static void sink(struct lane **heap, size_t count, size_t at)
{
	for (;;) {
		size_t child = 2 * at + 1;
		if (child >= count)
			return;
		if (child + 1 < count && is_before(heap[child + 1], heap[child]))
			child++;
		if (!is_before(heap[child], heap[at]))
			return;
		struct lane *lane = heap[at];
		heap[at] = heap[child];
		heap[child] = lane;
		at = child;
	}
}

/** Opens a lane for each stream, and puts those that have units into the heap. */
static struct strobe_error *open_lanes(struct dated_units *dated, struct lane *lanes,
				       struct lane **heap, size_t *ret_count)
{
	size_t streams = dated->starts.count, room = ALL_BUFFERS / streams;
	size_t buffer = room < MIN_BUFFER ? MIN_BUFFER : room > MAX_BUFFER ? MAX_BUFFER : room;
	for (size_t i = 0; i < streams; i++) {
		bool more;
		const uint64_t range[2] = {dated->starts.items[i],
					   i + 1 < streams ? dated->starts.items[i + 1]
							   : dated->spool.size};
		if (range[0] == range[1])
			continue;
		struct strobe_error *error =
			spool_reader_init(&lanes[i].reader, &dated->spool, range, buffer);
		if (!error)
			error = advance(&lanes[i], &more);
		if (error)
			return error;
		lanes[i].stream = (uint32_t)i;
		heap[(*ret_count)++] = &lanes[i];
	}
	for (size_t i = *ret_count / 2; i-- > 0;)
		sink(heap, *ret_count, i);
	return NULL;
}

static struct strobe_error *merge_lanes(struct dated_units *dated, struct lane *lanes,
					struct lane **heap, dated_take take, void *context)
{
	size_t count = 0;
	struct strobe_error *error = open_lanes(dated, lanes, heap, &count);
	while (count > 0 && !error) {
		bool more;
		error = take(context, &heap[0]->next);
		if (!error)
			error = advance(heap[0], &more);
		if (!error && !more)
			heap[0] = heap[--count];
		sink(heap, count, 0);
	}
	return error;
}

struct strobe_error *dated_merge(struct dated_units *dated, dated_take take, void *context)
{
	size_t streams = dated->starts.count;
	if (streams == 0)
		return NULL;
	struct lane *lanes = calloc(streams, sizeof(*lanes));
	struct lane **heap = calloc(streams, sizeof(*heap));
	struct strobe_error *error =
		lanes && heap ? merge_lanes(dated, lanes, heap, take, context) : error_no_memory();
	for (size_t i = 0; i < streams && lanes; i++)
		spool_reader_fini(&lanes[i].reader);
	free(lanes);
	free(heap);
	return error;
}
