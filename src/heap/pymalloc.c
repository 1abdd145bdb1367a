// SPDX-License-Identifier: Apache-2.0
// The reader of pymalloc: each of its arenas is a region.
#include "heap/pymalloc.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "view/view.h"

enum { MAX_VERSION = 24, MAX_INTERPRETERS = 256 };

static struct pymalloc *pymalloc_free(struct pymalloc *pymalloc)
{
	if (!pymalloc)
		return NULL;
	array_fini(&pymalloc->arenas);
	free(pymalloc);
	return NULL;
}

static bool take_address(void *context, const struct strobe_symbol *symbol)
{
	*(uint64_t *)context = symbol->address;
	return false;
}

/** CPython's version: Py_Version has had it since 3.11; else the module's name has two parts of it. Else "". */
static struct strobe_error *find_version(const struct pymalloc *pymalloc, char ret[MAX_VERSION])
{
	const struct strobe_module *module =
		strobe_view_module(pymalloc->view, pymalloc->module_index);
	uint64_t address = 0, version;
	unsigned major, minor;
	struct strobe_error *error =
		strobe_symbols_find(pymalloc->heap->symbols, STROBE_MATCH_EXACT, "Py_Version",
				    module->path, take_address, &address);
	*ret = 0;
	if (error && strobe_error_code(error) == STROBE_ERROR_NO_MEMORY)
		return error;
	strobe_error_free(error); // no such symbol, no version
	if (address && view_read_unsigned(pymalloc->view, address, 8, &version)) {
		snprintf(ret, MAX_VERSION, "%u.%u.%u", (unsigned)(version >> 24 & 0xff),
			 (unsigned)(version >> 16 & 0xff), (unsigned)(version >> 8 & 0xff));
		return NULL;
	}
	const char *name = strstr(module->name, "python");
	if (name && sscanf(name, "python%u.%u", &major, &minor) == 2)
		snprintf(ret, MAX_VERSION, "%u.%u", major, minor);
	return NULL;
}

/** Adds the allocator; takes over `pymalloc` if that succeeds. */
static struct strobe_error *add(struct pymalloc *pymalloc, bool *added)
{
	char version[MAX_VERSION], evidence[128];
	size_t arena;
	struct strobe_error *error = find_version(pymalloc, version);
	if (error)
		return error;
	snprintf(evidence, sizeof(evidence),
		 "array of arenas at 0x%" PRIx64 ", by the numbers in %" PRIu64 " KiB pools",
		 pymalloc->array, pymalloc->pool_bytes / 1024);
	struct strobe_heap_allocator told = {
		.name = "pymalloc",
		.version = *version ? version : NULL,
		.module = strobe_view_module(pymalloc->view, pymalloc->module_index)->name,
		.evidence = evidence};
	error = heap_add_allocator(pymalloc->heap, &pymalloc_reader, &told, pymalloc);
	*added = !error;
	if (!error)
		error = heap_add_arena(pymalloc->heap, pymalloc->heap->allocators.count - 1, "main",
				       pymalloc->array, &arena);
	for (size_t i = 0; !error && i < pymalloc->arenas.count; i++)
		error = heap_add_region(pymalloc->heap, arena, pymalloc->arenas.items[i].start,
					pymalloc->arenas.items[i].end);
	return error;
}

static struct strobe_error *find_one(struct strobe_heap *heap, size_t *module, bool *found)
{
	struct pymalloc *pymalloc = calloc(1, sizeof(*pymalloc));
	bool added = false;
	if (!pymalloc)
		return error_no_memory();
	pymalloc->heap = heap;
	pymalloc->view = heap->view;
	struct strobe_error *error = pymalloc_find_arenas(pymalloc, module, found);
	if (!error && *found)
		error = add(pymalloc, &added);
	if (!added)
		pymalloc_free(pymalloc);
	return error;
}

static struct strobe_error *find(struct strobe_heap *heap)
{
	struct strobe_error *error = NULL;
	size_t module = 0;
	bool found = true;
	for (size_t i = 0; !error && found && i < MAX_INTERPRETERS; i++)
		error = find_one(heap, &module, &found);
	return error;
}

static struct strobe_error *blocks(struct strobe_heap *heap, struct allocator *allocator,
				   const struct strobe_heap_region *region, strobe_heap_visit visit,
				   void *context, bool *stop)
{
	struct pymalloc *pymalloc = allocator->state;
	size_t low = 0, high = pymalloc->arenas.count;
	(void)heap;
	while (low < high) {
		size_t middle = (low + high) / 2;
		if (pymalloc->arenas.items[middle].start < region->start)
			low = middle + 1;
		else
			high = middle;
	}
	// A region that was cut off at its beginning is none of ours any more.
	if (low < pymalloc->arenas.count && pymalloc->arenas.items[low].start == region->start)
		*stop = !pymalloc_visit_arena(pymalloc, &pymalloc->arenas.items[low], region->end,
					      region->arena, visit, context);
	return NULL;
}

static void close_pymalloc(struct allocator *allocator)
{
	allocator->state = pymalloc_free(allocator->state);
}

const struct allocator_reader pymalloc_reader = {
	.name = "pymalloc",
	.find = find,
	.blocks = blocks,
	.close = close_pymalloc,
};
