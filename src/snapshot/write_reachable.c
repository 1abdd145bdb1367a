// SPDX-License-Identifier: Apache-2.0
#include "snapshot/write_reachable.h"

#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/error.h"
#include "base/hash.h"
#include "heap/local_block.h"
#include "lens/roots.h"
#include "snapshot/reachable_memory.h"
#include "snapshot/write_reachable_pages.h"
#include "view/view.h"

enum {
	PAGE = 4096,
	GUESSED_BLOCK = 256 * 1024, // of one block among these
	GUESSED_BYTES = 8 << 20, // of what is only guessed, and of what only global variables reach
	UNKNOWN_BYTES = 512,	 // kept of an object whose size nothing tells ...
	UNKNOWN_SCAN = 256,	 // ... and looked through
	LARGE_BLOCK = 64 * 1024, // from here on blocks are remembered, for pointers into them
	SEGMENT_LIMIT = 64,
	GUESS_LIMIT = 16 << 20, // kept for when all that is sure has been followed
};
#define USER_END (UINT64_C(1) << 47)

/** What is to be looked at: an address, and what its referrer knows. */
struct target {
	uint64_t address, count;
	uint32_t type;
};

typedef ARRAY(struct target) target_array;

/** A root without a type. */
struct root_area {
	uint64_t address, size_bytes;
	bool sure; // its words are the C library's, and no leftovers
};

/** A root with a type, kept until types are compiled. */
struct typed_root {
	uint64_t address, size_bytes;
	const uint64_t *values;
	uint32_t type, value_count;
};

struct reach {
	const struct strobe_view *view;
	const struct reachable_limits *limits;
	struct strobe_symbols *symbols;
	struct lens *lens;
	struct reachable_memory *memory;
	struct local_blocks *blocks;
	struct lens_memory reader;
	struct hash visited; // address -> type that it was walked as, + 1
	struct hash scanned; // start of a block that was looked through word by word
	ARRAY(struct local_block) large;
	ARRAY(struct typed_root) typed;
	ARRAY(struct root_area) areas;
	target_array now, next, guesses, waiting;
	ARRAY(uint64_t) vtables;	      // whose classes are not known yet
	const struct strobe_mapping *mapping; // looked up last
	struct reachable_pages pages;
	bool guessing; // guesses are followed with the rest
	bool short_of_memory;
};

/** The mapping of an address that may hold an object of the program's; NULL for others. */
static const struct strobe_mapping *mapping_of(struct reach *reach, uint64_t address)
{
	const struct strobe_mapping *mapping = reach->mapping;
	if (address < PAGE || address >= USER_END)
		return NULL;
	if (!mapping || address < mapping->start || address >= mapping->end)
		mapping = strobe_view_mapping_at(reach->view, address);
	if (!mapping)
		return NULL;
	reach->mapping = mapping;
	bool constant = mapping->module_index != SIZE_MAX &&
			!(mapping->permissions & STROBE_PERMISSION_WRITE);
	return constant || !(mapping->permissions & STROBE_PERMISSION_READ) ? NULL : mapping;
}

static uint64_t size_of_type(const struct reach *reach, uint32_t type)
{
	return type ? lens_type(reach->lens, type)->size_bytes : 0;
}

/** Was the object walked as that type, or a larger one? */
static bool is_visited(const struct reach *reach, const struct target *target)
{
	uintptr_t known = (uintptr_t)hash_get(&reach->visited, target->address);
	return known && (known - 1 == target->type || size_of_type(reach, (uint32_t)(known - 1)) >=
							      size_of_type(reach, target->type));
}

static bool take_reference(void *context, const struct lens_reference *reference)
{
	struct reach *reach = context;
	struct target target = {reference->target, reference->count, reference->type};
	if (reference->code || !mapping_of(reach, reference->target) || is_visited(reach, &target))
		return true;
	bool later = reference->guessed && !reach->guessing;
	if (later && reach->guesses.count >= GUESS_LIMIT)
		return true;
	bool kept = later ? array_push(&reach->guesses, target) : array_push(&reach->next, target);
	reach->short_of_memory |= !kept;
	return kept;
}

static void walk(struct reach *reach, uint32_t type, uint64_t address, uint64_t size,
		 uint64_t count, bool precise)
{
	struct strobe_error *error =
		lens_learn_object(reach->lens, &reach->reader, type, address, size, count);
	reach->short_of_memory |= error != NULL;
	strobe_error_free(error);
	lens_walk(reach->lens, &reach->reader, type, address, size, count, precise, take_reference,
		  reach, NULL);
}

/** The block that holds `address`: one of the large ones seen, or as its surroundings tell. */
static bool find_block(struct reach *reach, uint64_t address, struct local_block *ret)
{
	for (size_t i = reach->large.count; i-- > 0 && reach->large.count - i <= 64;) {
		const struct local_block *block = &reach->large.items[i];
		if (address >= block->start && address - block->start < block->size_bytes) {
			*ret = *block;
			return true;
		}
	}
	if (!local_block_at(reach->blocks, address, ret))
		return false;
	if (ret->size_bytes >= LARGE_BLOCK && !array_push(&reach->large, *ret))
		reach->short_of_memory = true;
	return true;
}

/** As is_visited(); if it was not, it is from now on. */
static bool was_visited(struct reach *reach, const struct target *target)
{
	if (is_visited(reach, target))
		return true;
	if (!hash_put(&reach->visited, target->address, (void *)((uintptr_t)target->type + 1)))
		reach->short_of_memory = true;
	return reach->short_of_memory;
}

static bool was_scanned(struct reach *reach, uint64_t start)
{
	if (hash_get(&reach->scanned, start))
		return true;
	if (!hash_put(&reach->scanned, start, reach))
		reach->short_of_memory = true;
	return reach->short_of_memory;
}

/** What the object is by its virtual table. False: that must be learnt first. */
static bool find_class(struct reach *reach, struct target *target)
{
	const struct lens_type *type = target->type ? lens_type(reach->lens, target->type) : NULL;
	uint64_t offset = type ? type->vtable_offset : 0, vtable = 0, above;
	size_t available;
	uint32_t id;
	if (offset == UINT64_MAX || target->count == LENS_COUNT_NONE)
		return true;
	const uint8_t *bytes =
		reachable_memory_at(reach->memory, target->address + offset, &available);
	if (!bytes || available < sizeof(vtable))
		return true;
	memcpy(&vtable, bytes, sizeof(vtable));
	if (!lens_may_be_vtable(reach->lens, vtable))
		return true;
	if (!lens_vtable_type(reach->lens, vtable, &id, &above)) {
		reach->short_of_memory |= !array_push(&reach->vtables, vtable);
		return false;
	}
	if (id && (!type || size_of_type(reach, id) > type->size_bytes)) {
		target->address += offset - above;
		target->type = id;
		target->count = 1;
	}
	return true;
}

/** Keeps an object in memory of no block that is known: as large as its type. */
static void look_at_unknown(struct reach *reach, const struct target *target,
			    const struct strobe_mapping *mapping, bool store)
{
	uint64_t size = size_of_type(reach, target->type), room = mapping->end - target->address;
	if (target->count && target->count != LENS_COUNT_NONE && size &&
	    __builtin_mul_overflow(size, target->count, &size))
		size = room;
	uint64_t scan = size > UNKNOWN_SCAN || !store ? size : UNKNOWN_SCAN;
	uint64_t whole = size > UNKNOWN_BYTES ? size : UNKNOWN_BYTES;
	if (store && !pages_keep(&reach->pages, target->address,
				 target->address + (whole < room ? whole : room)))
		return;
	// What lies behind it on a stack or in a module's data is looked at as itself.
	walk(reach, target->type, target->address, scan < room ? scan : room,
	     target->count ? target->count : 1, !store);
}

static void look_at_block(struct reach *reach, const struct target *target,
			  const struct local_block *block)
{
	uint64_t start = block->start, end = start + block->size_bytes;
	// One buffer is not to take all the room that there is for guesses.
	if (reach->guessing && !reach->limits->max_bytes && block->size_bytes > GUESSED_BLOCK) {
		start = target->address - start < GUESSED_BLOCK / 2
				? start
				: target->address - GUESSED_BLOCK / 2;
		end = end - start < GUESSED_BLOCK ? end : start + GUESSED_BLOCK;
	}
	if (!pages_keep(&reach->pages, start, end) || block->free || block->cache)
		return;
	if (!target->type) {
		if (!was_scanned(reach, start))
			walk(reach, 0, start, end - start, 0, false);
		return;
	}
	walk(reach, target->type, target->address, end - target->address, target->count, false);
	if (target->address > start && !was_scanned(reach, start))
		walk(reach, 0, start, target->address - start, 0, false);
}

/** `again`: its virtual table has been looked up. */
static void look_at(struct reach *reach, struct target target, bool again)
{
	struct local_block block;
	const struct strobe_mapping *mapping;
	if (is_visited(reach, &target) || !mapping_of(reach, target.address))
		return;
	if (!find_class(reach, &target) && !again) {
		reach->short_of_memory |= !array_push(&reach->waiting, target);
		return;
	}
	if (!(mapping = mapping_of(reach, target.address)) || was_visited(reach, &target))
		return;
	// Stacks and modules' data are kept anyway.
	bool heap = mapping->module_index == SIZE_MAX &&
		    !pages_are_roots(&reach->pages, target.address);
	if (heap && find_block(reach, target.address, &block))
		look_at_block(reach, &target, &block);
	else
		look_at_unknown(reach, &target, mapping, heap);
}

/** Those whose classes had to be looked up. */
static void look_again(struct reach *reach)
{
	if (!reach->waiting.count || reach->short_of_memory)
		return;
	struct strobe_error *error =
		lens_learn(reach->lens, reach->vtables.items, reach->vtables.count);
	reach->short_of_memory |= error != NULL;
	strobe_error_free(error);
	for (size_t i = 0;
	     i < reach->waiting.count && !reach->short_of_memory && !reach->pages.full; i++)
		look_at(reach, reach->waiting.items[i], true);
	reach->waiting.count = reach->vtables.count = 0;
}

/** From `next` on, breadth first, until there is nothing more or no room for it. */
static void follow(struct reach *reach, uint64_t budget)
{
	reach->pages.budget = budget;
	reach->pages.full = false;
	unsigned limit = reach->limits->max_depth;
	for (unsigned depth = 1; reach->next.count && (!limit || depth <= limit); depth++) {
		target_array now = reach->next;
		reach->next = reach->now;
		reach->next.count = 0;
		reach->now = now;
		for (size_t i = 0; i < now.count && !reach->pages.full && !reach->short_of_memory;
		     i++)
			look_at(reach, now.items[i], false);
		if (!reach->pages.full)
			look_again(reach);
		if (reach->pages.full || reach->short_of_memory)
			break;
	}
	reach->next.count = reach->waiting.count = reach->vtables.count = 0;
}

/** The C library's own lists of free blocks. */
static bool is_allocators(const struct root *root)
{
	return root->kind == ROOT_THREAD_LOCAL &&
	       (strcmp(root->name, "tcache") == 0 || strcmp(root->name, "thread_arena") == 0);
}

static bool take_root(void *context, const struct root *root)
{
	struct reach *reach = context;
	bool kept = true;
	if (root->thread == SIZE_MAX)
		return false; // modules are looked through word by word
	if (root->address)
		pages_keep_roots(&reach->pages, root->address, root->address + root->size_bytes);
	if (is_allocators(root))
		return true;
	if (root->type) {
		kept = array_push(&reach->typed,
				  (struct typed_root){root->address, root->size_bytes, root->values,
						      root->type, (uint32_t)root->value_count});
	} else if (root->address) {
		bool sure = root->kind == ROOT_LIBRARY && strcmp(root->name, "[stack]") != 0;
		kept = array_push(&reach->areas,
				  (struct root_area){root->address, root->size_bytes, sure});
	} else {
		for (size_t i = 0; kept && i < root->value_count; i++)
			kept = array_push(&reach->guesses, (struct target){root->values[i], 0, 0});
	}
	reach->short_of_memory |= !kept;
	return !reach->short_of_memory;
}

/** What frames, registers and thread-locals lead to: by types, then by guesses. */
static void follow_threads(struct reach *reach, uint64_t budget)
{
	for (size_t i = 0; i < reach->typed.count && !reach->short_of_memory; i++) {
		const struct typed_root *root = &reach->typed.items[i];
		reachable_memory_words(reach->memory, root->values, root->value_count);
		walk(reach, root->type, root->values ? REACHABLE_WORDS_AT : root->address,
		     root->size_bytes, 1, false);
	}
	for (size_t i = 0; i < reach->areas.count && !reach->short_of_memory; i++) {
		const struct root_area *area = &reach->areas.items[i];
		reach->guessing = area->sure;
		walk(reach, 0, area->address, area->size_bytes, 0, false);
	}
	reach->guessing = false;
	follow(reach, budget);
}

/** The budget of a stage that is guessed: what is left, or a little more than there is. */
static uint64_t guessed_budget(const struct reach *reach)
{
	uint64_t all = reach->limits->max_bytes;
	return all ? all : reach->pages.kept_bytes + GUESSED_BYTES;
}

static void follow_guesses(struct reach *reach)
{
	target_array guesses = reach->guesses;
	reach->guesses = reach->next;
	reach->next = guesses;
	reach->guessing = true;
	follow(reach, guessed_budget(reach));
}

static void follow_globals(struct reach *reach)
{
	uint64_t start, end;
	size_t modules = strobe_view_module_count(reach->view);
	for (size_t i = 0; i < modules; i++)
		for (size_t k = 0; k < SEGMENT_LIMIT && !reach->short_of_memory &&
				   view_module_data(reach->view, i, k, &start, &end);
		     k++)
			walk(reach, 0, start, end - start, 0, false);
	follow(reach, guessed_budget(reach));
}

static struct strobe_error *open_all(struct reach *reach)
{
	reach->memory = reachable_memory_new(reach->view);
	if (!reach->memory)
		return error_no_memory();
	reach->reader = (struct lens_memory){reachable_memory_at, reach->memory};
	struct strobe_error *error = strobe_symbols_open(reach->view, &reach->symbols);
	if (!error)
		error = lens_new(reach->symbols, &reach->lens);
	if (!error)
		error = local_blocks_open(reach->symbols, reachable_memory_at, reach->memory,
					  &reach->blocks);
	return error;
}

static struct strobe_error *find(struct reach *reach)
{
	uint64_t limit = reach->limits->max_bytes;
	struct strobe_error *error = open_all(reach);
	if (!error)
		error = lens_roots(reach->lens, NULL, take_root, reach);
	if (!error && !reach->short_of_memory)
		error = lens_compile(reach->lens);
	if (error)
		return error;
	follow_threads(reach, limit ? limit : UINT64_MAX);
	if (!reach->pages.full)
		follow_guesses(reach);
	if (!reach->pages.full || !limit)
		follow_globals(reach);
	return NULL;
}

static void release(struct reach *reach)
{
	local_blocks_close(reach->blocks);
	lens_free(reach->lens);
	strobe_symbols_close(reach->symbols);
	reachable_memory_free(reach->memory);
	reachable_pages_fini(&reach->pages);
	hash_fini(&reach->visited);
	hash_fini(&reach->scanned);
	array_fini(&reach->large);
	array_fini(&reach->typed);
	array_fini(&reach->areas);
	array_fini(&reach->now);
	array_fini(&reach->next);
	array_fini(&reach->guesses);
	array_fini(&reach->waiting);
	array_fini(&reach->vtables);
}

struct strobe_error *reachable_find(const struct strobe_view *view,
				    const struct reachable_limits *limits, struct stacks *stacks)
{
	struct reach reach = {.view = view, .limits = limits, .pages.view = view};
	struct strobe_error *error = find(&reach);
	if (!error)
		pages_add_to(&reach.pages, stacks);
	if (!error && (reach.short_of_memory || reach.pages.short_of_memory))
		error = error_no_memory();
	release(&reach);
	return error ? error : stacks_settle(stacks);
}
