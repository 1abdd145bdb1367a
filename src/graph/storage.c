// SPDX-License-Identifier: Apache-2.0
#include "graph/storage.h"

#include <stdlib.h>
#include <sys/mman.h>

#include "base/array.h"

enum { HUGE_PAGE = 2 << 20 };

struct stretch {
	void *memory;
	size_t size;
};

struct graph_storage {
	ARRAY(struct stretch) stretches;
};

static void ask_for_huge(void *memory, size_t size)
{
	if (size >= 2 * (size_t)HUGE_PAGE)
		(void)madvise(memory, size, MADV_HUGEPAGE);
}

void *pages_new(size_t size)
{
	void *memory = mmap(NULL, size ? size : 1, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED)
		return NULL;
	ask_for_huge(memory, size);
	return memory;
}

void *pages_resize(void *memory, size_t old_size, size_t size)
{
	if (!memory)
		return pages_new(size);
	void *moved = mremap(memory, old_size ? old_size : 1, size ? size : 1, MREMAP_MAYMOVE);
	if (moved == MAP_FAILED)
		return NULL;
	ask_for_huge(moved, size);
	return moved;
}

void *pages_free(void *memory, size_t size)
{
	if (memory)
		(void)munmap(memory, size ? size : 1);
	return NULL;
}

struct graph_storage *graph_storage_new(void)
{
	return calloc(1, sizeof(struct graph_storage));
}

bool graph_storage_add(struct graph_storage *storage, void *memory, size_t size)
{
	return array_push(&storage->stretches, (struct stretch){memory, size});
}

struct graph_storage *graph_storage_free(struct graph_storage *storage)
{
	if (!storage)
		return NULL;
	for (size_t i = 0; i < storage->stretches.count; i++)
		pages_free(storage->stretches.items[i].memory, storage->stretches.items[i].size);
	array_fini(&storage->stretches);
	free(storage);
	return NULL;
}
