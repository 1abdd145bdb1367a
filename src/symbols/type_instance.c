// SPDX-License-Identifier: Apache-2.0
#include <ctype.h>
#include <dwarf.h>
#include <stdlib.h>
#include <string.h>

#include "symbols/names.h"
#include "symbols/qualify.h"
#include "symbols/type_canonical.h"
#include "symbols/type_die.h"

// Instances of class templates by name. Compilers, demanglers and users spell the arguments in
// different ways, so the index of names, which goes by spelling, does not find all of them.

/** A class instantiated from a template. */
struct instance {
	struct unit *unit;
	Dwarf_Die die;
	struct instance *next;
};

/** The compilers and the demangler agree on neither blanks nor suffixes of numbers. */
static void drop_differences(char *name)
{
	char *to = name;
	bool number = false;
	for (const char *from = name; *from; from++) {
		if (*from == ' ' || (number && strchr("uUlL", *from)))
			continue;
		bool word = to > name && (isalnum((unsigned char)to[-1]) || to[-1] == '_');
		number = isdigit((unsigned char)*from) && (number || !word);
		*to++ = *from;
	}
	*to = '\0';
}

/** `name` in the one spelling that instances of templates are compared in; malloc'ed. */
static char *comparable(const char *name)
{
	char *copy = type_canonical_copy(name);
	if (copy)
		drop_differences(copy);
	return copy;
}

static uint64_t instance_key(const struct symbols_module *module, const char *name)
{
	char *text = comparable(name);
	uint64_t key = text ? hash_bytes(text, strlen(text)) : 0;
	free(text);
	return key ^ (module->index + 1) * UINT64_C(0x9e3779b97f4a7c15);
}

static bool keep_instance(void *context, const struct name_entry *entry)
{
	struct strobe_symbols *symbols = context;
	struct symbols_module *module = entry->unit->module;
	Dwarf_Die die = entry->die;
	const char *name = die_name(&die);
	if (entry->declaration || !name || !strchr(name, '<'))
		return true;
	uint64_t key = instance_key(module, name);
	struct instance *instance = arena_alloc(&symbols->arena, sizeof(*instance));
	if (!instance)
		return false;
	*instance = (struct instance){
		.unit = entry->unit, .die = die, .next = hash_get(&symbols->types->instances, key)};
	return hash_put(&symbols->types->instances, key, instance);
}

/** Whether `full` is `wanted`, or ends with it behind "::". */
static bool fits(const char *full, const char *wanted, bool exact)
{
	size_t full_size = strlen(full), size = strlen(wanted);
	if (exact || full_size < size + 2)
		return strcmp(full, wanted) == 0;
	return strcmp(full + full_size - size, wanted) == 0 && full[full_size - size - 1] == ':';
}

static struct type *choose(struct instance *instance, const char *wanted, bool exact)
{
	struct type *found = NULL;
	for (; instance && !found; instance = instance->next) {
		const char *full = die_scoped_name(instance->unit, &instance->die);
		char *text = full ? comparable(full) : NULL;
		if (text && fits(text, wanted, exact))
			found = type_from_die(instance->unit, &instance->die);
		free(text);
	}
	return found;
}

struct type *type_instance(struct symbols_module *module, const char *name)
{
	struct strobe_symbols *symbols = module->symbols;
	struct type_table *table = type_table_of(symbols);
	uint64_t marker = (uintptr_t)module;
	if (!table)
		return NULL;
	if (!hash_get(&table->instances, marker)) {
		names_each_class(module, keep_instance, symbols);
		if (!hash_put(&table->instances, marker, module))
			return NULL;
	}
	char *wanted = comparable(name);
	struct instance *first =
		hash_get(&table->instances, instance_key(module, names_last_component(name)));
	struct type *found = wanted ? choose(first, wanted, true) : NULL;
	if (!found && wanted)
		found = choose(first, wanted, false);
	free(wanted);
	return found;
}
