// SPDX-License-Identifier: Apache-2.0
#include "base/arena.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_CHUNK = 4096, LARGEST_CHUNK = 1 << 20, ALIGNMENT = 16 };

struct arena_chunk {
	struct arena_chunk *next;
	size_t size;
	_Alignas(ALIGNMENT) char bytes[];
};

void *arena_alloc(struct arena *arena, size_t size)
{
	if (size > SIZE_MAX - ALIGNMENT)
		return NULL;
	size = (size + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
	struct arena_chunk *chunk = arena->chunks;
	if (!chunk || chunk->size - arena->used < size) {
		size_t grown = !chunk			     ? FIRST_CHUNK
			       : chunk->size < LARGEST_CHUNK ? chunk->size * 2
							     : LARGEST_CHUNK;
		if (grown < size)
			grown = size;
		if (grown > SIZE_MAX - sizeof(*chunk))
			return NULL;
		struct arena_chunk *fresh = calloc(1, sizeof(*fresh) + grown);
		if (!fresh)
			return NULL;
		fresh->size = grown;
		fresh->next = chunk;
		arena->chunks = chunk = fresh;
		arena->used = 0;
		arena->size_bytes += grown;
	}
	void *result = chunk->bytes + arena->used;
	arena->used += size;
	return result;
}

char *arena_copy_string(struct arena *arena, const char *text, size_t size)
{
	char *copy = arena_alloc(arena, size + 1);
	if (copy)
		memcpy(copy, text, size);
	return copy;
}

char *arena_strdup(struct arena *arena, const char *text)
{
	return text ? arena_copy_string(arena, text, strlen(text)) : NULL;
}

char *arena_printf(struct arena *arena, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	char *text = NULL;
	int size = vasprintf(&text, format, args);
	va_end(args);
	if (size < 0)
		return NULL;
	char *copy = arena_copy_string(arena, text, (size_t)size);
	free(text);
	return copy;
}

void arena_fini(struct arena *arena)
{
	while (arena->chunks) {
		struct arena_chunk *next = arena->chunks->next;
		free(arena->chunks);
		arena->chunks = next;
	}
	*arena = (struct arena){0};
}
