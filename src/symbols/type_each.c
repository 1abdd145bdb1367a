// SPDX-License-Identifier: Apache-2.0
// All structures that a module describes. Headers repeat theirs in thousands of units: each is looked at once, by name,
// scopes and how long its description is; others of its name, in other files, have another length or are the same.
#include <dwarf.h>
#include <stdlib.h>
#include <string.h>

#include "base/guard.h"
#include "base/hash.h"
#include "symbols/qualify.h"
#include "symbols/skim.h"
#include "symbols/type_die.h"

struct pass {
	type_visit visit;
	void *context;
	struct hash seen; // by identity
	struct unit *unit;
	uint64_t scopes[SKIM_DEPTH_LIMIT]; // hash of the names around each level
	unsigned depth;
	bool failed, stopped;
};

static uint64_t mix(uint64_t hash, uint64_t value)
{
	hash = (hash ^ value) * UINT64_C(0x9e3779b97f4a7c15);
	return hash ^ hash >> 32;
}

static bool is_structure(int tag)
{
	return tag == DW_TAG_structure_type || tag == DW_TAG_class_type || tag == DW_TAG_union_type;
}

static bool is_nameless_structure(const struct type *type)
{
	return type && !type->name && !type->declaration &&
	       (type->kind == TYPE_STRUCT || type->kind == TYPE_CLASS || type->kind == TYPE_UNION);
}

/** Whether it is met for the first time. */
static bool is_new(struct pass *pass, const struct skim *skim, const struct skim_die *die,
		   const char *name)
{
	uint64_t end = die->offset,
		 key = mix(pass->scopes[pass->depth], hash_bytes(name, strlen(name)));
	skim_reference(skim, die, SKIM_SIBLING, &end);
	key = mix(mix(key, die->tag), end - die->offset);
	if (hash_get(&pass->seen, key))
		return false;
	pass->failed |= !hash_put(&pass->seen, key, pass);
	return true;
}

static void offer(struct pass *pass, const struct skim_die *skimmed)
{
	Dwarf_Die die;
	if (!skim_libdw(pass->unit, skimmed->offset, &die))
		return;
	struct type *type = type_from_die(pass->unit, &die);
	if (!type)
		pass->failed = true;
	// A structure without a tag is known by its typedef.
	else if (is_structure(skimmed->tag) || is_nameless_structure(type->target))
		pass->stopped = !pass->visit(pass->context, type);
}

static bool enters(const struct pass *pass, const struct skim_die *die)
{
	return die->children && pass->depth + 1 < SKIM_DEPTH_LIMIT &&
	       language_has_scopes(pass->unit->language) &&
	       (is_structure(die->tag) || die->tag == DW_TAG_namespace);
}

/** Goes over what is at the outside of the unit, in namespaces and in classes. */
static void skim_structures(struct pass *pass, struct skim *skim)
{
	struct skim_die die;
	bool going = skim_next(skim, &die) && die.children;
	pass->depth = 0;
	while (going && !pass->failed && !pass->stopped && skim_next(skim, &die)) {
		if (!die.tag) {
			going = pass->depth != 0;
			pass->depth -= going;
			continue;
		}
		bool wanted = (is_structure(die.tag) && !skim_flag(&die, SKIM_DECLARATION)) ||
			      die.tag == DW_TAG_typedef;
		bool entering = enters(pass, &die);
		const char *name = wanted || entering ? skim_name(skim, &die) : NULL;
		if (wanted && name && is_new(pass, skim, &die, name))
			offer(pass, &die);
		if (entering) {
			uint64_t outer = pass->scopes[pass->depth];
			pass->scopes[++pass->depth] =
				name ? mix(outer, hash_bytes(name, strlen(name))) : outer;
		} else {
			going = skim_over(skim, &die);
		}
	}
}

bool type_each_structure(struct strobe_symbols *symbols, size_t module_index, type_visit visit,
			 void *context)
{
	struct symbols_module *module = symbols_module(symbols, module_index);
	if (!module || !module->dwarf)
		return true;
	struct pass *pass = calloc(1, sizeof(*pass));
	if (!pass)
		return false;
	GUARD(module->debug_path);
	pass->visit = visit;
	pass->context = context;
	size_t count = unit_slot_count(module);
	for (size_t i = 0; i < count && !pass->failed && !pass->stopped; i++) {
		struct skim skim;
		pass->unit = unit_slot(module, i);
		if (!pass->unit ||
		    !skim_init(&skim, pass->unit, pass->unit->offset + pass->unit->header_size))
			continue;
		skim_structures(pass, &skim);
		skim_fini(&skim);
	}
	bool failed = pass->failed;
	hash_fini(&pass->seen);
	free(pass);
	return !failed;
}
