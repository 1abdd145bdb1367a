// SPDX-License-Identifier: Apache-2.0
// Extents out of jemalloc's radix tree.
#include "heap/jemalloc.h"

#include <inttypes.h>
#include <string.h>

#include "view/view.h"

enum {
	ARENA_MASK = 0xfff,
	SLAB_BIT = 12,
	CLASS_MASK = 0xff,
	FREE_COUNT_MASK = 0x3ff,
	DESCRIPTION_WORDS = 16,
	FREE_MAP_WORD = 8, // of a description
	TINY = 8,	   // smallest class
	SMALL_MAX = 14336,
	LARGE_CLASSES = 196,
};

bool jemalloc_read(const struct jemalloc *jemalloc, uint64_t address, uint64_t *words, size_t count)
{
	return strobe_memory_read(jemalloc->view, address, words, count * sizeof(*words)) ==
	       count * sizeof(*words);
}

/** Classes come in groups of four; those of the first are one quantum apart, then each group is as long as
 *  all before it. A quantum of 16 has the class of 8 in front. */
uint64_t jemalloc_class_size(const struct jemalloc_layout *layout, unsigned class)
{
	unsigned tiny = layout->lg_quantum > 3;
	if (class >= jemalloc_small_classes(layout) + LARGE_CLASSES)
		return 0;
	if (class < tiny)
		return TINY;
	unsigned group = (class - tiny) >> 2, step = ((class - tiny) & 3) + 1;
	uint64_t quantum = UINT64_C(1) << layout->lg_quantum;
	if (group == 0)
		return step * quantum;
	return (quantum << (group + 1)) + (step * quantum << (group - 1));
}

unsigned jemalloc_small_classes(const struct jemalloc_layout *layout)
{
	return layout->lg_quantum > 3 ? 36 : 39;
}

/** Makes one word of each element of two: a pointer, and a word that differs between releases. */
static void pack_elements(const struct jemalloc *jemalloc, const uint64_t *pairs, uint64_t *words)
{
	for (size_t i = 0; i < JEMALLOC_WINDOW; i++) {
		uint64_t pointer = pairs[2 * i], bits = pairs[2 * i + 1];
		uint64_t class = bits, slab = bits >> 32 & 1;
		if (jemalloc->layout.packed_caches) { // 5.3: slab, head, three bits of state, class
			class = bits >> 5;
			slab = bits & 1;
		}
		words[i] = (pointer & JEMALLOC_POINTER) | (class & 0xffff) << 48 | slab;
	}
}

/** Reads elements `index` to `index` + JEMALLOC_WINDOW of a leaf into the window. */
static void fill_window(struct jemalloc *jemalloc, const struct jemalloc_leaf *leaf, uint64_t index)
{
	uint64_t pairs[2 * JEMALLOC_WINDOW];
	uint64_t *words = jemalloc->tree.packed ? jemalloc->window : pairs;
	size_t size = jemalloc->tree.packed ? sizeof(jemalloc->window) : sizeof(pairs);
	size_t got = strobe_memory_read(
		jemalloc->view, leaf->address + index * (size / JEMALLOC_WINDOW), words, size);
	memset((char *)words + got, 0, size - got);
	if (!jemalloc->tree.packed)
		pack_elements(jemalloc, pairs, jemalloc->window);
	jemalloc->window_start = leaf->start + index * JEMALLOC_PAGE;
	jemalloc->window_count = JEMALLOC_WINDOW;
}

/** The element of the tree for `page`; 0 where there is none. */
static uint64_t element_of(struct jemalloc *jemalloc, uint64_t page)
{
	uint64_t offset = (page - jemalloc->window_start) / JEMALLOC_PAGE;
	uint64_t span = jemalloc_leaf_span(&jemalloc->tree);
	if (page >= jemalloc->window_start && offset < jemalloc->window_count)
		return jemalloc->window[offset];
	size_t low = 0, high = jemalloc->leaves.count;
	while (low < high) {
		size_t middle = (low + high) / 2;
		if (jemalloc->leaves.items[middle].start + span <= page)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == jemalloc->leaves.count || jemalloc->leaves.items[low].start > page)
		return 0;
	uint64_t index = (page - jemalloc->leaves.items[low].start) / JEMALLOC_PAGE;
	fill_window(jemalloc, &jemalloc->leaves.items[low], index - index % JEMALLOC_WINDOW);
	return jemalloc->window[index % JEMALLOC_WINDOW];
}

/** NULL if a slab is as slabs are. */
static const char *check_slab(const struct jemalloc_layout *layout, struct jemalloc_extent *extent)
{
	if (extent->class >= jemalloc_small_classes(layout))
		return "a slab of no small size class";
	uint64_t size = jemalloc_class_size(layout, extent->class);
	uint64_t count = extent->size_bytes / size;
	if (count == 0 || count > JEMALLOC_SLAB_BLOCKS) // whoever sets slab_sizes may have a rest
		return "a slab whose size is not that of its blocks";
	// Words of the map that are not needed are what they were.
	for (uint64_t i = (count + 63) / 64; i < JEMALLOC_SLAB_BLOCKS / 64; i++)
		extent->free_map[i] = 0;
	if (count % 64 && extent->free_map[count / 64] >> count % 64)
		return "a slab with free blocks behind its end";
	if (extent->free_count > count)
		return "a slab with more free blocks than blocks";
	return NULL;
}

static const char *check_large(const struct jemalloc_layout *layout,
			       const struct jemalloc_extent *extent)
{
	uint64_t size = jemalloc_class_size(layout, extent->class);
	uint64_t end = extent->start + extent->size_bytes;
	if (!size || extent->address > end || size > end - extent->address)
		return "a large block that does not fit in its pages";
	// Small ones are whole extents where the profiler samples them.
	if (extent->class >= jemalloc_small_classes(layout) && extent->size_bytes != size &&
	    extent->size_bytes != size + JEMALLOC_PAGE)
		return "a large block whose pages are not as many as its size class needs";
	return NULL;
}

/** Takes a description apart; NULL if it can be one. */
static const char *take_apart(const struct jemalloc_layout *layout,
			      const uint64_t words[DESCRIPTION_WORDS], struct jemalloc_extent *ret)
{
	uint64_t bits = words[0];
	unsigned state = bits >> layout->state_shift & ((1U << layout->state_bits) - 1);
	ret->arena = bits & ARENA_MASK;
	ret->slab = bits >> SLAB_BIT & 1;
	ret->class = bits >> layout->class_shift & CLASS_MASK;
	ret->free_count = bits >> (layout->class_shift + 8) & FREE_COUNT_MASK;
	ret->address = words[1];
	ret->start = words[1] & ~(uint64_t)(JEMALLOC_PAGE - 1);
	ret->size_bytes = words[2] & ~(uint64_t)(JEMALLOC_PAGE - 1);
	ret->active = state == 0;
	memcpy(ret->free_map, &words[FREE_MAP_WORD], sizeof(ret->free_map));
	if (!ret->size_bytes || ret->start >= JEMALLOC_USER_END ||
	    ret->size_bytes > JEMALLOC_USER_END - ret->start)
		return "an extent of no possible size";
	if (ret->arena == ARENA_MASK || state > 5)
		return "an extent of no arena or state";
	if (ret->active)
		return ret->slab ? check_slab(layout, ret) : check_large(layout, ret);
	return NULL;
}

enum jemalloc_answer jemalloc_extent_of(struct jemalloc *jemalloc, uint64_t page,
					struct jemalloc_extent *ret, const char **why)
{
	uint64_t words[DESCRIPTION_WORDS], element = element_of(jemalloc, page);
	const char *ignored;
	if (!why)
		why = &ignored;
	if (!element)
		return JEMALLOC_NOTHING;
	ret->description = element & JEMALLOC_POINTER;
	if (!ret->description) // pages that were given back
		return JEMALLOC_NOTHING;
	*why = "a page whose extent cannot be read";
	if (!jemalloc_read(jemalloc, ret->description, words, DESCRIPTION_WORDS))
		return JEMALLOC_DAMAGED;
	*why = take_apart(&jemalloc->layout, words, ret);
	if (*why)
		return JEMALLOC_DAMAGED;
	*why = "a page that is not in the extent that it points to";
	if (page < ret->start || page - ret->start >= ret->size_bytes)
		return JEMALLOC_DAMAGED;
	*why = "an extent whose first and last page do not point to it";
	uint64_t last = ret->start + ret->size_bytes - JEMALLOC_PAGE;
	if ((element_of(jemalloc, ret->start) & JEMALLOC_POINTER) != ret->description ||
	    (element_of(jemalloc, last) & JEMALLOC_POINTER) != ret->description)
		return JEMALLOC_DAMAGED;
	*why = "a page whose size class is not that of its extent";
	if (ret->active && (element >> 48 != ret->class || (element & 1) != ret->slab))
		return JEMALLOC_DAMAGED;
	*why = NULL;
	return JEMALLOC_EXTENT;
}

/** The next page behind `page`, which has no element, that may have one: in the window, or where the next leaf begins. */
static uint64_t skip_window(const struct jemalloc *jemalloc, uint64_t page)
{
	uint64_t i = (page - jemalloc->window_start) / JEMALLOC_PAGE;
	if (page < jemalloc->window_start || i >= jemalloc->window_count)
		return page + JEMALLOC_PAGE;
	while (i < jemalloc->window_count && !jemalloc->window[i])
		i++;
	return jemalloc->window_start + i * JEMALLOC_PAGE;
}

/** The first page from `page` on, and before `end`, that has an element; else `end`. */
static uint64_t skip_nothing(struct jemalloc *jemalloc, uint64_t page, uint64_t end)
{
	size_t i = 0;
	uint64_t span = jemalloc_leaf_span(&jemalloc->tree);
	while (page < end && !element_of(jemalloc, page)) {
		// Whole leaves that do not exist are passed at once.
		while (i < jemalloc->leaves.count && jemalloc->leaves.items[i].start + span <= page)
			i++;
		if (i == jemalloc->leaves.count)
			return end;
		page = page < jemalloc->leaves.items[i].start ? jemalloc->leaves.items[i].start
							      : skip_window(jemalloc, page);
	}
	return page < end ? page : end;
}

bool jemalloc_next_extent(struct jemalloc *jemalloc, uint64_t *cursor, uint64_t end, bool tell,
			  struct jemalloc_extent *ret)
{
	uint64_t page = skip_nothing(jemalloc, *cursor, end), damaged = 0, damaged_end = 0;
	const char *first_why = NULL;
	bool found = false;
	while (page < end) {
		const char *why = NULL;
		enum jemalloc_answer answer = jemalloc_extent_of(jemalloc, page, ret, &why);
		found = answer == JEMALLOC_EXTENT && ret->start == page;
		if (found)
			break;
		if (answer == JEMALLOC_EXTENT) // damage before it hid that we are inside
			why = "the inside of an extent";
		if (!first_why && why) {
			damaged = page;
			first_why = why;
		}
		damaged_end = page + JEMALLOC_PAGE;
		if (!tell && (!jemalloc->patience || !--jemalloc->patience))
			page = end; // a tree of nothing but damage
		if (page < end)
			page = skip_nothing(jemalloc, page + JEMALLOC_PAGE, end);
	}
	if (tell && first_why)
		heap_damage(jemalloc->heap, damaged, damaged_end - damaged,
			    "jemalloc: expected an extent, found %s", first_why);
	*cursor = found ? page + ret->size_bytes : end;
	return found;
}

bool jemalloc_block_of(struct jemalloc *jemalloc, uint64_t address, struct jemalloc_extent *extent,
		       uint64_t *block)
{
	uint64_t page = address & ~(uint64_t)(JEMALLOC_PAGE - 1);
	if (address >= JEMALLOC_USER_END ||
	    jemalloc_extent_of(jemalloc, page, extent, NULL) != JEMALLOC_EXTENT || !extent->active)
		return false;
	if (!extent->slab) {
		*block = extent->address;
		return true;
	}
	uint64_t size = jemalloc_class_size(&jemalloc->layout, extent->class);
	uint64_t index = (address - extent->start) / size;
	*block = extent->start + index * size;
	return index < extent->size_bytes / size &&
	       !(extent->free_map[index / 64] >> index % 64 & 1);
}

bool jemalloc_block_around(struct jemalloc *jemalloc, uint64_t address, uint64_t *block)
{
	enum { MAX_PAGES = 64 };
	struct jemalloc_extent extent;
	uint64_t page = address & ~(uint64_t)(JEMALLOC_PAGE - 1);
	for (size_t i = 0; i < MAX_PAGES && page && page < JEMALLOC_USER_END; i++) {
		if (jemalloc_extent_of(jemalloc, page, &extent, NULL) == JEMALLOC_EXTENT)
			return address < extent.start + extent.size_bytes &&
			       jemalloc_block_of(jemalloc, extent.slab ? address : page, &extent,
						 block);
		page -= JEMALLOC_PAGE;
	}
	return false;
}
