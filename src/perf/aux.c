// SPDX-License-Identifier: Apache-2.0
#include "perf/aux.h"

#include <limits.h>
#include <string.h>

#include "base/error.h"

enum {
	MAX_QUEUES = 65536,
	ALIGNMENT = 8, // a piece is filled up with PAD packets (zeros) to a multiple of it
	SHORTEST_OVERLAP = 64,
	TELLING_BYTES = 32, // different ones
	NEEDLE = 64,
	// Bytes that are compared at places where only the needle is found. TSCs differ, so that it is a few KiB each.
	MAX_COMPARED = 1 << 28,
	PSB_SIZE = 16,
};

/** size, offset, reference, index, tid, cpu. */
struct strobe_error *perf_aux_note(struct perf_aux *aux, const struct perf_record *record)
{
	uint32_t index = (uint32_t)perf_record_number(record, 24, 4);
	struct perf_aux_piece piece = {
		.offset = perf_record_number(record, 8, 8),
		.packets = {.data = record->trailing.bytes,
			    .size = record->trailing.size,
			    .mapped = true},
		.record = record->offset,
	};
	size_t i = (size_t)(uintptr_t)hash_get(&aux->by_index, index);
	if (!i) {
		struct perf_aux_queue queue = {
			.index = index,
			.tid = (int)perf_record_number(record, 28, 4),
			.cpu = (int)perf_record_number(record, 32, 4),
		};
		if (aux->queues.count == MAX_QUEUES)
			return error_new(STROBE_ERROR_LIMIT, "more than %d AUX areas", MAX_QUEUES);
		if (!array_push(&aux->queues, queue))
			return error_no_memory();
		i = aux->queues.count;
		if (!hash_put(&aux->by_index, index, (void *)(uintptr_t)i))
			return error_no_memory();
	}
	return array_push(&aux->queues.items[i - 1].pieces, piece) ? NULL : error_no_memory();
}

/** No chance: a PSB, behind which clocks stand, or many different bytes (a loop's packets repeat a few). */
static bool is_telling(const uint8_t *bytes, uint64_t size)
{
	static const uint8_t psb[PSB_SIZE] = {2, 0x82, 2, 0x82, 2, 0x82, 2, 0x82,
					      2, 0x82, 2, 0x82, 2, 0x82, 2, 0x82};
	bool seen[UINT8_MAX + 1] = {false};
	unsigned different = 0;
	if (memmem(bytes, size, psb, PSB_SIZE))
		return true;
	for (uint64_t i = 0; i < size; i++) {
		different += !seen[bytes[i]];
		seen[bytes[i]] = true;
	}
	return different >= TELLING_BYTES;
}

static uint64_t count_equal(const uint8_t *a, const uint8_t *b, uint64_t size)
{
	uint64_t equal = 0;
	while (equal < size && a[equal] == b[equal])
		equal++;
	return equal;
}

struct perf_aux_overlap perf_aux_overlap(const struct pt_piece *earlier,
					 const struct pt_piece *later)
{
	const uint8_t *at = earlier->data, *end = earlier->data + earlier->size;
	struct perf_aux_overlap none = {0};
	uint64_t zeros = 0, compared = 0;
	if (later->size < NEEDLE || earlier->size < NEEDLE)
		return none;
	// No more of the earlier one than the later one has can be repeated.
	if (earlier->size > later->size)
		at = end - later->size;
	while (zeros < ALIGNMENT - 1 && !end[-1 - (ptrdiff_t)zeros])
		zeros++;
	while (compared < MAX_COMPARED && end - at >= SHORTEST_OVERLAP) {
		at = memmem(at, (size_t)(end - at), later->data, NEEDLE);
		if (!at)
			return none;
		uint64_t size = (uint64_t)(end - at);
		uint64_t equal = count_equal(at, later->data, size);
		if (equal + zeros >= size)
			return is_telling(at, equal)
				       ? (struct perf_aux_overlap){equal, size - equal}
				       : none;
		compared += equal;
		at++;
	}
	return none;
}

static struct strobe_error *push_piece(struct pt_stream *ret, struct pt_piece piece, uint64_t skip)
{
	piece.data += skip;
	piece.size -= skip;
	if (!piece.size)
		return NULL;
	return array_push(&ret->pieces, piece) ? NULL : error_no_memory();
}

/** Pieces of a full trace lie at growing offsets; one is longer than what follows allows by its padding. */
static struct strobe_error *join_full(struct perf_aux *aux, const struct perf_aux_queue *queue,
				      struct pt_stream *ret)
{
	struct strobe_error *error = NULL;
	uint64_t end = 0;
	for (size_t i = 0; !error && i < queue->pieces.count; i++) {
		const struct perf_aux_piece *piece = &queue->pieces.items[i];
		struct pt_piece *last =
			ret->pieces.count ? &ret->pieces.items[ret->pieces.count - 1] : NULL;
		uint64_t skip = 0;
		if (last && piece->offset > end) {
			aux->gap_count++;
		} else if (last && piece->offset < end) {
			uint64_t over = end - piece->offset;
			if (over < ALIGNMENT && over < last->size)
				last->size -= over;
			else
				skip = over < piece->packets.size ? over : piece->packets.size;
			aux->repeated_bytes += skip;
		}
		error = push_piece(ret, piece->packets, skip);
		uint64_t size = piece->packets.size;
		if (size > UINT64_MAX - piece->offset)
			size = UINT64_MAX - piece->offset;
		if (piece->offset + size > end)
			end = piece->offset + size;
	}
	return error;
}

static struct strobe_error *join_snapshots(struct perf_aux *aux, const struct perf_aux_queue *queue,
					   struct pt_stream *ret)
{
	struct strobe_error *error = NULL;
	for (size_t i = 0; !error && i < queue->pieces.count; i++) {
		const struct pt_piece *packets = &queue->pieces.items[i].packets;
		struct perf_aux_overlap overlap = {0};
		if (i)
			overlap = perf_aux_overlap(&queue->pieces.items[i - 1].packets, packets);
		aux->repeated_bytes += overlap.size;
		// A snapshot of which all was repeated left no piece to cut the padding from.
		if (overlap.padding && ret->pieces.count &&
		    ret->pieces.items[ret->pieces.count - 1].size > overlap.padding)
			ret->pieces.items[ret->pieces.count - 1].size -= overlap.padding;
		error = push_piece(ret, *packets, overlap.size);
	}
	return error;
}

struct strobe_error *perf_aux_join(struct perf_aux *aux, const struct perf_aux_queue *queue,
				   bool snapshots, struct pt_stream *ret)
{
	return (snapshots ? join_snapshots : join_full)(aux, queue, ret);
}

void perf_aux_fini(struct perf_aux *aux)
{
	for (size_t i = 0; i < aux->queues.count; i++)
		array_fini(&aux->queues.items[i].pieces);
	array_fini(&aux->queues);
	hash_fini(&aux->by_index);
}
