// SPDX-License-Identifier: Apache-2.0
// container_of: which types have a member of another type at an offset.
#include <stdlib.h>
#include <string.h>
#include <strobe/symbols.h>
#include <strobe/view.h>

#include "base/error.h"
#include "lens/table.h"

/** Named limits: structures within each other; members of one that are looked at; elements of an array of links that are
 *  told apart; bytes of a container. */
enum {
	LINK_NESTING_LIMIT = 16,
	LINK_WORK_LIMIT = 20000,
	LINK_ELEMENT_LIMIT = 64,
	LINK_SIZE_LIMIT = 1 << 24
};

/** A member of type `link` at `offset` of type `container`. */
struct link {
	uint32_t link, container;
	uint64_t offset;
	uint64_t size; // of the container
};

/** What lens_learn_links() found. Invariants: `found` is sorted and runs parallel to `containers`. */
struct links {
	ARRAY(struct link) found;
	uint32_t *containers;
	ARRAY(uint32_t) learned; // links
};

struct links *links_free(struct links *links)
{
	if (!links)
		return NULL;
	array_fini(&links->found);
	array_fini(&links->learned);
	free(links->containers);
	free(links);
	return NULL;
}

/** A look through debug information. */
struct search {
	struct lens *lens;
	struct links *links;
	const uint32_t *wanted;
	size_t wanted_count;
	uint64_t smallest;  // of the wanted
	struct type *class; // that is being looked at, or the typedef that names it
	uint64_t size;	    // of the class
	uint32_t container; // its id, once it has a link
	unsigned budget;
	bool failed;
};

/** The id of the wanted type that `type` is; 0 if it is none. */
static uint32_t wanted_link(const struct search *search, struct type *type)
{
	for (size_t i = 0; i < search->wanted_count; i++) {
		const struct lens_type *link = &lens_entry(search->lens, search->wanted[i])->type;
		if (link->type && link->size_bytes == type->size &&
		    link->type->kind == type->kind &&
		    type_equal(search->lens->symbols, link->type, type))
			return search->wanted[i];
	}
	return LENS_TYPE_NONE;
}

static void keep_link(struct search *search, uint32_t link, uint64_t offset)
{
	if (!search->container)
		search->container = lens_type_id(search->lens, search->class);
	struct link found = {link, search->container, offset, search->size};
	if (search->container && !array_push(&search->links->found, found))
		search->failed = true;
}

static void find_links(struct search *search, struct type *type, uint64_t start, unsigned depth);

static void find_in_member(struct search *search, struct type *type, uint64_t offset,
			   unsigned depth)
{
	uint64_t count = 1, size;
	for (unsigned i = 0; type->kind == TYPE_ARRAY && type->target && i < LINK_NESTING_LIMIT;
	     i++) {
		if (type->dynamic || type->dimension.unknown ||
		    __builtin_mul_overflow(count, type->dimension.count, &count) ||
		    count > LINK_ELEMENT_LIMIT)
			return;
		type = type_strip(search->lens->symbols, type->target);
	}
	if ((type->kind != TYPE_STRUCT && type->kind != TYPE_CLASS && type->kind != TYPE_UNION) ||
	    !type_size(search->lens->symbols, type, &size) || size < search->smallest)
		return;
	uint32_t link = wanted_link(search, type);
	for (uint64_t i = 0; i < count && !search->failed; i++) {
		if (link)
			keep_link(search, link, offset + i * size);
		find_links(search, type, offset + i * size, depth + 1);
	}
}

static void find_links(struct search *search, struct type *type, uint64_t start, unsigned depth)
{
	for (size_t i = 0; i < type->member_count && depth < LINK_NESTING_LIMIT; i++) {
		const struct type_member *member = &type->members[i];
		if (search->budget == 0 || search->failed)
			return;
		search->budget--;
		if (member->static_member || member->virtual_base || member->bit_size ||
		    !member->type)
			continue;
		uint64_t offset = member->offset_bits / 8;
		if (offset < type->size)
			find_in_member(search, type_strip(search->lens->symbols, member->type),
				       start + offset, depth);
	}
}

static bool visit_structure(void *context, struct type *type)
{
	struct search *search = context;
	struct type *whole = type_strip(search->lens->symbols, type);
	if (!whole->size_known || whole->size <= search->smallest || whole->size > LINK_SIZE_LIMIT)
		return true;
	search->class = type;
	search->size = whole->size;
	search->container = LENS_TYPE_NONE;
	search->budget = LINK_WORK_LIMIT;
	find_links(search, whole, 0, 0);
	return !search->failed;
}

static int compare_links(const void *a, const void *b)
{
	const struct link *x = a, *y = b;
	if (x->link != y->link)
		return x->link < y->link ? -1 : 1;
	if (x->offset != y->offset)
		return x->offset < y->offset ? -1 : 1;
	if (x->size != y->size)
		return x->size < y->size ? -1 : 1;
	return x->container < y->container ? -1 : x->container > y->container;
}

/** Sorts what was found, each once. */
static bool put_in_order(struct links *links)
{
	size_t count = 0;
	struct link *items = links->found.items;
	if (links->found.count > 1)
		qsort(items, links->found.count, sizeof(*items), compare_links);
	for (size_t i = 0; i < links->found.count; i++)
		if (count == 0 || compare_links(&items[count - 1], &items[i]) != 0)
			items[count++] = items[i];
	links->found.count = count;
	uint32_t *containers = realloc(links->containers, (count + 1) * sizeof(*containers));
	if (!containers)
		return false;
	for (size_t i = 0; i < count; i++)
		containers[i] = items[i].container;
	links->containers = containers;
	return true;
}

static bool is_learned(const struct links *links, uint32_t link)
{
	for (size_t i = 0; i < links->learned.count; i++)
		if (links->learned.items[i] == link)
			return true;
	return false;
}

/** The structures among `links` that were not looked for before, behind those that were. */
static bool take_wanted(struct search *search, const uint32_t *links, size_t count)
{
	size_t before = search->links->learned.count;
	for (size_t i = 0; i < count; i++) {
		const struct lens_type *type = lens_type(search->lens, links[i]);
		if (!type || !type->type || type->size_bytes == 0 ||
		    is_learned(search->links, links[i]))
			continue;
		if (!array_push(&search->links->learned, links[i]))
			return false;
		if (type->size_bytes < search->smallest)
			search->smallest = type->size_bytes;
	}
	search->wanted_count = search->links->learned.count - before;
	if (search->wanted_count > 0)
		search->wanted = search->links->learned.items + before;
	return true;
}

struct strobe_error *lens_learn_links(struct lens *lens, const uint32_t *links, size_t count)
{
	if (!lens->links)
		lens->links = calloc(1, sizeof(*lens->links));
	if (!lens->links)
		return error_no_memory();
	struct search search = {.lens = lens, .links = lens->links, .smallest = UINT64_MAX};
	size_t before = lens->links->learned.count;
	bool good = take_wanted(&search, links, count);
	size_t modules = strobe_view_module_count(strobe_symbols_view(lens->symbols));
	for (size_t i = 0; i < modules && good && search.wanted_count > 0; i++)
		good = type_each_structure(lens->symbols, i, visit_structure, &search) &&
		       !search.failed;
	good = put_in_order(lens->links) && good;
	if (!good) {
		lens->links->learned.count = before;
		return error_no_memory();
	}
	return lens_compile(lens);
}

/** The first of `links` with that type and offset, or where it would be. */
static size_t find_first(const struct links *links, uint32_t link, uint64_t offset)
{
	size_t low = 0, high = links->found.count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const struct link *at = &links->found.items[middle];
		if (at->link < link || (at->link == link && at->offset < offset))
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

size_t lens_containers(const struct lens *lens, uint32_t link, uint64_t offset,
		       const uint32_t **ret)
{
	const struct links *links = lens->links;
	*ret = NULL;
	if (!links || !links->containers)
		return 0;
	size_t first = find_first(links, link, offset), end = first;
	while (end < links->found.count && links->found.items[end].link == link &&
	       links->found.items[end].offset == offset)
		end++;
	*ret = links->containers + first;
	return end - first;
}

uint32_t lens_container_of(const struct lens *lens, uint32_t link, uint64_t offset,
			   uint64_t size_bytes)
{
	// glibc rounds up to 16 n + 8, and to 24 at least; jemalloc by a quarter at most.
	enum { SLACK_BYTES = 15, SMALLEST_BLOCK = 24 };
	const uint32_t *containers;
	size_t count = lens_containers(lens, link, offset, &containers);
	while (count > 0 && lens_entry(lens, containers[count - 1])->type.size_bytes > size_bytes)
		count--;
	if (count == 0)
		return LENS_TYPE_NONE;
	uint64_t size = lens_entry(lens, containers[count - 1])->type.size_bytes;
	uint64_t left = size_bytes - size;
	if (left > SLACK_BYTES && left > size / 4 && size_bytes > SMALLEST_BLOCK)
		return LENS_TYPE_NONE;
	if (count > 1 && lens_entry(lens, containers[count - 2])->type.size_bytes == size)
		return LENS_TYPE_NONE;
	return containers[count - 1];
}
