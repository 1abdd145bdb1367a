// SPDX-License-Identifier: Apache-2.0
#include "recorder/aux_ring.h"

#include <string.h>

enum { RECORD_LIMIT = 65536 }; // a record's size has 16 bits

static uint64_t load(const __u64 *value)
{
	return __atomic_load_n(value, __ATOMIC_ACQUIRE); // pairs with the kernel's barrier
}

static void store(__u64 *value, uint64_t new_value)
{
	__atomic_store_n(value, new_value, __ATOMIC_RELEASE);
}

static void copy_out(const uint8_t *ring, uint64_t ring_size, uint64_t at, void *buffer,
		     size_t size)
{
	uint64_t start = at & (ring_size - 1), first = ring_size - start;
	if (first > size)
		first = size;
	memcpy(buffer, ring + start, first);
	memcpy((uint8_t *)buffer + first, ring, size - first);
}

struct strobe_error *aux_ring_records(struct aux_ring *ring, aux_record visit, void *context)
{
	_Alignas(8) uint8_t record[RECORD_LIMIT];
	struct strobe_error *error = NULL;
	uint64_t tail = ring->page->data_tail, head = load(&ring->page->data_head);
	while (!error && head - tail >= sizeof(struct perf_event_header)) {
		struct perf_event_header header;
		copy_out(ring->data, ring->data_size, tail, &header, sizeof(header));
		if (header.size < sizeof(header) || header.size > head - tail ||
		    header.size > ring->data_size) {
			tail = head;
			break;
		}
		copy_out(ring->data, ring->data_size, tail, record, header.size);
		tail += header.size;
		error = visit(context, (const struct perf_event_header *)(const void *)record,
			      header.size);
	}
	store(&ring->page->data_tail, tail);
	return error;
}

/** [from, to), in at most two pieces. */
static struct strobe_error *give(const struct aux_ring *ring, uint64_t from, uint64_t to,
				 aux_bytes visit, void *context)
{
	uint64_t start = from & (ring->aux_size - 1), size = to - from;
	uint64_t first = ring->aux_size - start < size ? ring->aux_size - start : size;
	struct strobe_error *error = first ? visit(context, ring->aux + start, first) : NULL;
	return error || first == size ? error : visit(context, ring->aux, size - first);
}

struct strobe_error *aux_ring_trace(struct aux_ring *ring, aux_bytes visit, void *context,
				    uint64_t *ret_lost)
{
	uint64_t head = load(&ring->page->aux_head), tail = ring->page->aux_tail;
	if (head - tail > ring->aux_size) {
		*ret_lost += head - tail - ring->aux_size;
		tail = head - ring->aux_size;
	}
	struct strobe_error *error = give(ring, tail, head, visit, context);
	store(&ring->page->aux_tail, head);
	return error;
}

struct strobe_error *aux_ring_snapshot(const struct aux_ring *ring, bool full, aux_bytes visit,
				       void *context)
{
	// In this mode the head is where the next byte goes to: the oldest stands there.
	uint64_t head = load(&ring->page->aux_head) & (ring->aux_size - 1);
	if (full)
		return give(ring, head, head + ring->aux_size, visit, context);
	return give(ring, 0, head, visit, context);
}
