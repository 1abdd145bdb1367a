// SPDX-License-Identifier: Apache-2.0
// Where jemalloc's radix tree is, without symbols.
//
// The tree has two levels of 18 bits each above the 12 of a page, or, if addresses could have 57 bits where jemalloc
// was compiled, three of 15. Its root is an array of pointers in the data of whichever module has jemalloc in it,
// nearly all of them 0. A word there that is at A and points to a leaf is the root's if some element of the leaf, number j,
// points to a description with an address whose bits 12 to 29 are j: its bits 30 to 46 then are the place i in the
// root, which begins at A - 8 i. That root is taken if all of it lies in the module's data, and its other pointers
// answer in the same way, each for its own place; 35 bits of address agree for every extent that is looked at, so chance
// finds no root. With three levels, bits 27 to 41 are the place in the node between.
#include "heap/jemalloc.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "view/view.h"

enum {
	CHUNK_WORDS = 4096,
	TRIED_ELEMENTS = 256, // of a leaf that may be damaged
	TRIED_POINTERS = 8,   // of a node that may be damaged
	TRIED_EXTENTS = 4096,
	PATIENCE = 1 << 16,
};
/** How much address space the leaves may cover: for each GiB one looks at 2 MiB, many times over. */
#define MAX_SPAN (UINT64_C(4) << 40)
#define SMALLEST_ROOT (UINT64_C(8) << 15)
#define EMPTY_LEAF (UINT64_MAX - 1)
/** What may be read of candidates that are none, for all of a module. */
#define MAX_TRIED_BYTES (UINT64_C(256) << 20)

/** Layouts that are known; `lg_quantum` is tried as well. In Redis's own copy of 5.2 a bit was put in. */
static const struct jemalloc_layout known_layouts[] = {
	{.state_shift = 17,
	 .state_bits = 3,
	 .class_shift = 20,
	 .packed_caches = true,
	 .version = "5.3"},
	{.state_shift = 16, .state_bits = 2, .class_shift = 18, .version = "5.1 or 5.2"},
	{.state_shift = 15, .state_bits = 2, .class_shift = 17, .version = "5.0"},
	{.state_shift = 17, .state_bits = 2, .class_shift = 19, .version = "5.2"},
};

static const struct jemalloc_tree known_trees[] = {
	{.levels = 2, .bits = 18, .packed = true},
	{.levels = 3, .bits = 15, .packed = false},
};

/** What is being looked through. */
struct search {
	struct jemalloc *jemalloc;
	uint64_t start, end; // of the data
	uint64_t tried_bytes;
	uint64_t words[CHUNK_WORDS];
};

/** Nodes and leaves lie in memory that jemalloc mapped for itself. */
static bool can_be_leaf(const struct strobe_view *view, uint64_t address)
{
	if (!address || address & ~JEMALLOC_POINTER || address >= JEMALLOC_USER_END)
		return false;
	const struct strobe_mapping *mapping = strobe_view_mapping_at(view, address);
	return mapping && mapping->permissions & STROBE_PERMISSION_WRITE &&
	       mapping->module_index == SIZE_MAX &&
	       (!mapping->path || strncmp(mapping->path, "[anon", 5) == 0);
}

/** What an element of the leaf at `place` in the root must say; UINT64_MAX as place: whichever it says. */
struct element {
	uint64_t word;
	uint64_t index; // in the leaf
	uint64_t place;
};

/** Does the element's extent agree with where the element is? Then its leaf's place in the root; else UINT64_MAX. An
 *  extent may begin in another leaf; where the place is sought, only one that begins at this element tells it. */
static uint64_t place_of(const struct jemalloc *jemalloc, const struct element *element)
{
	uint64_t words[3], description = element->word & JEMALLOC_POINTER;
	if (!jemalloc_read(jemalloc, description, words, 3) || words[1] >= JEMALLOC_USER_END ||
	    words[2] < JEMALLOC_PAGE)
		return UINT64_MAX;
	uint64_t first = words[1] / JEMALLOC_PAGE, pages = jemalloc_leaf_pages(&jemalloc->tree);
	if (element->place == UINT64_MAX)
		return first % pages == element->index ? first / pages : UINT64_MAX;
	uint64_t page = element->place * pages + element->index;
	return page >= first && page - first < words[2] / JEMALLOC_PAGE ? element->place
									: UINT64_MAX;
}

/** The place in the root that the leaf at `address` has by its own elements, or `place` if it can have that;
 *  UINT64_MAX if it is no leaf, EMPTY_LEAF if nothing tells. */
static uint64_t place_of_leaf(struct search *search, uint64_t address, uint64_t place)
{
	uint64_t words[JEMALLOC_WINDOW];
	const struct jemalloc_tree *tree = &search->jemalloc->tree;
	uint64_t step = tree->packed ? 1 : 2, count = jemalloc_leaf_pages(tree) * step;
	unsigned tried = 0;
	for (uint64_t i = 0; i < count; i += JEMALLOC_WINDOW) {
		size_t got = strobe_memory_read(search->jemalloc->view, address + i * 8, words,
						sizeof(words));
		search->tried_bytes += sizeof(words);
		for (size_t j = 0; j < got / 8; j += step) {
			struct element element = {words[j], (i + j) / step, place};
			if (!(words[j] & JEMALLOC_POINTER)) // where extents were joined
				continue;
			uint64_t found = place_of(search->jemalloc, &element);
			if (found != UINT64_MAX)
				return found;
			if (++tried == TRIED_ELEMENTS)
				return UINT64_MAX;
		}
		if (got < sizeof(words))
			break;
	}
	return tried ? UINT64_MAX : EMPTY_LEAF;
}

/** How many pointers of a tree lead where they should. */
struct tally {
	size_t good, bad;
};

/** Adds the leaves below the node at `address`, which has the places from `first` on; `level`: of the nodes that it points
 *  to, the last is the leaves'. */
static struct strobe_error *add_leaves(struct search *search, uint64_t address, uint64_t first,
				       uint64_t count, unsigned level, struct tally *tally)
{
	struct jemalloc *jemalloc = search->jemalloc;
	uint64_t words[JEMALLOC_WINDOW], below = UINT64_C(1) << jemalloc->tree.bits;
	uint64_t max_leaves = MAX_SPAN / jemalloc_leaf_span(&jemalloc->tree);
	struct strobe_error *error = NULL;
	for (uint64_t i = 0; !error && i < count; i += JEMALLOC_WINDOW) {
		uint64_t some = count - i < JEMALLOC_WINDOW ? count - i : JEMALLOC_WINDOW;
		size_t got = strobe_memory_read(jemalloc->view, address + i * 8, words, some * 8);
		for (uint64_t j = 0; !error && j < got / 8; j++) {
			uint64_t place = first + i + j, found = UINT64_MAX;
			struct jemalloc_leaf leaf = {place * jemalloc_leaf_span(&jemalloc->tree),
						     words[j]};
			if (!words[j])
				continue;
			bool can = can_be_leaf(jemalloc->view, words[j]);
			if (can && level < jemalloc->tree.levels) { // one level, no deeper
				error = add_leaves(search, words[j], place * below, below,
						   level + 1, tally);
				continue;
			}
			if (can)
				found = place_of_leaf(search, words[j], place);
			tally->good += found == place;
			tally->bad += found == UINT64_MAX;
			if (found == place && jemalloc->leaves.count < max_leaves &&
			    !array_push(&jemalloc->leaves, leaf))
				return error_no_memory();
		}
	}
	return error;
}

static int compare_places(const void *a, const void *b)
{
	const struct jemalloc_leaf *left = a, *right = b;
	return left->start < right->start ? -1 : left->start > right->start;
}

static int compare_leaves(const void *a, const void *b)
{
	const struct jemalloc_leaf *left = a, *right = b;
	if (left->address != right->address)
		return left->address < right->address ? -1 : 1;
	return compare_places(a, b);
}

/** Leaves out leaves that lie in others, so that no memory is looked at as the leaf of several places. */
static void part_leaves(struct jemalloc *jemalloc, struct tally *tally)
{
	struct jemalloc_leaf *leaves = jemalloc->leaves.items;
	uint64_t size = jemalloc_root_bytes(&jemalloc->tree) * (jemalloc->tree.packed ? 1 : 2);
	size_t kept = 0;
	if (!jemalloc->leaves.count)
		return;
	qsort(leaves, jemalloc->leaves.count, sizeof(*leaves), compare_leaves);
	for (size_t i = 0; i < jemalloc->leaves.count; i++)
		if (!kept || leaves[i].address - leaves[kept - 1].address >= size)
			leaves[kept++] = leaves[i];
	tally->bad += jemalloc->leaves.count - kept;
	tally->good -= jemalloc->leaves.count - kept;
	jemalloc->leaves.count = kept;
	qsort(leaves, kept, sizeof(*leaves), compare_places);
}

/** Collects the leaves of a root; false if most of its pointers are to no leaf. */
static struct strobe_error *try_root(struct search *search, uint64_t root, bool *ret)
{
	struct jemalloc *jemalloc = search->jemalloc;
	struct tally tally = {0};
	uint64_t above = (uint64_t)JEMALLOC_PAGE
			 << jemalloc->tree.bits * (jemalloc->tree.levels - 1);
	jemalloc->leaves.count = 0;
	jemalloc->window_count = 0; // of another root's leaves
	jemalloc->root = root;
	struct strobe_error *error =
		add_leaves(search, root, 0, JEMALLOC_USER_END / above, 2, &tally);
	part_leaves(jemalloc, &tally);
	jemalloc->bad_leaves = tally.bad;
	*ret = !error && tally.good > 0 && tally.good >= tally.bad;
	return error;
}

/** How well a layout explains the extents, of the first some thousand: those that it makes believable. */
static size_t vote(struct jemalloc *jemalloc, const struct jemalloc_layout *layout)
{
	struct jemalloc_extent extent;
	uint64_t cursor = 0;
	size_t count = 0;
	jemalloc->layout = *layout;
	jemalloc->window_count = 0; // it was read as another layout has it
	jemalloc->patience = PATIENCE;
	for (size_t tried = 0; tried < TRIED_EXTENTS; tried++) {
		if (!jemalloc_next_extent(jemalloc, &cursor, JEMALLOC_USER_END, false, &extent))
			break;
		unsigned free_count = 0;
		for (size_t i = 0; i < JEMALLOC_SLAB_BLOCKS / 64; i++)
			free_count += (unsigned)__builtin_popcountll(extent.free_map[i]);
		uint64_t size = jemalloc_class_size(layout, extent.class);
		count += extent.active && (!extent.slab || (extent.size_bytes % size == 0 &&
							    free_count == extent.free_count));
	}
	return count;
}

/** Takes the layout that explains most; false if none explains enough. */
static bool choose_layout(struct jemalloc *jemalloc)
{
	struct jemalloc_layout best = {0};
	size_t most = 0;
	for (size_t i = 0; i < sizeof(known_layouts) / sizeof(known_layouts[0]); i++)
		for (unsigned lg_quantum = 4; lg_quantum >= 3; lg_quantum--) {
			struct jemalloc_layout layout = known_layouts[i];
			layout.lg_quantum = lg_quantum;
			size_t votes = vote(jemalloc, &layout);
			if (votes <= most)
				continue;
			most = votes;
			best = layout;
		}
	jemalloc->layout = best;
	jemalloc->window_count = 0;
	return most >= 2;
}

/** The place in the root of the node at `address`, by a leaf below it; UINT64_MAX if it is none. */
static uint64_t place_of_node(struct search *search, uint64_t address)
{
	const struct jemalloc_tree *tree = &search->jemalloc->tree;
	uint64_t words[JEMALLOC_WINDOW], count = UINT64_C(1) << tree->bits;
	unsigned tried = 0;
	for (uint64_t i = 0; i < count; i += JEMALLOC_WINDOW) {
		size_t got = strobe_memory_read(search->jemalloc->view, address + i * 8, words,
						sizeof(words));
		search->tried_bytes += sizeof(words);
		for (size_t j = 0; j < got / 8; j++) {
			if (!words[j])
				continue;
			uint64_t place = can_be_leaf(search->jemalloc->view, words[j])
						 ? place_of_leaf(search, words[j], UINT64_MAX)
						 : UINT64_MAX;
			if (place < EMPTY_LEAF && place % count == i + j)
				return place / count;
			if (++tried == TRIED_POINTERS)
				return UINT64_MAX;
		}
		if (got < sizeof(words))
			break;
	}
	return UINT64_MAX;
}

/** Is the word at `address` a pointer of the root of a tree of that kind? */
static struct strobe_error *try_word(struct search *search, const struct jemalloc_tree *tree,
				     uint64_t address, uint64_t word, bool *found)
{
	search->jemalloc->tree = *tree;
	uint64_t root_bytes = jemalloc_root_bytes(tree);
	if (search->end - search->start < root_bytes)
		return NULL;
	uint64_t place = tree->levels == 2 ? place_of_leaf(search, word, UINT64_MAX)
					   : place_of_node(search, word);
	if (place >= root_bytes / 8 || place * 8 > address - search->start)
		return NULL;
	uint64_t root = address - place * 8;
	if (search->end - root < root_bytes)
		return NULL;
	struct strobe_error *error = try_root(search, root, found);
	if (!error && *found)
		*found = choose_layout(search->jemalloc);
	return error;
}

/** Tries the word at `address` as each kind of tree has it. */
static struct strobe_error *try_trees(struct search *search, uint64_t address, uint64_t word,
				      bool *found)
{
	struct strobe_error *error = NULL;
	if (!can_be_leaf(search->jemalloc->view, word))
		return NULL;
	for (size_t i = 0; i < sizeof(known_trees) / sizeof(known_trees[0]) && !error && !*found;
	     i++)
		error = try_word(search, &known_trees[i], address, word, found);
	return error;
}

static struct strobe_error *search_data(struct search *search, bool *found)
{
	for (uint64_t at = search->start; at < search->end && !*found;
	     at += sizeof(search->words)) {
		uint64_t size = search->end - at;
		if (size > sizeof(search->words))
			size = sizeof(search->words);
		size_t got = strobe_memory_read(search->jemalloc->view, at, search->words, size);
		for (size_t i = 0; i < got / 8 && !*found; i++) {
			struct strobe_error *error =
				try_trees(search, at + i * 8, search->words[i], found);
			if (error || search->tried_bytes > MAX_TRIED_BYTES)
				return error;
		}
	}
	return NULL;
}

struct strobe_error *jemalloc_find_root(struct jemalloc *jemalloc, size_t *module, bool *found)
{
	struct search search = {.jemalloc = jemalloc};
	*found = false;
	for (; *module < strobe_view_module_count(jemalloc->view) && !*found; ++*module) {
		search.tried_bytes = 0;
		jemalloc->module_index = *module;
		for (size_t i = 0; !*found && view_module_data(jemalloc->view, *module, i,
							       &search.start, &search.end);
		     i++) {
			search.start = (search.start + 7) & ~UINT64_C(7);
			if (search.end < search.start || search.end - search.start < SMALLEST_ROOT)
				continue;
			struct strobe_error *error = search_data(&search, found);
			if (error)
				return error;
		}
	}
	return NULL;
}
