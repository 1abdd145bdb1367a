// SPDX-License-Identifier: Apache-2.0
#include "trace/cache.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

static size_t bucket_of(uint32_t stream, uint64_t block, uint32_t part)
{
	uint64_t key = (block * 31 + stream) * 31 + part;
	return (size_t)((key * UINT64_C(0x9e3779b97f4a7c15)) >> 40) % CACHE_BUCKETS;
}

void window_cache_init(struct window_cache *cache, uint64_t budget_bytes)
{
	memset(cache, 0, sizeof(*cache));
	cache->budget_bytes = budget_bytes;
	window_init(&cache->scratch);
}

static void free_entry(struct cached_window *entry)
{
	window_fini(&entry->window);
	free(entry);
}

static void unlink_age(struct window_cache *cache, struct cached_window *entry)
{
	*(entry->newer ? &entry->newer->older : &cache->newest) = entry->older;
	*(entry->older ? &entry->older->newer : &cache->oldest) = entry->newer;
	entry->newer = entry->older = NULL;
}

static void link_newest(struct window_cache *cache, struct cached_window *entry)
{
	entry->older = cache->newest;
	entry->newer = NULL;
	*(cache->newest ? &cache->newest->newer : &cache->oldest) = entry;
	cache->newest = entry;
}

static void unlist(struct window_cache *cache, struct cached_window *entry)
{
	struct cached_window **at =
		&cache->buckets[bucket_of(entry->stream, entry->block, entry->part)];
	while (*at != entry)
		at = &(*at)->next;
	*at = entry->next;
	entry->next = NULL;
	unlink_age(cache, entry);
	cache->bytes -= entry->bytes;
	entry->listed = false;
	if (entry->pins == 0)
		free_entry(entry);
}

static void list(struct window_cache *cache, struct cached_window *entry)
{
	struct cached_window **bucket =
		&cache->buckets[bucket_of(entry->stream, entry->block, entry->part)];
	entry->next = *bucket;
	*bucket = entry;
	link_newest(cache, entry);
	cache->bytes += entry->bytes;
	entry->listed = true;
}

void window_cache_fini(struct window_cache *cache)
{
	while (cache->newest) {
		assert(cache->newest->pins == 0);
		unlist(cache, cache->newest);
	}
	window_fini(&cache->scratch);
}

static struct cached_window *find(const struct window_cache *cache, uint32_t stream, uint64_t block,
				  uint32_t part)
{
	struct cached_window *entry = cache->buckets[bucket_of(stream, block, part)];
	while (entry && (entry->stream != stream || entry->block != block || entry->part != part))
		entry = entry->next;
	return entry;
}

static void keep_budget(struct window_cache *cache)
{
	struct cached_window *entry = cache->oldest;
	while (entry && cache->bytes > cache->budget_bytes) {
		struct cached_window *newer = entry->newer;
		if (entry->pins == 0)
			unlist(cache, entry);
		entry = newer;
	}
}

/** A copy of the parts, with an end behind the last. */
static bool copy_parts(struct window *to, const struct window *from)
{
	size_t count = from->parts.count;
	to->parts.items = reallocarray(NULL, count + 1, sizeof(*to->parts.items));
	if (!to->parts.items)
		return false;
	if (count)
		memcpy(to->parts.items, from->parts.items, count * sizeof(*to->parts.items));
	to->parts.items[count] = (struct window_part){.first_item = from->item_count};
	to->parts.count = count;
	to->parts.capacity = count + 1;
	return true;
}

#define COPY(to, from)                                                                             \
	((from)->count == 0 || (array_reserve_exactly((void **)&(to)->items, (from)->items,        \
						      (from)->count, sizeof(*(from)->items)) &&    \
				((to)->count = (to)->capacity = (from)->count)))

static bool array_reserve_exactly(void **to, const void *from, size_t count, size_t size)
{
	*to = reallocarray(NULL, count, size);
	if (*to)
		memcpy(*to, from, count * size);
	return *to != NULL;
}

/** A copy of no more than its size, that takes over the texts. */
static struct cached_window *copy_to_size(struct window *from)
{
	struct cached_window *entry = calloc(1, sizeof(*entry));
	if (!entry)
		return NULL;
	struct window *to = &entry->window;
	window_init(to);
	if (!copy_parts(to, from) || !COPY(&to->notes, &from->notes) ||
	    !COPY(&to->clocks, &from->clocks) || !COPY(&to->cuts, &from->cuts)) {
		free_entry(entry);
		return NULL;
	}
	to->item_count = from->item_count;
	to->instruction_count = from->instruction_count;
	to->complete = from->complete;
	to->more = from->more;
	to->cpu = from->cpu;
	to->arena = from->arena;
	from->arena = (struct arena){0};
	entry->bytes = sizeof(*entry) + to->parts.capacity * sizeof(*to->parts.items) +
		       to->notes.count * sizeof(*to->notes.items) +
		       to->clocks.count * sizeof(*to->clocks.items) +
		       to->cuts.count * sizeof(*to->cuts.items) + to->arena.size_bytes;
	return entry;
}

static bool has_enough(const struct window *window, const struct source_want *want)
{
	return window->complete || window->item_count > want->enough;
}

static void take_newest(struct window_cache *cache, struct cached_window *entry)
{
	entry->pins++;
	if (cache->newest != entry) {
		unlink_age(cache, entry);
		link_newest(cache, entry);
	}
}

struct strobe_error *window_cache_get(struct window_cache *cache, const struct trace_source *source,
				      void *decoder, uint32_t stream, uint64_t block,
				      const struct source_want *want, struct cached_window **ret)
{
	struct cached_window *entry = find(cache, stream, block, want->part);
	if (entry && has_enough(&entry->window, want)) {
		take_newest(cache, entry);
		*ret = entry;
		return NULL;
	}
	struct source_want wanted = *want;
	if (entry) // a part of it was not enough: all of it, so that no window is decoded a third time
		wanted.enough = UINT32_MAX;
	struct strobe_error *error =
		source->ops->decode(decoder, stream, block, &wanted, &cache->scratch);
	if (error)
		return error;
	assert(has_enough(&cache->scratch, &wanted));
	cache->decoded++;
	struct cached_window *fresh = copy_to_size(&cache->scratch);
	if (!fresh)
		return error_no_memory();
	if (entry)
		unlist(cache, entry);
	fresh->stream = stream;
	fresh->block = block;
	fresh->part = want->part;
	fresh->pins = 1;
	list(cache, fresh);
	keep_budget(cache);
	*ret = fresh;
	return NULL;
}

void window_cache_pin(struct cached_window *entry)
{
	entry->pins++;
}

struct cached_window *window_cache_unpin(struct window_cache *cache, struct cached_window *entry)
{
	if (!entry)
		return NULL;
	assert(entry->pins > 0);
	if (--entry->pins == 0 && !entry->listed)
		free_entry(entry);
	else if (entry->pins == 0)
		keep_budget(cache);
	return NULL;
}

void window_cache_check(const struct window_cache *cache)
{
	uint64_t bytes = 0, pinned = 0;
	for (const struct cached_window *entry = cache->newest; entry; entry = entry->older) {
		assert(entry->listed);
		assert(find(cache, entry->stream, entry->block, entry->part) == entry);
		assert(entry->older ? entry->older->newer == entry : cache->oldest == entry);
		bytes += entry->bytes;
		pinned += entry->pins ? entry->bytes : 0;
	}
	assert(bytes == cache->bytes);
	assert(bytes <= cache->budget_bytes || bytes == pinned);
}
