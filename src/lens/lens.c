// SPDX-License-Identifier: Apache-2.0
#include "lens/lens.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "lens/table.h"

const char *lens_evidence_name(enum lens_evidence evidence)
{
	static const char *const names[] = {"none",    "alike",		"link",
					    "pointer", "virtual table", "declared"};
	return (unsigned)evidence < sizeof(names) / sizeof(names[0]) ? names[evidence] : "none";
}

struct strobe_error *lens_new(struct strobe_symbols *symbols, struct lens **ret)
{
	struct lens *lens = calloc(1, sizeof(*lens));
	if (!lens)
		return error_no_memory();
	lens->symbols = symbols;
	struct strobe_error *error = lens_find_ranges(lens);
	if (error) {
		lens_free(lens);
		return error;
	}
	*ret = lens;
	return NULL;
}

struct lens *lens_free(struct lens *lens)
{
	if (!lens)
		return NULL;
	hash_fini(&lens->by_type);
	hash_fini(&lens->by_key);
	hash_fini(&lens->by_name);
	hash_fini(&lens->alignments);
	hash_fini(&lens->extents);
	hash_fini(&lens->vtables);
	hash_fini(&lens->held);
	links_free(lens->links);
	free(lens->ranges);
	arena_fini(&lens->arena);
	free(lens);
	return NULL;
}

struct strobe_symbols *lens_symbols(const struct lens *lens)
{
	return lens->symbols;
}

uint32_t lens_type_count(const struct lens *lens)
{
	return lens->count;
}

const struct lens_type *lens_type(const struct lens *lens, uint32_t id)
{
	return id == 0 || id > lens->count ? NULL : &lens_entry(lens, id)->type;
}

bool lens_type_is_open(const struct lens *lens, uint32_t id)
{
	return id != 0 && id <= lens->count && lens_entry(lens, id)->flexible;
}

struct lens_entry *lens_lookup(const struct lens *lens, const char *key, uint64_t fingerprint)
{
	struct lens_entry *entry = hash_get(&lens->by_key, fingerprint);
	while (entry && strcmp(entry->key, key) != 0)
		entry = entry->next ? lens_entry(lens, entry->next) : NULL;
	return entry;
}

struct lens_entry *lens_add(struct lens *lens, const char *key, uint64_t fingerprint)
{
	uint32_t id = lens->count + 1;
	if (id >= LENS_TYPE_LIMIT)
		return NULL;
	struct lens_entry **page = &lens->pages[id >> LENS_PAGE_SHIFT];
	if (!*page)
		*page = arena_alloc(&lens->arena, LENS_PAGE_SIZE * sizeof(**page));
	key = *page ? arena_strdup(&lens->arena, key) : NULL;
	if (!key) {
		lens->failed = true;
		return NULL;
	}
	struct lens_entry *entry = lens_entry(lens, id);
	struct lens_entry *first = hash_get(&lens->by_key, fingerprint);
	*entry = (struct lens_entry){
		.id = id, .key = key, .fingerprint = fingerprint, .next = first ? first->id : 0};
	entry->type = (struct lens_type){.name = key, .language = "C", .vtable_offset = UINT64_MAX};
	if (!hash_put(&lens->by_key, fingerprint, entry)) {
		lens->failed = true;
		return NULL;
	}
	lens->count = id;
	return entry;
}

/** The first registered type of that name: what only the lens itself makes is found no other way. */
static uint32_t find_registered(struct lens *lens, const char *name)
{
	for (; lens->named < lens->count; lens->named++) {
		struct lens_entry *entry = lens_entry(lens, lens->named + 1);
		uint64_t hash = hash_bytes(entry->type.name, strlen(entry->type.name));
		if (!hash_get(&lens->by_name, hash) && !hash_put(&lens->by_name, hash, entry))
			break;
	}
	const struct lens_entry *entry = hash_get(&lens->by_name, hash_bytes(name, strlen(name)));
	return entry && strcmp(entry->type.name, name) == 0 ? entry->id : LENS_TYPE_NONE;
}

uint32_t lens_type_find(struct lens *lens, const char *name, size_t module_index, uint64_t offset,
			bool in_types)
{
	struct type *type = NULL;
	uint32_t id;
	if (module_index != SIZE_MAX)
		type = type_at(lens->symbols, module_index, offset, in_types);
	id = lens_type_id_as(lens, type, name);
	if (id && strcmp(lens_entry(lens, id)->type.name, name) == 0)
		return id;
	id = find_registered(lens, name);
	if (id)
		return id;
	type = type_find(lens->symbols, NULL, name);
	return type ? lens_type_id(lens, type) : LENS_TYPE_NONE;
}
