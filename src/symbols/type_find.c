// SPDX-License-Identifier: Apache-2.0
#include <ctype.h>
#include <dwarf.h>
#include <string.h>

#include "symbols/names.h"
#include "symbols/type_canonical.h"
#include "symbols/type_die.h"

// Types by name: C's own, those of the debug information, and types derived from others.

static const struct builtin {
	const char *name;
	enum type_kind kind;
	uint8_t size;
	bool is_signed;
	int language;
} builtins[] = {
	{"void", TYPE_VOID, 0, false, DW_LANG_C},
	{"char", TYPE_CHARACTER, 1, true, DW_LANG_C},
	{"signed char", TYPE_CHARACTER, 1, true, DW_LANG_C},
	{"unsigned char", TYPE_CHARACTER, 1, false, DW_LANG_C},
	{"short", TYPE_INTEGER, 2, true, DW_LANG_C},
	{"unsigned short", TYPE_INTEGER, 2, false, DW_LANG_C},
	{"int", TYPE_INTEGER, 4, true, DW_LANG_C},
	{"unsigned int", TYPE_INTEGER, 4, false, DW_LANG_C},
	{"long", TYPE_INTEGER, 8, true, DW_LANG_C},
	{"unsigned long", TYPE_INTEGER, 8, false, DW_LANG_C},
	{"long long", TYPE_INTEGER, 8, true, DW_LANG_C},
	{"unsigned long long", TYPE_INTEGER, 8, false, DW_LANG_C},
	{"__int128", TYPE_INTEGER, 16, true, DW_LANG_C},
	{"__int128 unsigned", TYPE_INTEGER, 16, false, DW_LANG_C},
	{"_Bool", TYPE_BOOLEAN, 1, false, DW_LANG_C},
	{"bool", TYPE_BOOLEAN, 1, false, DW_LANG_C_plus_plus},
	{"float", TYPE_FLOAT, 4, true, DW_LANG_C},
	{"double", TYPE_FLOAT, 8, true, DW_LANG_C},
	{"long double", TYPE_FLOAT, 16, true, DW_LANG_C},
	{"complex float", TYPE_COMPLEX, 8, true, DW_LANG_C},
	{"complex double", TYPE_COMPLEX, 16, true, DW_LANG_C},
	{"complex long double", TYPE_COMPLEX, 32, true, DW_LANG_C},
	{"wchar_t", TYPE_CHARACTER, 4, true, DW_LANG_C_plus_plus},
	{"char8_t", TYPE_CHARACTER, 1, false, DW_LANG_C_plus_plus},
	{"char16_t", TYPE_CHARACTER, 2, false, DW_LANG_C_plus_plus},
	{"char32_t", TYPE_CHARACTER, 4, false, DW_LANG_C_plus_plus},
	// Fixed widths, for programs without debug information.
	{"int8_t", TYPE_CHARACTER, 1, true, DW_LANG_C},
	{"uint8_t", TYPE_CHARACTER, 1, false, DW_LANG_C},
	{"int16_t", TYPE_INTEGER, 2, true, DW_LANG_C},
	{"uint16_t", TYPE_INTEGER, 2, false, DW_LANG_C},
	{"int32_t", TYPE_INTEGER, 4, true, DW_LANG_C},
	{"uint32_t", TYPE_INTEGER, 4, false, DW_LANG_C},
	{"int64_t", TYPE_INTEGER, 8, true, DW_LANG_C},
	{"uint64_t", TYPE_INTEGER, 8, false, DW_LANG_C},
	{"size_t", TYPE_INTEGER, 8, false, DW_LANG_C},
	{"ssize_t", TYPE_INTEGER, 8, true, DW_LANG_C},
	{"intptr_t", TYPE_INTEGER, 8, true, DW_LANG_C},
	{"uintptr_t", TYPE_INTEGER, 8, false, DW_LANG_C},
	// Rust's
	{"()", TYPE_VOID, 0, false, DW_LANG_Rust},
	{"i8", TYPE_INTEGER, 1, true, DW_LANG_Rust},
	{"u8", TYPE_INTEGER, 1, false, DW_LANG_Rust},
	{"i16", TYPE_INTEGER, 2, true, DW_LANG_Rust},
	{"u16", TYPE_INTEGER, 2, false, DW_LANG_Rust},
	{"i32", TYPE_INTEGER, 4, true, DW_LANG_Rust},
	{"u32", TYPE_INTEGER, 4, false, DW_LANG_Rust},
	{"i64", TYPE_INTEGER, 8, true, DW_LANG_Rust},
	{"u64", TYPE_INTEGER, 8, false, DW_LANG_Rust},
	{"i128", TYPE_INTEGER, 16, true, DW_LANG_Rust},
	{"u128", TYPE_INTEGER, 16, false, DW_LANG_Rust},
	{"isize", TYPE_INTEGER, 8, true, DW_LANG_Rust},
	{"usize", TYPE_INTEGER, 8, false, DW_LANG_Rust},
	{"f32", TYPE_FLOAT, 4, true, DW_LANG_Rust},
	{"f64", TYPE_FLOAT, 8, true, DW_LANG_Rust},
};

struct type *type_builtin(struct strobe_symbols *symbols, const char *name)
{
	struct type_table *table = type_table_of(symbols);
	if (!table)
		return NULL;
	for (size_t i = 0; i < sizeof(builtins) / sizeof(builtins[0]); i++) {
		const struct builtin *builtin = &builtins[i];
		if (strcmp(builtin->name, name) != 0)
			continue;
		struct compiled_type *made = hash_get(&table->by_name, i + 1);
		if (made)
			return &made->type;
		made = type_new(symbols, builtin->kind);
		if (!made || !hash_put(&table->by_name, i + 1, made))
			return NULL;
		made->type.name = builtin->name;
		made->type.size = builtin->size;
		made->type.size_known = builtin->kind != TYPE_VOID;
		made->type.is_signed = builtin->is_signed;
		made->type.language = builtin->language;
		made->type.completed = true;
		return &made->type;
	}
	return NULL;
}

static struct compiled_type *derive(struct strobe_symbols *symbols, enum type_kind kind,
				    struct type *target)
{
	struct compiled_type *made = type_new(symbols, kind);
	if (!made)
		return NULL;
	made->type.target = target;
	made->type.language = target ? target->language : DW_LANG_C;
	made->type.module = target ? target->module : NULL;
	made->type.completed = true;
	return made;
}

struct type *type_pointer_to(struct strobe_symbols *symbols, struct type *target)
{
	struct type_table *table = type_table_of(symbols);
	if (!table)
		return NULL;
	struct compiled_type *made = hash_get(&table->pointers, (uintptr_t)target);
	if (made)
		return &made->type;
	made = derive(symbols, TYPE_POINTER, target);
	if (!made || !hash_put(&table->pointers, (uintptr_t)target, made))
		return NULL;
	made->type.size = 8;
	made->type.size_known = true;
	return &made->type;
}

struct type *type_reference_to(struct strobe_symbols *symbols, struct type *target, bool rvalue)
{
	struct type_table *table = type_table_of(symbols);
	uint64_t key = (uintptr_t)target | rvalue;
	if (!table)
		return NULL;
	struct compiled_type *made = hash_get(&table->references, key);
	if (made)
		return &made->type;
	made = derive(symbols, rvalue ? TYPE_RVALUE_REFERENCE : TYPE_REFERENCE, target);
	if (!made || !hash_put(&table->references, key, made))
		return NULL;
	made->type.size = 8;
	made->type.size_known = true;
	return &made->type;
}

struct type *type_const_of(struct strobe_symbols *symbols, struct type *target)
{
	struct type_table *table = type_table_of(symbols);
	if (!table || !target || target->kind == TYPE_CONST)
		return target;
	struct compiled_type *made = hash_get(&table->constants, (uintptr_t)target);
	if (made)
		return &made->type;
	made = derive(symbols, TYPE_CONST, target);
	if (!made || !hash_put(&table->constants, (uintptr_t)target, made))
		return target;
	return &made->type;
}

/** Named limit: arrays of one element type kept to be found again. */
enum { ARRAY_KEEP_LIMIT = 64 };

struct type *type_array_of(struct strobe_symbols *symbols, struct type *element, uint64_t count)
{
	struct type_table *table = type_table_of(symbols);
	uint64_t size;
	if (!table)
		return NULL;
	struct compiled_type *first = hash_get(&table->arrays, (uintptr_t)element);
	struct compiled_type *made = first;
	for (unsigned i = 0; made && i < ARRAY_KEEP_LIMIT; i++, made = made->next_array)
		if (made->type.dimension.count == count)
			return &made->type;
	made = derive(symbols, TYPE_ARRAY, element);
	if (!made)
		return NULL;
	made->next_array = first;
	made->type.dimension.count = count;
	made->type.size_known = type_size(symbols, element, &size) &&
				!__builtin_mul_overflow(size, count, &made->type.size);
	return hash_put(&table->arrays, (uintptr_t)element, made) ? &made->type : NULL;
}

struct search {
	struct type *found;
	struct type *declared; // the best so far if none is complete
	int tag;	       // DW_TAG_* asked for by keyword; 0 = any
};

static bool tag_fits(int asked, int tag)
{
	bool structure = tag == DW_TAG_structure_type || tag == DW_TAG_class_type;
	return !asked || asked == tag || (asked == DW_TAG_structure_type && structure);
}

static bool visit(void *context, const struct name_entry *entry)
{
	struct search *search = context;
	Dwarf_Die die = entry->die;
	if (!tag_fits(search->tag, dwarf_tag(&die)))
		return true;
	struct type *type = type_from_die(entry->unit, &die);
	if (entry->declaration) {
		search->declared = search->declared ? search->declared : type;
		return true;
	}
	search->found = type;
	return !type;
}

static struct type *search_names(struct strobe_symbols *symbols, struct unit *near,
				 const char *name, unsigned kinds, int tag)
{
	struct search search = {.tag = tag};
	if (near)
		names_find(near->module, name, kinds, near, visit, &search);
	if (near && !search.found)
		names_find(near->module, name, kinds, NULL, visit, &search);
	for (size_t i = 0; i < symbols->module_count && !search.found; i++) {
		struct symbols_module *module = symbols_module(symbols, i);
		if (module && module->dwarf && (!near || module != near->module))
			names_find(module, name, kinds, NULL, visit, &search);
	}
	return search.found ? search.found : search.declared;
}

/** Skips `keyword` and the blanks after it; NULL if `name` does not start so. */
static const char *after_keyword(const char *name, const char *keyword)
{
	size_t size = strlen(keyword);
	if (strncmp(name, keyword, size) != 0 || !isspace((unsigned char)name[size]))
		return NULL;
	for (name += size; isspace((unsigned char)*name); name++)
		;
	return name;
}

static struct type *find_tagged(struct strobe_symbols *symbols, struct unit *near, const char *name,
				bool *tagged)
{
	static const struct {
		const char *keyword;
		int tag;
	} keywords[] = {{"struct", DW_TAG_structure_type},
			{"class", DW_TAG_structure_type},
			{"union", DW_TAG_union_type},
			{"enum", DW_TAG_enumeration_type}};
	for (size_t i = 0; i < sizeof(keywords) / sizeof(keywords[0]); i++) {
		const char *rest = after_keyword(name, keywords[i].keyword);
		if (!rest)
			continue;
		*tagged = true;
		return search_names(symbols, near, rest, NAME_TAG | NAME_TYPE, keywords[i].tag);
	}
	*tagged = false;
	return NULL;
}

/** Whether `name` is one that only Rust's builtins have. */
static struct type *find_builtin(struct strobe_symbols *symbols, struct unit *near,
				 const char *name)
{
	struct type *type = type_builtin(symbols, name);
	bool rust = near && language_is_rust(near->language);
	return type && language_is_rust(type->language) && !rust ? NULL : type;
}

/** Template arguments as the user spells them, not the compiler. */
static struct type *search_instances(struct strobe_symbols *symbols, struct unit *near,
				     const char *name)
{
	if ((near && !language_is_cplus(near->language)) || !strchr(name, '<'))
		return NULL;
	struct type *found = near ? type_instance(near->module, name) : NULL;
	for (size_t i = 0; i < symbols->module_count && !found; i++) {
		struct symbols_module *module = symbols_module(symbols, i);
		if (module && module->dwarf && (!near || module != near->module))
			found = type_instance(module, name);
	}
	return found;
}

struct type *type_find(struct strobe_symbols *symbols, struct unit *near, const char *name)
{
	bool tagged;
	bool rust = near && language_is_rust(near->language);
	while (isspace((unsigned char)*name))
		name++;
	size_t size = strlen(name);
	while (size > 0 && isspace((unsigned char)name[size - 1]))
		size--;
	char *trimmed = strndup(name, size);
	if (!trimmed)
		return NULL;
	const char *words = rust ? NULL : type_canonical_words(trimmed, size);
	struct type *type = words ? type_builtin(symbols, words) : NULL;
	if (!type && strcmp(trimmed, "void") == 0)
		type = type_builtin(symbols, "void");
	if (!type) {
		type = find_tagged(symbols, near, trimmed, &tagged);
		if (!type && !tagged)
			type = search_names(symbols, near, trimmed, NAME_TYPE, 0);
		if (!type && !tagged)
			type = find_builtin(symbols, near, trimmed);
		// C++ names classes without a keyword, also where the index only has the tag.
		if (!type && !tagged && near && !language_is_c(near->language))
			type = search_names(symbols, near, trimmed, NAME_TAG, 0);
		if (!type && !tagged)
			type = search_instances(symbols, near, trimmed);
	}
	free(trimmed);
	return type;
}
