// SPDX-License-Identifier: Apache-2.0
// Which types are the same: by name and layout, whichever unit or module describes them.
#include <inttypes.h>
#include <string.h>

#include "base/text.h"
#include "lens/table.h"
#include "symbols/type.h"

/** Named limits: pointers and arrays around each other; anonymous structures within each other; members that make out
 *  what a type is. */
enum { ID_NESTING_LIMIT = 64, ID_ANONYMOUS_LIMIT = 8, ID_MEMBER_LIMIT = 100000 };

/** What is left of ID_MEMBER_LIMIT. */
struct budget {
	unsigned members;
};

static uint32_t id_of(struct lens *lens, struct type *type, const char *alias, unsigned depth);

static uint64_t mix(uint64_t hash, uint64_t value)
{
	hash = (hash ^ value) * UINT64_C(0x9e3779b97f4a7c15);
	return hash ^ hash >> 29;
}

static uint64_t mix_text(uint64_t hash, const char *text)
{
	return mix(hash, text ? hash_bytes(text, strlen(text)) : 0);
}

static bool is_structure(const struct type *type)
{
	return type->kind == TYPE_STRUCT || type->kind == TYPE_CLASS || type->kind == TYPE_UNION ||
	       type->kind == TYPE_VARIANT;
}

static bool is_pointer(const struct type *type)
{
	return type->kind == TYPE_POINTER || type->kind == TYPE_REFERENCE ||
	       type->kind == TYPE_RVALUE_REFERENCE;
}

/** What stands below typedefs and qualifiers, not completed; `*alias` is the innermost typedef's name. */
static struct type *unwrap(struct type *type, const char **alias)
{
	for (unsigned i = 0; type && i < 200; i++) {
		if (type->kind < TYPE_TYPEDEF || type->kind > TYPE_ATOMIC)
			return type;
		if (type->kind == TYPE_TYPEDEF && type->name && alias)
			*alias = type->name;
		type = type->target;
	}
	return NULL;
}

static uint64_t hash_structure(struct lens *lens, struct type *type, const char *name,
			       unsigned depth, struct budget *budget);

/** Of a member's type: its declarator and the name below, not what that consists of. */
static uint64_t hash_shallow(struct lens *lens, struct type *type, unsigned depth,
			     struct budget *budget)
{
	uint64_t hash = 1;
	for (unsigned i = 0; i < ID_NESTING_LIMIT; i++) {
		const char *alias = NULL;
		type = unwrap(type, &alias);
		if (!type)
			return mix(hash, TYPE_VOID);
		hash = mix(hash, type->kind == TYPE_CLASS ? TYPE_STRUCT : type->kind);
		if (type->kind == TYPE_ARRAY)
			hash = mix(hash, type->dimension.unknown ? 0 : type->dimension.count);
		if (!is_pointer(type) && type->kind != TYPE_ARRAY) {
			if (is_structure(type) && !type->name && !alias)
				return mix(hash,
					   hash_structure(lens, type, NULL, depth + 1, budget));
			if (is_structure(type) || type->kind == TYPE_ENUM)
				return mix_text(hash, type->name ? type->name : alias);
			return mix(hash, type->size);
		}
		type = type->target;
	}
	return hash;
}

static uint64_t hash_structure(struct lens *lens, struct type *type, const char *name,
			       unsigned depth, struct budget *budget)
{
	uint64_t hash = mix_text(mix(0, type->kind == TYPE_UNION), name);
	if (depth > ID_ANONYMOUS_LIMIT)
		return hash;
	type = type_complete(lens->symbols, type);
	hash = mix(hash, type->size);
	for (size_t i = 0; i < type->member_count && budget->members > 0; i++) {
		const struct type_member *member = &type->members[i];
		budget->members--;
		if (member->static_member || !member->type)
			continue;
		hash = mix_text(hash, member->base ? "" : member->name);
		hash = mix(hash, member->virtual_base ? UINT64_MAX : member->offset_bits);
		hash = mix(hash, member->bit_size);
		hash = mix(hash, hash_shallow(lens, member->type, depth, budget));
	}
	return hash;
}

static const char *language_name(int language)
{
	return language_is_cplus(language) ? "C++" : language_is_rust(language) ? "Rust" : "C";
}

/** The entry of `fingerprint`, new or known. */
static struct lens_entry *intern(struct lens *lens, const char *key, uint64_t fingerprint,
				 struct type *type, bool *known)
{
	struct lens_entry *entry = lens_lookup(lens, key, fingerprint);
	*known = entry != NULL;
	if (!entry)
		entry = lens_add(lens, key, fingerprint);
	if (entry && !*known) {
		entry->type.type = type;
		entry->type.language = language_name(type->language);
	}
	return entry;
}

static struct lens_entry *structure_entry(struct lens *lens, struct type *type, const char *alias)
{
	bool known;
	if (type->declaration || !type->size_known)
		return NULL;
	struct budget budget = {ID_MEMBER_LIMIT};
	if (!type->name && !alias)
		alias = type_closure_name(lens->symbols, type);
	const char *key = type->name ? type->name : alias ? alias : "{...}";
	struct lens_entry *entry =
		intern(lens, key, hash_structure(lens, type, key, 0, &budget), type, &known);
	if (!entry || known)
		return entry;
	if (type->name || !alias)
		entry->type.name = type_name(lens->symbols, type);
	entry->type.size_bytes = type->size;
	entry->type.vtable_offset = type->vtable ? 0 : UINT64_MAX;
	return entry;
}

static struct lens_entry *named_entry(struct lens *lens, struct type *type, const char *name,
				      uint64_t fingerprint, uint64_t size)
{
	bool known;
	struct lens_entry *entry =
		name ? intern(lens, name, mix(fingerprint, size), type, &known) : NULL;
	if (entry && !known)
		entry->type.size_bytes = size;
	return entry;
}

static struct lens_entry *scalar_entry(struct lens *lens, struct type *type, const char *alias)
{
	uint64_t size;
	const char *name = type_name(lens->symbols, type);
	if (!type->name && type->kind == TYPE_ENUM && alias)
		name = alias;
	if (!type_size(lens->symbols, type, &size))
		return NULL;
	struct lens_entry *entry = named_entry(lens, type, name, 1000 + type->kind, size);
	if (entry)
		entry->storage = lens_is_storage(type);
	return entry;
}

/** "struct conn *": by the target's name here, in whatever typedef it is wrapped there. */
static struct lens_entry *pointer_entry(struct lens *lens, struct type *type, unsigned depth)
{
	const char *mark = type->kind == TYPE_POINTER	  ? "*"
			   : type->kind == TYPE_REFERENCE ? "&"
							  : "&&";
	const char *name = type_name(lens->symbols, type);
	uint32_t target = type->target ? id_of(lens, type->target, NULL, depth + 1) : 0;
	struct text text cleanup_text = {0};
	if (target && !strstr(name, "(*")) {
		const char *inner = lens_entry(lens, target)->type.name;
		size_t size = strlen(inner);
		text_printf(&text, "%s%s%s", inner,
			    size && (inner[size - 1] == '*' || inner[size - 1] == '&') ? "" : " ",
			    mark);
		if (text.failed)
			lens->failed = true;
		name = text.failed ? NULL : text_string(&text);
	}
	return named_entry(lens, type, name, mix(2000 + type->kind, target), type->size);
}

static struct lens_entry *array_entry(struct lens *lens, struct type *type, unsigned depth)
{
	uint64_t size;
	struct type *element = type->target;
	const char *name = type_name(lens->symbols, type);
	if (!element)
		return NULL;
	uint32_t id = id_of(lens, element, NULL, depth + 1);
	if (id == 0 || type->dimension.unknown || type->dynamic || type->dimension.count == 0 ||
	    !type_size(lens->symbols, type, &size))
		return id ? lens_entry(lens, id) : NULL;
	struct text text cleanup_text = {0};
	const char *inner = lens_entry(lens, id)->type.name;
	if (!type->vector && !strstr(name, "(*")) {
		element = unwrap(element, NULL);
		const char *bounds =
			element && element->kind == TYPE_ARRAY ? strrchr(inner, ' ') : NULL;
		size_t base = bounds ? (size_t)(bounds - inner) : strlen(inner);
		text_append_bytes(&text, inner, base);
		text_printf(&text, " [%" PRIu64 "]%s", type->dimension.count,
			    bounds ? bounds + 1 : "");
		if (text.failed)
			lens->failed = true;
		name = text.failed ? NULL : text_string(&text);
	}
	return named_entry(lens, type, name, mix(3000 + type->vector, id), size);
}

static struct lens_entry *entry_of(struct lens *lens, struct type *type, const char *alias,
				   unsigned depth)
{
	switch (type->kind) {
	case TYPE_VOID:
	case TYPE_UNKNOWN:
	case TYPE_FUNCTION:
		return NULL;
	case TYPE_STRUCT:
	case TYPE_CLASS:
	case TYPE_UNION:
	case TYPE_VARIANT:
		return structure_entry(lens, type, alias);
	case TYPE_POINTER:
	case TYPE_REFERENCE:
	case TYPE_RVALUE_REFERENCE:
		return pointer_entry(lens, type, depth);
	case TYPE_ARRAY:
		return array_entry(lens, type, depth);
	default:
		return scalar_entry(lens, type, alias);
	}
}

/** `alias` names a type that has no name, nor a typedef around it; may be NULL. */
static uint32_t id_of(struct lens *lens, struct type *type, const char *alias, unsigned depth)
{
	type = unwrap(type, &alias);
	if (!type || depth > ID_NESTING_LIMIT)
		return LENS_TYPE_NONE;
	struct lens_entry *known = hash_get(&lens->by_type, (uintptr_t)type);
	if (known)
		return known->id;
	struct type *whole = type_complete(lens->symbols, type);
	struct lens_entry *entry = entry_of(lens, whole, alias, depth);
	if (!entry)
		return LENS_TYPE_NONE;
	if (!hash_put(&lens->by_type, (uintptr_t)type, entry))
		lens->failed = true; // it will be found again by its name
	return entry->id;
}

uint32_t lens_type_id(struct lens *lens, struct type *type)
{
	return type ? id_of(lens, type, NULL, 0) : LENS_TYPE_NONE;
}

uint32_t lens_type_id_as(struct lens *lens, struct type *type, const char *alias)
{
	return type ? id_of(lens, type, strpbrk(alias, " {") ? NULL : alias, 0) : LENS_TYPE_NONE;
}

uint32_t plan_type(struct plan_builder *builder, struct type *type)
{
	return lens_type_id(plan_lens(builder), type);
}
