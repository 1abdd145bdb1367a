// SPDX-License-Identifier: Apache-2.0
#ifndef HEAP_MUSL_H
#define HEAP_MUSL_H

// The books of musl's malloc since 1.2.1 ("mallocng").
//
// Descriptions of groups lie in pages of their own, the meta areas, each of which opens with a secret that the malloc
// context has too. A group has up to 32 slots of one size; its memory is mapped for it, or is a slot of a larger group,
// or was left over where the dynamic linker had mapped a library ("donated"). It points back to its description. A slot's
// header tells where in it the block begins, and how many bytes at its end nobody asked for.
// Source of all formats: musl's src/malloc/mallocng, releases 1.2.1 to 1.2.5.

#include "heap/allocator.h"

enum { MUSL_PAGE = 4096, MUSL_UNIT = 16, MUSL_CLASSES = 48, MUSL_NO_CLASS = 63 };

/** A group that its memory agrees with. */
struct musl_group {
	uint64_t memory;
	uint64_t description;
	uint64_t map_bytes; // 0 = in a slot of another, or donated
	uint32_t free_mask; // of slots
	unsigned char last, class, active;
	bool freeable;
};

struct musl {
	struct strobe_heap *heap;
	const struct strobe_view *view;
	size_t module_index;
	uint64_t context, secret;
	ARRAY(uint64_t) areas;		 // meta areas, ascending
	ARRAY(struct musl_group) groups; // ascending by memory
	// Memory that was read last, while blocks are visited.
	uint64_t window_start;
	size_t window_size;
	unsigned char window[MUSL_PAGE];
};

/** Bytes from one slot of a group to the next; the last four of each are the next one's header. */
uint64_t musl_stride(const struct musl_group *group);
/** Behind its last slot. */
uint64_t musl_group_end(const struct musl_group *group);
/** The group whose memory begins at `address`, or NULL. */
const struct musl_group *musl_group_at(const struct musl *musl, uint64_t address);

// musl_group.c
/** Reads all meta areas and groups. */
struct strobe_error *musl_read_groups(struct musl *musl) STROBE_MUST_CHECK;
/** Is there a meta area with this secret? Then the next one. */
bool musl_area_at(const struct strobe_view *view, uint64_t address, uint64_t secret,
		  uint64_t *next);

// musl_slot.c
/** Visits what lies in a group, those in its slots as well, up to `end`; false when the visitor had enough. */
bool musl_visit_group(struct musl *musl, const struct musl_group *group, size_t arena, uint64_t end,
		      strobe_heap_visit visit, void *context);

#endif
