// SPDX-License-Identifier: Apache-2.0
#ifndef TESTS_HEAP_TRUTH_H
#define TESTS_HEAP_TRUTH_H

// What a program holds, kept by itself in memory that it shares with the test: a hash table by address.

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { TRUTH_SLOTS = 1 << 20, TRUTH_PROBES = 1 << 12 };

struct truth_slot {
	_Atomic uint64_t address; // 0 = never used, 1 = no longer used
	uint64_t usable, requested;
};

struct truth {
	_Atomic uint64_t overflow; // blocks that found no slot
	_Atomic uint64_t ready;	   // all stand still
	struct truth_slot slots[TRUTH_SLOTS];
};

static inline size_t truth_hash(uint64_t address)
{
	return (size_t)(address * UINT64_C(0x9e3779b97f4a7c15) >> 44) % TRUTH_SLOTS;
}

static inline void truth_add(struct truth *truth, const void *pointer, uint64_t usable,
			     uint64_t requested)
{
	uint64_t address = (uint64_t)(uintptr_t)pointer;
	size_t at = truth_hash(address);
	for (size_t i = 0; i < TRUTH_PROBES; i++, at = (at + 1) % TRUTH_SLOTS) {
		uint64_t there = atomic_load(&truth->slots[at].address);
		if (there > 1 ||
		    !atomic_compare_exchange_strong(&truth->slots[at].address, &there, address))
			continue;
		truth->slots[at].usable = usable;
		truth->slots[at].requested = requested;
		return;
	}
	atomic_fetch_add(&truth->overflow, 1);
}

static inline struct truth_slot *truth_find(struct truth *truth, uint64_t address)
{
	size_t at = truth_hash(address);
	for (size_t i = 0; i < TRUTH_PROBES; i++, at = (at + 1) % TRUTH_SLOTS) {
		uint64_t there = atomic_load(&truth->slots[at].address);
		if (there == address)
			return &truth->slots[at];
		if (!there)
			return NULL;
	}
	return NULL;
}

static inline void truth_remove(struct truth *truth, const void *pointer)
{
	struct truth_slot *slot = truth_find(truth, (uint64_t)(uintptr_t)pointer);
	if (slot)
		atomic_store(&slot->address, 1);
}

#endif
