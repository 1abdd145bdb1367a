// SPDX-License-Identifier: Apache-2.0
#include "lens/roots_set.h"

enum { WORD = 8 };

bool root_set_add(struct root_set *set, const struct root *root)
{
	return set->items.count < ROOT_OWNER_NONE &&
	       array_push(&set->items, (struct root_item){.root = *root, .owner = ROOT_OWNER_NONE});
}

static uint64_t end_of(const struct root *root)
{
	return root->address + root->size_bytes;
}

static int by_place(const void *a, const void *b, void *context)
{
	const struct root_item *items = context;
	uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;
	const struct root *x = &items[left].root, *y = &items[right].root;
	if (x->address != y->address)
		return x->address < y->address ? -1 : 1;
	if (x->size_bytes != y->size_bytes)
		return x->size_bytes > y->size_bytes ? -1 : 1;
	return left < right ? -1 : left > right;
}

/** An item that overlaps the last owner. True if it takes that one's place. */
static bool contest(struct root_set *set, uint32_t last, uint32_t number)
{
	struct root_item *owner = &set->items.items[last], *item = &set->items.items[number];
	if (end_of(&item->root) <= end_of(&owner->root)) {
		item->owner = last;
		return false;
	}
	bool larger = item->root.size_bytes > owner->root.size_bytes;
	owner->lost = larger;
	item->lost = !larger;
	return larger;
}

bool root_set_settle(struct root_set *set)
{
	struct root_item *items = set->items.items;
	set->owners.count = 0;
	for (size_t i = 0; i < set->items.count; i++) {
		items[i].owner = ROOT_OWNER_NONE;
		items[i].lost = false;
		if (items[i].root.address && !array_push(&set->owners, (uint32_t)i))
			return false;
	}
	uint32_t *owners = set->owners.items;
	size_t kept = 0;
	if (set->owners.count)
		qsort_r(owners, set->owners.count, sizeof(*owners), by_place, items);
	for (size_t i = 0; i < set->owners.count; i++) {
		uint32_t number = owners[i];
		bool free = !kept ||
			    end_of(&items[owners[kept - 1]].root) <= items[number].root.address;
		if (free)
			owners[kept++] = number;
		else if (contest(set, owners[kept - 1], number))
			owners[kept - 1] = number;
	}
	set->owners.count = kept;
	// What lay in one that lost its memory has none either.
	for (size_t i = 0; i < set->items.count; i++) {
		if (items[i].owner != ROOT_OWNER_NONE && items[items[i].owner].lost) {
			items[i].owner = ROOT_OWNER_NONE;
			items[i].lost = true;
		}
	}
	return true;
}

size_t root_set_owner_after(const struct root_set *set, uint64_t address)
{
	size_t low = 0, high = set->owners.count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (end_of(&set->items.items[set->owners.items[middle]].root) <= address)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

bool root_set_gap(const struct root_set *set, uint64_t *at, uint64_t end, struct stretch *ret)
{
	for (size_t i = root_set_owner_after(set, *at); *at < end; i++) {
		const struct root *next =
			i < set->owners.count ? &set->items.items[set->owners.items[i]].root : NULL;
		uint64_t start = (*at + WORD - 1) & ~(uint64_t)(WORD - 1);
		uint64_t stop = next && next->address < end ? next->address : end;
		*at = next && next->address < end ? end_of(next) : end;
		stop &= ~(uint64_t)(WORD - 1);
		if (start < stop) {
			*ret = (struct stretch){start, stop};
			return true;
		}
	}
	return false;
}

void root_set_clear(struct root_set *set)
{
	set->items.count = set->owners.count = 0;
}

void root_set_fini(struct root_set *set)
{
	array_fini(&set->items);
	array_fini(&set->owners);
}
