// SPDX-License-Identifier: Apache-2.0
#include "snapshot/write_pack.h"

#include <assert.h>

#include "base/error.h"

size_t pack_spare(const struct layout *layout)
{
	uint64_t pages = layout_left_out(layout, LAYOUT_STORED) / PAGE_SIZE_BYTES;
	size_t count = layout->loads.count;
	if (pages < PACK_MIN_PAGES || count >= PACK_LOADS)
		return 0;
	// No more than every fourth page begins another stretch, else headers get larger than what
	// they are for.
	return pages / 4 < PACK_LOADS - count ? (size_t)(pages / 4) : PACK_LOADS - count;
}

/** Passes what is not stored. */
static void pass(struct pack *pack)
{
	const struct layout *from = pack->from;
	while (pack->next < from->loads.count &&
	       from->loads.items[pack->next].kind != LAYOUT_STORED)
		pack->to.loads.items[pack->to.loads.count++] = from->loads.items[pack->next++];
	if (pack->next < from->loads.count)
		pack->at = from->loads.items[pack->next].start;
}

struct strobe_error *pack_init(struct pack *pack, const struct layout *from)
{
	*pack = (struct pack){.from = from, .to = *from, .spare = from->spare};
	pack->to.loads.items = NULL;
	pack->to.loads.count = pack->to.loads.capacity = 0;
	// All that can come, at once: nothing fails later.
	if (!array_reserve(&pack->to.loads, from->loads.count + from->spare + 1))
		return error_no_memory();
	pass(pack);
	return NULL;
}

void pack_fini(struct pack *pack)
{
	array_fini(&pack->to.loads);
}

/** The load of `to` that ends where the next pages begin, in the same load of `from`; NULL if none. */
static struct load *last_of(struct pack *pack)
{
	const struct load *now = &pack->from->loads.items[pack->next];
	struct load *last =
		pack->to.loads.count ? &pack->to.loads.items[pack->to.loads.count - 1] : NULL;
	return last && pack->at > now->start ? last : NULL;
}

/** Is there room for a load of zeros, one of pages behind it, and all that are still planned? */
static bool has_room(const struct pack *pack)
{
	size_t planned = pack->from->loads.count - pack->next - 1;
	return pack->to.loads.count + planned + 2 <= pack->from->loads.count + pack->spare;
}

bool pack_add(struct pack *pack, uint64_t count, bool zero)
{
	assert(pack->next < pack->from->loads.count);
	const struct load *now = &pack->from->loads.items[pack->next];
	struct load *last = last_of(pack);
	bool goes_on = last && last->kind == LAYOUT_ZEROS;
	uint32_t kind = zero && (goes_on || has_room(pack)) ? LAYOUT_ZEROS : LAYOUT_STORED;
	uint64_t end = pack->at + count * PAGE_SIZE_BYTES;
	assert(count && end <= now->end);
	if (last && last->kind == kind)
		last->end = end;
	else
		pack->to.loads.items[pack->to.loads.count++] =
			(struct load){pack->at, end, now->mapping, kind};
	pack->at = end;
	if (end == now->end) {
		pack->next++;
		pass(pack);
	}
	return kind == LAYOUT_ZEROS;
}

const struct layout *pack_layout(struct pack *pack)
{
	struct layout *to = &pack->to;
	assert(pack->next == pack->from->loads.count);
	assert(to->loads.count <= pack->from->loads.count + pack->spare);
	to->zeros_offset = to->data_offset + layout_left_out(to, LAYOUT_STORED);
	return to;
}
