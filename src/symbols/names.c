// SPDX-License-Identifier: Apache-2.0
// The index of global names: by the hash of a name's last component, 16 bytes an entry. What a
// query means with its scopes is checked on the few candidates alone.

#include "symbols/names.h"

#include <dwarf.h>
#include <stdlib.h>
#include <string.h>

#include "base/guard.h"
#include "symbols/function_table.h"
#include "symbols/line_table.h"
#include "symbols/qualify.h"
#include "symbols/sections.h"
#include "symbols/skim.h"
#include "symbols/unit_index.h"

enum { ENTRY_EXTERNAL = 1, ENTRY_DECLARATION = 2 };

struct entry {
	uint32_t hash;
	uint32_t unit;	 // slot
	uint32_t offset; // from the unit's start
	uint8_t kinds;
	uint8_t flags;
	uint16_t padding;
};
_Static_assert(sizeof(struct entry) == 16, "many of them");

struct names {
	ARRAY(struct entry) entries; // grouped by bucket once complete
	uint32_t *buckets;	     // where each bucket starts; one more than there are
	unsigned bits;		     // of the hash that choose a bucket
};

/** A set of 64-bit keys other than 0: open addressing, at most 3/4 full. */
struct key_set {
	uint64_t *keys;
	size_t count;
	size_t capacity; // a power of two, or 0
};

/** A name met in a unit: put into the index, or found to be there, once the unit is read, so that
 *  the memory that this takes to look up can be on its way. */
struct candidate {
	uint64_t key; // what makes it the same as another unit's; 0 = always new
	const char *name;
	uint32_t offset; // from the unit's start
	uint8_t kinds;
	uint8_t flags;
};

struct scan {
	struct names *names;
	struct key_set seen; // types: headers repeat themselves in thousands of units
	ARRAY(struct candidate) candidates;
	struct unit *unit;
	uint32_t slot;
	bool cxx; // tags are type names, too
	bool all; // keep every entry, whatever other units have
	bool filtered;
	uint32_t hash;			   // the only one wanted if `filtered`
	uint64_t scopes[SKIM_DEPTH_LIMIT]; // hash of the names around each level
	unsigned depth;
};

static uint64_t hash_name(const char *name)
{
	return hash_bytes(name, strlen(name));
}

struct names *names_free(struct names *names)
{
	if (!names)
		return NULL;
	array_fini(&names->entries);
	free(names->buckets);
	free(names);
	return NULL;
}

/** Equal for equal names of a module's own strings, which the linker has made unique: by their place
 *  alone, without reading them. */
static uint64_t name_identity(const struct unit *unit, const char *name)
{
	const struct section_bytes *strings = &unit->sections->of[SECTION_STR];
	uint64_t offset = (uintptr_t)name - (uintptr_t)strings->data;
	if (!unit->split && strings->data && offset < strings->size)
		return offset * UINT64_C(0x9e3779b97f4a7c15) + 1;
	return hash_name(name);
}

static size_t key_slot(const struct key_set *set, uint64_t key)
{
	return (size_t)(key ^ key >> 32) & (set->capacity - 1);
}

static bool key_set_grow(struct key_set *set)
{
	struct key_set grown = {.capacity = set->capacity ? set->capacity * 2 : 1024,
				.count = set->count};
	grown.keys = calloc(grown.capacity, sizeof(*grown.keys));
	if (!grown.keys)
		return false;
	for (size_t i = 0; i < set->capacity; i++) {
		if (!set->keys[i])
			continue;
		size_t slot = key_slot(&grown, set->keys[i]);
		while (grown.keys[slot])
			slot = (slot + 1) & (grown.capacity - 1);
		grown.keys[slot] = set->keys[i];
	}
	free(set->keys);
	*set = grown;
	return true;
}

/** Adds `key`; false if it is there already. Room has been made. */
static bool key_set_add(struct key_set *set, uint64_t key)
{
	size_t slot = key_slot(set, key);
	for (; set->keys[slot]; slot = (slot + 1) & (set->capacity - 1)) {
		if (set->keys[slot] == key)
			return false;
	}
	set->keys[slot] = key;
	set->count++;
	return true;
}

static unsigned kinds_of(const struct scan *scan, const struct skim_die *die)
{
	bool code = skim_has(die, SKIM_LOW_PC) || skim_has(die, SKIM_RANGES);
	switch (die->tag) {
	case DW_TAG_variable:
		return NAME_VARIABLE;
	case DW_TAG_member: // static ones, before DWARF 5
		return skim_has(die, SKIM_EXTERNAL) && skim_has(die, SKIM_CONST_VALUE)
			       ? NAME_VARIABLE
			       : 0;
	case DW_TAG_subprogram:
		return code ? NAME_FUNCTION : 0;
	case DW_TAG_typedef:
	case DW_TAG_base_type:
	case DW_TAG_unspecified_type:
		return NAME_TYPE;
	case DW_TAG_structure_type:
	case DW_TAG_class_type:
	case DW_TAG_union_type:
	case DW_TAG_enumeration_type:
	case DW_TAG_interface_type:
		return scan->cxx ? NAME_TAG | NAME_TYPE : NAME_TAG;
	case DW_TAG_enumerator:
		return NAME_ENUMERATOR;
	default:
		return 0;
	}
}

static unsigned flags_of(const struct skim_die *die, unsigned kinds)
{
	unsigned flags = skim_flag(die, SKIM_EXTERNAL) ? ENTRY_EXTERNAL : 0;
	if (skim_flag(die, SKIM_DECLARATION))
		flags |= ENTRY_DECLARATION;
	if (kinds & NAME_VARIABLE) {
		if (skim_has(die, SKIM_CONST_VALUE) || skim_has(die, SKIM_LOCATION))
			flags &= ~(unsigned)ENTRY_DECLARATION;
		else
			flags |= ENTRY_DECLARATION;
		if (skim_has(die, SKIM_SPECIFICATION))
			flags |= ENTRY_EXTERNAL;
	}
	return flags;
}

static bool add(struct scan *scan, const struct skim_die *die, const char *name, unsigned kinds)
{
	uint64_t offset = die->offset - scan->unit->offset;
	if (offset > UINT32_MAX)
		return true;
	struct candidate candidate = {.name = name,
				      .offset = (uint32_t)offset,
				      .kinds = (uint8_t)kinds,
				      .flags = (uint8_t)flags_of(die, kinds)};
	if (!scan->all && !(kinds & (NAME_VARIABLE | NAME_FUNCTION))) {
		uint64_t key = name_identity(scan->unit, name) ^ scan->scopes[scan->depth];
		key = (key ^ key >> 29) * UINT64_C(0xbf58476d1ce4e5b9);
		candidate.key = key * 31 + kinds * 2 + (candidate.flags >> 1);
		candidate.key += !candidate.key;
	}
	return array_push(&scan->candidates, candidate);
}

/** Puts the candidates that are new into the index. */
static bool settle(struct scan *scan)
{
	enum { AHEAD = 16 };
	size_t count = scan->candidates.count;
	const struct candidate *items = scan->candidates.items;
	struct key_set *seen = &scan->seen;
	while ((seen->count + count + 1) * 4 > seen->capacity * 3)
		if (!key_set_grow(seen))
			return false;
	for (size_t i = 0; i < count; i++) {
		if (i + AHEAD < count)
			__builtin_prefetch(&seen->keys[key_slot(seen, items[i + AHEAD].key)]);
		if (items[i].key && !key_set_add(seen, items[i].key))
			continue; // without a look at its name
		if (!*items[i].name)
			continue;
		uint64_t hash = hash_name(items[i].name);
		if (scan->filtered && (uint32_t)hash != scan->hash)
			continue;
		struct entry entry = {.hash = (uint32_t)hash,
				      .unit = scan->slot,
				      .offset = items[i].offset,
				      .kinds = items[i].kinds,
				      .flags = items[i].flags};
		if (!array_push(&scan->names->entries, entry))
			return false;
	}
	scan->candidates.count = 0;
	return true;
}

static bool enters(const struct scan *scan, const struct skim_die *die)
{
	if (!die->children || scan->depth + 1 >= SKIM_DEPTH_LIMIT)
		return false;
	switch (die->tag) {
	case DW_TAG_namespace:
	case DW_TAG_module:
	case DW_TAG_structure_type:
	case DW_TAG_class_type:
	case DW_TAG_union_type:
	case DW_TAG_interface_type:
		return scan->cxx;
	case DW_TAG_enumeration_type:
		return true;
	default:
		return false;
	}
}

/** False when memory is short. */
static bool scan_unit(struct scan *scan)
{
	struct skim skim;
	struct skim_die die;
	struct unit *unit = scan->unit;
	scan->cxx = language_has_scopes(unit->language);
	scan->depth = 0;
	scan->scopes[0] = 0;
	if (!skim_init(&skim, unit, unit->offset + unit->header_size))
		return true;
	bool done = true;
	bool going = skim_next(&skim, &die) && die.children;
	while (going && done && skim_next(&skim, &die)) {
		if (!die.tag) {
			going = scan->depth != 0;
			scan->depth -= going;
			continue;
		}
		unsigned kinds = kinds_of(scan, &die);
		bool entering = enters(scan, &die);
		const char *name = kinds || entering ? skim_name(&skim, &die) : NULL;
		if (kinds && name)
			done = add(scan, &die, name, kinds);
		if (entering) {
			uint64_t outer = scan->scopes[scan->depth];
			// Enumerators are known where their enumeration is.
			bool counts = die.tag != DW_TAG_enumeration_type && name;
			scan->scopes[++scan->depth] =
				counts ? outer * 31 + name_identity(unit, name) : outer;
		} else {
			going = skim_over(&skim, &die);
		}
	}
	skim_fini(&skim);
	return done && settle(scan);
}

static void scan_fini(struct scan *scan)
{
	if (!scan)
		return;
	free(scan->seen.keys);
	array_fini(&scan->candidates);
	free(scan);
}

/** Groups the entries by the top bits of their hashes: one counting pass, one placing pass. */
static bool group(struct names *names)
{
	size_t count = names->entries.count;
	while (names->bits < 24 && (UINT64_C(1) << names->bits) < count)
		names->bits++;
	size_t bucket_count = (size_t)1 << names->bits;
	unsigned shift = 32 - names->bits;
	names->buckets = calloc(bucket_count + 2, sizeof(*names->buckets));
	struct entry *placed = malloc((count + 1) * sizeof(*placed));
	if (!names->buckets || !placed) {
		free(placed);
		return false;
	}
	uint32_t *next = names->buckets + 1; // shifted by one: ends up as the starts
	for (size_t i = 0; i < count; i++)
		next[((uint64_t)names->entries.items[i].hash >> shift) + 1]++;
	for (size_t i = 1; i <= bucket_count; i++)
		next[i] += next[i - 1];
	for (size_t i = 0; i < count; i++) {
		struct entry *entry = &names->entries.items[i];
		placed[next[(uint64_t)entry->hash >> shift]++] = *entry;
	}
	free(names->entries.items);
	names->entries.items = placed;
	names->entries.capacity = count + 1;
	return true;
}

static struct names *names_of(struct symbols_module *module)
{
	if (module->names)
		return module->names;
	struct names *names = calloc(1, sizeof(*names));
	if (!names)
		return NULL;
	GUARD(module->debug_path);
	struct scan *scan = calloc(1, sizeof(*scan));
	bool done = scan != NULL;
	size_t count = unit_slot_count(module);
	for (size_t i = 0; done && i < count; i++) {
		scan->names = names;
		scan->slot = (uint32_t)i;
		scan->unit = unit_slot(module, i);
		done = !scan->unit || scan_unit(scan);
	}
	scan_fini(scan);
	if (!done || names->entries.count >= UINT32_MAX || !group(names))
		return names_free(names);
	module->names = names;
	return names;
}

const char *names_last_component(const char *name)
{
	const char *last = name;
	int depth = 0;
	for (const char *c = name; *c; c++) {
		if (!strncmp(c, "operator", 8))
			break; // its signs are no brackets
		if (*c == '<' || *c == '(' || *c == '{')
			depth++;
		else if (*c == '>' || *c == ')' || *c == '}')
			depth--;
		else if (depth == 0 && c[0] == ':' && c[1] == ':')
			last = c + 2;
	}
	return last;
}

struct query {
	struct symbols_module *module;
	const char *name;
	const char *last;
	unsigned kinds;
	uint32_t hash;
	name_visit visit;
	void *context;
	bool stopped;
	bool found;
};

/** How a candidate's full name relates to the query. */
enum fit { NO_FIT, INSIDE_SCOPE, EXACT };

static enum fit fit(const struct query *query, struct unit *unit, Dwarf_Die *die)
{
	const char *plain = die_name(die);
	if (!plain || strcmp(plain, query->last) != 0)
		return NO_FIT;
	const char *full = die_scoped_name(unit, die);
	if (!full)
		return NO_FIT;
	size_t full_size = strlen(full), size = strlen(query->name);
	if (full_size < size || strcmp(full + full_size - size, query->name) != 0)
		return NO_FIT;
	if (full_size == size)
		return EXACT;
	return full_size > size + 1 && full[full_size - size - 1] == ':' ? INSIDE_SCOPE : NO_FIT;
}

static void offer(struct query *query, struct unit *unit, const struct entry *entry, enum fit want)
{
	struct name_entry found = {.unit = unit,
				   .kind = entry->kinds & query->kinds,
				   .external = entry->flags & ENTRY_EXTERNAL,
				   .declaration = entry->flags & ENTRY_DECLARATION};
	if (!skim_libdw(unit, unit->offset + entry->offset, &found.die) ||
	    fit(query, unit, &found.die) != want)
		return;
	if (found.kind & (found.kind - 1)) // a C++ class: both tag and type
		found.kind = NAME_TAG;
	uint64_t parent;
	if (found.kind == NAME_ENUMERATOR &&
	    function_table_scope(unit, unit->offset + entry->offset, false, &parent))
		skim_libdw(unit, parent, &found.parent);
	query->found = true;
	query->stopped = !query->visit(query->context, &found);
}

/** Offers those of the entries that fit: exact names first, complete ones before declarations. */
static void offer_all(struct query *query, const struct entry *entries, size_t count,
		      struct unit *only)
{
	for (int pass = 0; pass < 4 && !query->stopped; pass++) {
		enum fit want = pass < 2 ? EXACT : INSIDE_SCOPE;
		if (pass == 2 && query->found)
			return;
		for (size_t i = 0; i < count && !query->stopped; i++) {
			const struct entry *entry = &entries[i];
			bool declaration = entry->flags & ENTRY_DECLARATION;
			if (entry->hash != query->hash || !(entry->kinds & query->kinds) ||
			    declaration != (pass % 2 == 1))
				continue;
			struct unit *unit = only ? only : unit_slot(query->module, entry->unit);
			if (unit)
				offer(query, unit, entry, want);
		}
	}
}

static bool find_in_unit(struct query *query, struct unit *unit)
{
	struct names names = {0};
	struct scan *scan = calloc(1, sizeof(*scan));
	if (!scan)
		return false;
	*scan = (struct scan){
		.names = &names, .unit = unit, .all = true, .filtered = true, .hash = query->hash};
	bool done = scan_unit(scan);
	if (done)
		offer_all(query, names.entries.items, names.entries.count, unit);
	scan_fini(scan);
	array_fini(&names.entries);
	return done;
}

bool names_find(struct symbols_module *module, const char *name, unsigned kinds, struct unit *only,
		name_visit visit, void *context)
{
	if (!module->dwarf)
		return true;
	if (!strncmp(name, "::", 2))
		name += 2;
	GUARD(module->debug_path);
	struct query query = {.module = module,
			      .name = name,
			      .last = names_last_component(name),
			      .kinds = kinds,
			      .visit = visit,
			      .context = context};
	query.hash = (uint32_t)hash_name(query.last);
	if (only)
		return find_in_unit(&query, only);
	struct names *names = names_of(module);
	if (!names)
		return false;
	uint64_t bucket = (uint64_t)query.hash >> (32 - names->bits);
	uint32_t start = names->buckets[bucket], end = names->buckets[bucket + 1];
	if (start < end)
		offer_all(&query, names->entries.items + start, end - start, NULL);
	return true;
}

bool names_each_class(struct symbols_module *module, name_visit visit, void *context)
{
	if (!module->dwarf)
		return true;
	GUARD(module->debug_path);
	struct names *names = names_of(module);
	if (!names)
		return false;
	for (size_t i = 0; i < names->entries.count; i++) {
		const struct entry *entry = &names->entries.items[i];
		struct unit *unit = entry->kinds & NAME_TAG ? unit_slot(module, entry->unit) : NULL;
		struct name_entry found = {.unit = unit,
					   .kind = NAME_TAG,
					   .declaration = entry->flags & ENTRY_DECLARATION};
		if (unit && skim_libdw(unit, unit->offset + entry->offset, &found.die) &&
		    !visit(context, &found))
			break;
	}
	return true;
}

struct unit *names_unit(struct symbols_module *module, const char *file, size_t index)
{
	size_t count = unit_count(module);
	GUARD(module->debug_path);
	for (size_t i = 0; i < count; i++) {
		struct unit *unit = unit_plain(module, i);
		if (!unit)
			continue;
		if (!*unit->name)
			unit = unit_get(module, i); // a skeleton leaves the name to its .dwo
		if (unit && line_path_matches(unit->name, file) && !index--)
			return unit_get(module, i);
	}
	return NULL;
}
