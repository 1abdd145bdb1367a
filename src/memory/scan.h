// SPDX-License-Identifier: Apache-2.0
#ifndef MEMORY_SCAN_H
#define MEMORY_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/**
 * A byte pattern made ready for looking through plain memory: each byte is compared under a mask,
 * and the two bytes that seem rarest are compared first, 64 places at a time. Letters without case
 * are letters whose mask lacks one bit.
 */
struct scan {
	const uint8_t *pattern; // already masked
	const uint8_t *mask;	// NULL: all bits
	size_t size;
	uint64_t alignment;   // at least 1
	size_t first, second; // offsets of the two bytes
	uint8_t *storage;
	bool has_avx2;
};

/** False when memory is short. `mask` may be NULL; nothing is borrowed. */
bool scan_init(struct scan *scan, const uint8_t *pattern, const uint8_t *mask, size_t size,
	       bool ignore_case, uint64_t alignment);
void scan_fini(struct scan *scan);
/**
 * Offset of the first match that starts at or after `from` in the `size` bytes, which stand at
 * `address`, and lies wholly in them; SIZE_MAX if there is none.
 */
size_t scan_find(const struct scan *scan, const uint8_t *bytes, size_t size, size_t from,
		 uint64_t address);

#endif
