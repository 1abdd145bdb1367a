// SPDX-License-Identifier: Apache-2.0
// Roots: told in order, with a list of the memory that was told already.
#include "lens/roots_build.h"

#include <string.h>

#include "base/error.h"

const char *root_kind_name(enum root_kind kind)
{
	static const char *const names[] = {
		[ROOT_ARGUMENT] = "argument", [ROOT_LOCAL] = "local",
		[ROOT_FRAME] = "frame",	      [ROOT_REGISTER] = "register",
		[ROOT_GLOBAL] = "global",     [ROOT_THREAD_LOCAL] = "thread-local",
		[ROOT_STATIC] = "static",     [ROOT_DATA] = "data",
		[ROOT_LIBRARY] = "library",   [ROOT_MAPPING] = "mapping",
	};
	return (size_t)kind < sizeof(names) / sizeof(*names) ? names[kind] : "unknown";
}

static uint32_t type_id(struct roots *roots, struct type *type)
{
	uint32_t id = (uint32_t)(uintptr_t)hash_get(&roots->type_ids, (uintptr_t)type);
	if (id)
		return id - 1;
	id = lens_type_id(roots->lens, type);
	if (!hash_put(&roots->type_ids, (uintptr_t)type, (void *)(uintptr_t)(id + 1)))
		roots->short_of_memory = true;
	return id;
}

bool roots_set_type(struct roots *roots, struct root *root, struct type *type)
{
	root->size_bytes = value_type_size(roots->symbols, type);
	if (root->size_bytes) {
		root->type = type_id(roots, type);
		return true;
	}
	enum type_kind kind = type_strip(roots->symbols, type)->kind;
	root->size_bytes = ROOT_WORD;
	return kind == TYPE_STRUCT || kind == TYPE_CLASS || kind == TYPE_UNION;
}

bool roots_tell(struct roots *roots, const struct root *root)
{
	if (!roots->stopped && !roots->short_of_memory)
		roots->stopped = !roots->visit(roots->context, root);
	return !roots->stopped && !roots->short_of_memory;
}

uint64_t *roots_words(struct roots *roots, size_t size)
{
	size_t count = (size + ROOT_WORD - 1) / ROOT_WORD;
	uint64_t *words = arena_alloc(&roots->symbols->arena, (count ? count : 1) * ROOT_WORD);
	roots->short_of_memory |= !words;
	return words;
}

bool roots_take_words(struct roots *roots, struct root *root)
{
	if (!root->size_bytes || root->size_bytes > ROOT_VALUE_LIMIT)
		return false;
	size_t size = (size_t)root->size_bytes;
	uint8_t first;
	if (!strobe_memory_read(roots->view, root->address, &first, 1) &&
	    !strobe_memory_read(roots->view, root->address + size - 1, &first, 1))
		return false;
	uint64_t *words = roots_words(roots, size);
	if (!words)
		return false;
	for (size_t done = 0; done < size;) {
		done += strobe_memory_read(roots->view, root->address + done, (char *)words + done,
					   size - done);
		uint64_t page = (root->address + done) | (ROOT_PAGE - 1);
		if (done < size) // a page that is not there
			done = (size_t)(page + 1 - root->address);
	}
	root->address = 0;
	root->values = words;
	root->value_count = (size + ROOT_WORD - 1) / ROOT_WORD;
	return true;
}

bool roots_tell_item(struct roots *roots, const struct root_set *set, const struct root_item *item)
{
	struct root root = item->root;
	if (item->lost && !roots_take_words(roots, &root))
		return !roots->short_of_memory;
	if (item->owner != ROOT_OWNER_NONE) {
		const struct root *owner = &set->items.items[item->owner].root;
		if (owner->frame == root.frame && strcmp(owner->name, root.name) == 0)
			return true;
		root.address = owner->address;
		root.size_bytes = owner->size_bytes;
		root.type = owner->type;
	}
	return roots_tell(roots, &root);
}

bool roots_is_hole(const struct roots *roots, uint64_t address)
{
	struct stretch next;
	return claims_next(&roots->holes, address, &next) && next.start <= address;
}

uint64_t roots_free_end(const struct roots *roots, uint64_t address, uint64_t end)
{
	struct stretch free;
	if (address >= end || !claims_free(&roots->claims, address, end, &free) ||
	    free.start != address)
		return address;
	if (!claims_free(&roots->holes, address, free.end, &free) || free.start != address)
		return address;
	return free.end;
}

bool roots_is_free(const struct roots *roots, uint64_t start, uint64_t end)
{
	return start < end && roots_free_end(roots, start, end) == end;
}

bool roots_claim(struct roots *roots, uint64_t start, uint64_t end)
{
	roots->short_of_memory |= !claims_add(&roots->claims, start, end);
	return !roots->short_of_memory;
}

static int by_number(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
	return x < y ? -1 : x > y;
}

static bool prepare(struct roots *roots)
{
	size_t count = strobe_view_thread_count(roots->view);
	if (!array_reserve(&roots->stack_pointers, count + 1))
		return false;
	for (size_t i = 0; i < count; i++) {
		const struct strobe_thread *thread = strobe_view_thread(roots->view, i);
		if (thread->has_registers)
			roots->stack_pointers.items[roots->stack_pointers.count++] = thread->sp;
	}
	if (roots->stack_pointers.count)
		qsort(roots->stack_pointers.items, roots->stack_pointers.count, sizeof(uint64_t),
		      by_number);
	for (size_t i = 0; i < roots->options->hole_count; i++)
		if (!claims_add(&roots->holes, roots->options->holes[i].start,
				roots->options->holes[i].end))
			return false;
	for (size_t i = 0; i < roots->options->book_count; i++)
		if (!roots_claim(roots, roots->options->books[i].start,
				 roots->options->books[i].end))
			return false;
	return roots_local_prepare(roots);
}

struct strobe_error *lens_roots(struct lens *lens, const struct root_options *options,
				root_visit visit, void *context)
{
	static const struct root_options none;
	struct roots roots = {
		.lens = lens,
		.symbols = lens_symbols(lens),
		.options = options ? options : &none,
		.visit = visit,
		.context = context,
	};
	roots.view = strobe_symbols_view(roots.symbols);
	if (!prepare(&roots))
		roots.short_of_memory = true;
	else if (roots_threads(&roots) && roots_modules(&roots))
		roots_mappings(&roots);
	claims_fini(&roots.claims);
	claims_fini(&roots.holes);
	hash_fini(&roots.type_ids);
	array_fini(&roots.stack_pointers);
	array_fini(&roots.dead);
	roots_local_fini(&roots);
	return roots.short_of_memory ? error_no_memory() : NULL;
}
