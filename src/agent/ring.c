// SPDX-License-Identifier: Apache-2.0
#include "agent/ring.h"

#include <sys/mman.h>

static const int64_t patience_ns = 1000000000;

static uint64_t slot_size(uint64_t stack_room)
{
	return (sizeof(struct inside_record) + (stack_room ? INSIDE_POINTEE_ROOM + stack_room : 0) +
		INSIDE_LINE - 1) &
	       ~(uint64_t)(INSIDE_LINE - 1);
}

uint64_t ring_size(uint64_t slots, uint64_t stack_room)
{
	return (INSIDE_RING_HEAD + slots * slot_size(stack_room) + 4095) & ~UINT64_C(4095);
}

void ring_init(struct ring *ring, void *memory, uint64_t slots, uint64_t stack_room)
{
	*ring = (struct ring){.memory = memory,
			      .size = ring_size(slots, stack_room),
			      .slots = slots,
			      .slot_size = slot_size(stack_room),
			      .stack_room = stack_room};
	ring->memory->mask = slots - 1;
	ring->memory->slot_size = ring->slot_size;
	ring->memory->stack_room = stack_room;
}

void ring_fini(struct ring *ring)
{
	if (ring->memory)
		munmap(ring->memory, ring->size);
	ring->memory = NULL;
}

static struct inside_record *slot(const struct ring *ring, uint64_t position)
{
	uint64_t index = position & (ring->slots - 1);
	return (void *)((uint8_t *)ring->memory + INSIDE_RING_HEAD + index * ring->slot_size);
}

/** What the sequence of a position's slot is, relative to the position: 0 = free for it, 1 = written. */
static int64_t state(const struct ring *ring, uint64_t position)
{
	uint64_t index = position & (ring->slots - 1);
	uint64_t sequence = __atomic_load_n(&slot(ring, position)->sequence, __ATOMIC_ACQUIRE);
	return (int64_t)(sequence + index - position);
}

const struct inside_record *ring_peek(struct ring *ring, uint64_t index)
{
	uint64_t position = ring->tail + index;
	if (!ring->memory || index >= ring->slots || state(ring, position) != 1)
		return NULL;
	return slot(ring, position);
}

static void free_slot(struct ring *ring)
{
	uint64_t index = ring->tail & (ring->slots - 1);
	__atomic_store_n(&slot(ring, ring->tail)->sequence, ring->tail - index + ring->slots,
			 __ATOMIC_RELEASE);
	ring->tail++;
	ring->stuck_ns = 0;
}

void ring_consume(struct ring *ring, uint64_t count)
{
	while (count-- > 0)
		free_slot(ring);
}

void ring_look_after(struct ring *ring, int64_t now_ns)
{
	if (!ring->memory || state(ring, ring->tail) != 0 ||
	    __atomic_load_n(&ring->memory->head, __ATOMIC_ACQUIRE) <= ring->tail) {
		ring->stuck_ns = 0;
		return;
	}
	if (!ring->stuck_ns) {
		ring->stuck_ns = now_ns;
	} else if (now_ns - ring->stuck_ns > patience_ns) {
		free_slot(ring);
		ring->given_up++;
	}
}
