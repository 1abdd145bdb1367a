// SPDX-License-Identifier: Apache-2.0
// Roots, as pieces of memory that do not overlap, and as what holds them: groups, threads, frames.
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "graph/building.h"

enum {
	NO_ENTITY = UINT32_MAX,
	LEAST_GAP = 8, // what is smaller between roots holds no address
};

/** Who holds a root: keys of entities. */
enum holder {
	HOLDER_THREAD = 1,
	HOLDER_FRAME,
	HOLDER_MODULE,
	HOLDER_LIBRARY,
	HOLDER_MAPPINGS,
};

struct collector {
	struct build *build;
	struct hash entities; // key -> number + 1
	bool short_of_memory;
};

static uint32_t number_or_none(size_t index)
{
	return index < UINT32_MAX ? (uint32_t)index : UINT32_MAX;
}

static uint32_t add_entity(struct collector *collector, const struct entity *entity)
{
	struct build *build = collector->build;
	if (!array_push(&build->entities, *entity)) {
		collector->short_of_memory = true;
		return NO_ENTITY;
	}
	return (uint32_t)(build->entities.count - 1);
}

static uint32_t name_thread(struct build *build, size_t index)
{
	const struct strobe_thread *thread = strobe_view_thread(build->view, index);
	cleanup_text struct text text = {0};
	text_printf(&text, "thread %d", thread->tid);
	if (thread->name)
		text_printf(&text, " \"%s\"", thread->name);
	return build_string(build, text_string(&text));
}

static uint32_t name_frame(struct build *build, const struct root *root)
{
	cleanup_text struct text text = {0};
	if (root->function && root->line)
		text_printf(&text, "%s:%u", root->function, root->line);
	else if (root->function)
		text_append(&text, root->function);
	else
		text_printf(&text, "frame %zu", root->frame);
	return build_string(build, text_string(&text));
}

static uint32_t name_holder(struct build *build, enum holder holder, const struct root *root)
{
	switch (holder) {
	case HOLDER_THREAD:
		return name_thread(build, root->thread);
	case HOLDER_FRAME:
		return name_frame(build, root);
	case HOLDER_MODULE:
		return build_string(build, strobe_view_module(build->view, root->module)->name);
	case HOLDER_LIBRARY:
		return build_string(build, "C library");
	case HOLDER_MAPPINGS:
		break;
	}
	return build_string(build, "mappings");
}

static uint8_t kind_of(enum holder holder)
{
	enum strobe_node_kind kind = holder == HOLDER_THREAD  ? STROBE_NODE_THREAD
				     : holder == HOLDER_FRAME ? STROBE_NODE_FRAME
							      : STROBE_NODE_GROUP;
	return (uint8_t)(ROOT_KIND_NODE + kind);
}

/** The entity of that kind that holds `root`, made when it is the first. */
static uint32_t holder_entity(struct collector *collector, enum holder holder,
			      const struct root *root)
{
	uint64_t key = (uint64_t)holder << 60, number;
	uint32_t parent = NO_ENTITY;
	if (holder == HOLDER_THREAD || holder == HOLDER_FRAME)
		key |= (uint64_t)root->thread << 32;
	if (holder == HOLDER_FRAME)
		key |= (uint32_t)root->frame;
	if (holder == HOLDER_MODULE)
		key |= (uint32_t)root->module;
	number = (uint64_t)(uintptr_t)hash_get(&collector->entities, key);
	if (number)
		return (uint32_t)(number - 1);
	if (holder == HOLDER_FRAME)
		parent = holder_entity(collector, HOLDER_THREAD, root);
	struct entity entity = {.parent = parent};
	entity.root = (struct graph_root){
		.name = name_holder(collector->build, holder, root),
		.kind = kind_of(holder),
		.thread = holder <= HOLDER_FRAME ? number_or_none(root->thread) : UINT32_MAX,
		.frame = holder == HOLDER_FRAME ? number_or_none(root->frame) : UINT32_MAX,
		.module = holder == HOLDER_MODULE ? number_or_none(root->module) : UINT32_MAX,
	};
	uint32_t added = add_entity(collector, &entity);
	if (added != NO_ENTITY &&
	    !hash_put(&collector->entities, key, (void *)(uintptr_t)((uint64_t)added + 1)))
		collector->short_of_memory = true;
	return added;
}

static uint32_t holder_of(struct collector *collector, const struct root *root)
{
	enum holder holder = HOLDER_MAPPINGS;
	if (root->thread < strobe_view_thread_count(collector->build->view))
		holder = root->frame != SIZE_MAX ? HOLDER_FRAME : HOLDER_THREAD;
	else if (root->kind == ROOT_LIBRARY)
		holder = HOLDER_LIBRARY;
	else if (root->module < strobe_view_module_count(collector->build->view))
		holder = HOLDER_MODULE;
	return holder_entity(collector, holder, root);
}

/** A root that is in no memory is an entity of its own, with values. */
static void add_values(struct collector *collector, const struct root *root, uint32_t holder)
{
	struct build *build = collector->build;
	struct entity entity = {.parent = holder, .type = root->type};
	if (build->values.count + root->value_count > UINT32_MAX || !root->value_count)
		return;
	entity.root = (struct graph_root){
		.name = build_string(build, root->name),
		.kind = (uint8_t)root->kind,
		.thread = number_or_none(root->thread),
		.frame = number_or_none(root->frame),
		.module = number_or_none(root->module),
		.value_begin = (uint32_t)build->values.count,
		.value_count = (uint32_t)root->value_count,
	};
	if (!array_reserve(&build->values, build->values.count + root->value_count)) {
		collector->short_of_memory = true;
		return;
	}
	memcpy(build->values.items + build->values.count, root->values,
	       root->value_count * sizeof(*root->values));
	build->values.count += root->value_count;
	add_entity(collector, &entity);
}

static bool visit_root(void *context, const struct root *root)
{
	struct collector *collector = context;
	struct build *build = collector->build;
	uint32_t holder = holder_of(collector, root);
	if (holder == NO_ENTITY)
		return false;
	if (!root->address) {
		add_values(collector, root, holder);
		return !collector->short_of_memory;
	}
	uint64_t size = root->size_bytes;
	if (size > -root->address) // the top of the address space
		size = -root->address;
	if (!size)
		return true;
	struct root_piece piece = {
		.address = root->address,
		.size = size,
		.type = root->type,
		.name = build_string(build, root->name),
		.entity = holder,
		.thread = number_or_none(root->thread),
		.frame = number_or_none(root->frame),
		.module = number_or_none(root->module),
		.kind = (uint8_t)root->kind,
	};
	if (!array_push(&build->pieces, piece))
		collector->short_of_memory = true;
	return !collector->short_of_memory && !build->strings.failed;
}

static int rank(const struct root_piece *piece)
{
	if (piece->kind == ROOT_MAPPING)
		return 2;
	return piece->kind == ROOT_FRAME || piece->kind == ROOT_DATA ? 1 : 0;
}

/** By rank, then address, larger ones first; what is equal stays in order. */
static int order(const void *a, const void *b)
{
	const struct root_piece *x = a, *y = b;
	if (rank(x) != rank(y))
		return rank(x) - rank(y);
	if (x->address != y->address)
		return x->address < y->address ? -1 : 1;
	if (x->size != y->size)
		return x->size > y->size ? -1 : 1;
	return x->entity != y->entity ? (x->entity < y->entity ? -1 : 1)
				      : (x->name > y->name) - (x->name < y->name);
}

typedef ARRAY(struct root_piece) root_pieces;

/** Adds [start, end) of a piece that is an area. */
static bool add_part(root_pieces *to, const struct root_piece *piece, uint64_t start, uint64_t end)
{
	struct root_piece part = *piece;
	part.address = start;
	part.size = end - start;
	if (start != piece->address || part.size != piece->size) {
		part.type = LENS_TYPE_NONE;
		if (part.size < LEAST_GAP)
			return true;
	}
	return array_push(to, part);
}

/** Puts `count` pieces, sorted, where `base` (sorted, not overlapping) leaves room, both into `ret`. */
static bool paint(const root_pieces *base, const struct root_piece *pieces, size_t count,
		  root_pieces *ret)
{
	size_t next = 0;
	uint64_t top = 0;
	for (size_t i = 0; i < count; i++) {
		const struct root_piece *piece = &pieces[i];
		uint64_t at = piece->address > top ? piece->address : top;
		uint64_t end = piece->address + piece->size;
		if (end < piece->address)
			end = UINT64_MAX;
		while (next < base->count && base->items[next].address < end) {
			const struct root_piece *over = &base->items[next];
			if (over->address > at && at < end &&
			    !add_part(ret, piece, at, over->address))
				return false;
			if (!array_push(ret, *over))
				return false;
			if (over->address + over->size > at)
				at = over->address + over->size;
			next++;
		}
		if (at < end && !add_part(ret, piece, at, end))
			return false;
		if (at > top || end > top)
			top = at > end ? at : end;
	}
	for (; next < base->count; next++)
		if (!array_push(ret, base->items[next]))
			return false;
	return true;
}

/** Variables: the first at a place has it, others are known by the same node. */
static bool settle_variables(struct build *build, size_t count, root_pieces *ret)
{
	uint64_t top = 0;
	for (size_t i = 0; i < count; i++) {
		const struct root_piece *piece = &build->pieces.items[i];
		if (piece->address < top) {
			if (!array_push(&build->aliases,
					(struct alias){piece->address, piece->entity}))
				return false;
			continue;
		}
		if (!array_push(ret, *piece))
			return false;
		top = piece->address + piece->size;
		if (top < piece->address)
			top = UINT64_MAX;
	}
	return true;
}

/** Makes pieces that do not overlap: a variable has its memory before an area, an area before a mapping. */
static bool settle(struct build *build)
{
	struct root_piece *items = build->pieces.items;
	size_t count = build->pieces.count, variables = 0, areas;
	root_pieces first = {0}, second = {0}, third = {0};
	if (count)
		qsort(items, count, sizeof(*items), order);
	while (variables < count && rank(&items[variables]) == 0)
		variables++;
	for (areas = variables; areas < count && rank(&items[areas]) == 1;)
		areas++;
	bool done = settle_variables(build, variables, &first) &&
		    paint(&first, items + variables, areas - variables, &second) &&
		    paint(&second, items + areas, count - areas, &third);
	array_fini(&first);
	array_fini(&second);
	array_fini(&build->pieces);
	build->pieces.items = third.items;
	build->pieces.count = third.count;
	build->pieces.capacity = third.capacity;
	return done;
}

static struct strobe_error *find_holes(struct build *build, struct root_options *options)
{
	size_t count = strobe_heap_region_count(build->heap);
	struct root_hole *holes = calloc(count ? count : 1, sizeof(*holes));
	if (!holes)
		return error_no_memory();
	for (size_t i = 0; i < count; i++) {
		const struct strobe_heap_region *region = strobe_heap_region(build->heap, i);
		holes[i] = (struct root_hole){region->start, region->end};
	}
	options->holes = holes;
	options->hole_count = count;
	return NULL;
}

// Arenas whose structures are variables of the C library: glibc's main_arena.
static struct strobe_error *find_books(struct build *build, struct root_options *options)
{
	size_t count = strobe_heap_arena_count(build->heap), used = 0;
	struct root_hole *books = calloc(count ? count : 1, sizeof(*books));
	if (!books)
		return error_no_memory();
	for (size_t i = 0; i < count; i++) {
		const struct strobe_heap_arena *arena = strobe_heap_arena(build->heap, i);
		if (arena->address && arena->size_bytes &&
		    strobe_view_module_at(build->view, arena->address) != SIZE_MAX)
			books[used++] = (struct root_hole){arena->address,
							   arena->address + arena->size_bytes};
	}
	options->books = books;
	options->book_count = used;
	return NULL;
}

struct strobe_error *build_roots(struct build *build)
{
	struct root_options options = {.max_frames = build->options.max_frames};
	struct collector collector = {.build = build};
	struct strobe_error *error = find_holes(build, &options);
	if (!error)
		error = find_books(build, &options);
	for (size_t i = 0; !error && i < strobe_view_thread_count(build->view); i++)
		holder_entity(&collector, HOLDER_THREAD, &(struct root){.thread = i});
	if (!error)
		error = lens_roots(build->lens, &options, visit_root, &collector);
	free((void *)options.holes);
	free((void *)options.books);
	hash_fini(&collector.entities);
	if (!error && (collector.short_of_memory || build->strings.failed || !settle(build)))
		error = error_no_memory();
	return error;
}
