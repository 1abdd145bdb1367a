// SPDX-License-Identifier: Apache-2.0
// What lies in the slots of musl's groups.
//
// Before each slot are four bytes: 0, or 1 where the offset is of 32 bits and in the four bytes before; the slot's number
// and three bits; and the offset of the block from the group's first slot, in units. The three bits are: how many
// bytes of the slot's end nobody asked for, 5 = the last four bytes tell; 6 = the block is a group; 7 = the block begins
// further on, by that many units.
#include "heap/musl.h"

#include <inttypes.h>
#include <string.h>

#include "view/view.h"

enum {
	HEADER = 4,
	RESERVED_FAR = 5,
	RESERVED_GROUP = 6,
	RESERVED_OFFSET = 7,
	OFFSET_WRAP = 1 << 16, // units
	MAX_WRAPS = 4096,      // blocks may be aligned to 4 GiB
};

/** One slot, as it is walked through. */
struct slot {
	const struct musl_group *group;
	unsigned index;
	uint64_t start, end; // end: of what a program may use
	uint64_t block;	     // where the block begins
	unsigned reserved;   // the three bits
};

/** Reads a few bytes. Headers of small slots lie close together: they are read a page's worth at a time. */
static bool read_bytes(struct musl *musl, uint64_t address, void *bytes, size_t size)
{
	if (address < musl->window_start || address - musl->window_start > musl->window_size ||
	    size > musl->window_size - (address - musl->window_start)) {
		musl->window_start = address;
		musl->window_size =
			strobe_memory_read(musl->view, address, musl->window, sizeof(musl->window));
		if (size > musl->window_size)
			return false;
	}
	memcpy(bytes, &musl->window[address - musl->window_start], size);
	return true;
}

/** Is the header before `block` that of a block in this slot? */
static bool header_fits(struct musl *musl, const struct slot *slot, uint64_t block,
			unsigned *reserved)
{
	unsigned char bytes[8];
	uint16_t near;
	uint32_t offset;
	if (!read_bytes(musl, block - sizeof(bytes), bytes, sizeof(bytes)))
		return false;
	memcpy(&near, &bytes[6], sizeof(near));
	memcpy(&offset, &bytes[0], sizeof(offset));
	if (bytes[4] && near)
		return false;
	if (!bytes[4])
		offset = near;
	*reserved = bytes[5] >> 5;
	return (bytes[5] & 31) == slot->index &&
	       (uint64_t)offset * MUSL_UNIT == block - slot->group->memory - MUSL_UNIT;
}

/** Where in its slot the block begins; false if no header tells. */
static bool find_block(struct musl *musl, struct slot *slot)
{
	unsigned char bytes[HEADER];
	uint16_t offset;
	if (!read_bytes(musl, slot->start - HEADER, bytes, HEADER))
		return false;
	slot->block = slot->start;
	if (bytes[1] >> 5 != RESERVED_OFFSET)
		return header_fits(musl, slot, slot->block, &slot->reserved) &&
		       slot->reserved <= RESERVED_GROUP;
	// An offset too large for its 16 bits is cut, but the block's own header has all of it.
	memcpy(&offset, &bytes[2], sizeof(offset));
	uint64_t units = offset ? offset : OFFSET_WRAP;
	for (unsigned i = 0; i < MAX_WRAPS && units * MUSL_UNIT <= slot->end - slot->start;
	     i++, units += OFFSET_WRAP) {
		slot->block = slot->start + units * MUSL_UNIT;
		if (header_fits(musl, slot, slot->block, &slot->reserved) &&
		    slot->reserved <= RESERVED_GROUP)
			return true;
	}
	return false;
}

/** How much was asked for; false if what tells it cannot be. */
static bool find_size(struct musl *musl, const struct slot *slot, uint64_t *ret)
{
	uint32_t reserved = slot->reserved;
	if (reserved == RESERVED_FAR &&
	    (!read_bytes(musl, slot->end - sizeof(reserved), &reserved, sizeof(reserved)) ||
	     reserved < RESERVED_FAR))
		return false;
	if (reserved > slot->end - slot->block)
		return false;
	*ret = slot->end - slot->block - reserved;
	return true;
}

static void tell_damage(struct musl *musl, const struct slot *slot, const char *what)
{
	heap_damage(musl->heap, slot->start, slot->end - slot->start,
		    "musl: slot %u of the group at 0x%" PRIx64 ": expected %s", slot->index,
		    slot->group->memory, what);
}

/** Visits an allocated slot. */
static bool visit_allocated(struct musl *musl, struct slot *slot, size_t arena,
			    strobe_heap_visit visit, void *context)
{
	uint64_t size;
	if (!find_block(musl, slot)) {
		tell_damage(musl, slot, "the header of a block");
		return true;
	}
	if (slot->reserved == RESERVED_GROUP) {
		const struct musl_group *inner = musl_group_at(musl, slot->block);
		// Each is of a smaller class than the one that it is in: that is the limit of this recursion.
		if (inner && !inner->map_bytes && inner->class < slot->group->class &&
		    musl_group_end(inner) <= slot->end + HEADER)
			return musl_visit_group(musl, inner, arena, slot->end, visit, context);
		tell_damage(musl, slot, "a group");
		return true;
	}
	if (!find_size(musl, slot, &size)) {
		tell_damage(musl, slot, "a size that is less than the slot's");
		return true;
	}
	struct strobe_heap_block block = {.address = slot->block,
					  .size_bytes = size ? size : slot->end - slot->block,
					  .state = STROBE_HEAP_ALLOCATED,
					  .arena = arena,
					  .requested_bytes = size};
	return !block.size_bytes || visit(context, &block);
}

bool musl_visit_group(struct musl *musl, const struct musl_group *group, size_t arena, uint64_t end,
		      strobe_heap_visit visit, void *context)
{
	struct strobe_heap_block block = {.address = group->memory,
					  .size_bytes = MUSL_UNIT - HEADER,
					  .state = STROBE_HEAP_BOOKS,
					  .arena = arena};
	struct slot slot = {.group = group};
	uint64_t stride = musl_stride(group);
	if (group->memory + MUSL_UNIT > end || !visit(context, &block))
		return group->memory + MUSL_UNIT > end;
	for (slot.index = 0; slot.index <= group->last; slot.index++) {
		slot.start = group->memory + MUSL_UNIT + slot.index * stride;
		slot.end = slot.start + stride - HEADER;
		if (slot.end > end) // cut off by another's region
			return true;
		if (group->free_mask >> slot.index & 1) {
			block.address = slot.start;
			block.size_bytes = slot.end - slot.start;
			block.state =
				slot.index > group->active ? STROBE_HEAP_TOP : STROBE_HEAP_FREE;
			if (!visit(context, &block))
				return false;
		} else if (!visit_allocated(musl, &slot, arena, visit, context)) {
			return false;
		}
	}
	return true;
}
