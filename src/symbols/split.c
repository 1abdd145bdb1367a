// SPDX-License-Identifier: Apache-2.0
#include "symbols/split.h"

#include <dwarf.h>
#include <stdlib.h>
#include <string.h>

#include "base/guard.h"
#include "files/files.h"
#include "symbols/image.h"
#include "symbols/sections.h"
#include "symbols/split_package.h"
#include "symbols/unit_header.h"

struct splits {
	struct split *list;
	bool package_tried;
	struct split_package *package; // NULL if there is no .dwp
	struct hash types;	       // signature -> Dwarf_Die in a part of the package
};

static struct splits *splits_of(struct symbols_module *module)
{
	if (!module->splits)
		module->splits = calloc(1, sizeof(*module->splits));
	return module->splits;
}

static void split_close(struct split *split)
{
	if (split->dwarf)
		dwarf_end(split->dwarf);
	image_close_elf(split->elf);
	image_free(split->image, split->image_size);
	file_close(split->file);
	free(split->sections);
	free(split);
}

void split_close_all(struct symbols_module *module)
{
	struct splits *splits = module->splits;
	if (!splits)
		return;
	while (splits->list) {
		struct split *next = splits->list->next;
		split_close(splits->list);
		splits->list = next;
	}
	split_package_close(splits->package);
	hash_fini(&splits->types);
	free(splits);
	module->splits = NULL;
}

static struct split_package *package_of(struct symbols_module *module, struct splits *splits)
{
	if (splits->package_tried)
		return splits->package;
	splits->package_tried = true;
	splits->package = split_package_open(module, module->debug_path);
	if (!splits->package && module->path != module->debug_path)
		splits->package = split_package_open(module, module->path);
	return splits->package;
}

/** Makes libdw's handle on `split`, whose `elf` and `path` are set; closes it when that fails. */
static struct split *finish(struct symbols_module *module, struct splits *splits,
			    struct split *split)
{
	GUARD(split->path);
	if (split->elf && elf_kind(split->elf) == ELF_K_ELF)
		split->dwarf = dwarf_begin_elf(split->elf, DWARF_C_READ, NULL);
	split->sections = calloc(1, sizeof(*split->sections));
	if (!split->dwarf || !split->sections) {
		module_problem(module, arena_printf(&module->symbols->arena,
						    "%s: no usable DWARF in it", split->path));
		split_close(split);
		return NULL;
	}
	sections_read(split->elf, true, split->sections);
	split->next = splits->list;
	splits->list = split;
	return split;
}

static struct split *open_package_part(struct symbols_module *module, struct splits *splits,
				       struct split_package *package, uint64_t id)
{
	struct section_bytes parts[SECTION_COUNT];
	if (!split_package_find(package, id, parts))
		return NULL;
	struct split *split = calloc(1, sizeof(*split));
	if (!split)
		return NULL;
	split->path = split_package_path(package);
	split->image = split_package_image(package, parts, &split->image_size);
	GUARD(split->path);
	if (split->image)
		split->elf = elf_memory(split->image, split->image_size);
	return finish(module, splits, split);
}

/** libdw takes one section of a name, but GCC and clang give each type unit one of its own: puts an
 *  image with all of them in the place of the file. */
static void join_type_units(struct split *split)
{
	struct sections sections;
	size_t info_size, types_size;
	uint8_t *info = sections_join(split->elf, true, SECTION_INFO, &info_size);
	uint8_t *types = sections_join(split->elf, true, SECTION_TYPES, &types_size);
	if (info || types) {
		sections_read(split->elf, true, &sections);
		if (info)
			sections.of[SECTION_INFO] = (struct section_bytes){info, info_size};
		if (types)
			sections.of[SECTION_TYPES] = (struct section_bytes){types, types_size};
		split->image =
			image_of_sections(sections.of, split->elf, split->file, &split->image_size);
		Elf *elf = split->image ? elf_memory(split->image, split->image_size) : NULL;
		if (elf) {
			image_close_elf(split->elf);
			split->elf = elf;
		}
	}
	free(info);
	free(types);
}

static struct split *open_file(struct symbols_module *module, struct splits *splits,
			       struct unit *skeleton, const char *name)
{
	struct file *file = NULL;
	struct strobe_error *error = files_find_companion(
		view_files(module->symbols->view), skeleton->directory, name, module->path, &file);
	strobe_error_free(error);
	if (!file) {
		skeleton->problem = arena_printf(
			&module->symbols->arena, "%s%s%s: split DWARF file not found",
			*name == '/' || !skeleton->directory ? "" : skeleton->directory,
			*name == '/' || !skeleton->directory ? "" : "/", name);
		module_problem(module, skeleton->problem);
		return NULL;
	}
	for (struct split *known = splits->list; known; known = known->next) {
		if (known->file && !strcmp(known->path, file->path)) {
			file_close(file); // several units in one .dwo, as -flto makes them
			return known;
		}
	}
	struct split *split = calloc(1, sizeof(*split));
	if (!split) {
		file_close(file);
		return NULL;
	}
	split->file = file;
	split->path = arena_strdup(&module->symbols->arena, file->path);
	if (!split->path)
		split->path = ".dwo";
	GUARD(split->path);
	split->elf = image_open_elf(file);
	if (split->elf && elf_kind(split->elf) == ELF_K_ELF)
		join_type_units(split);
	return finish(module, splits, split);
}

struct split *split_open(struct unit *skeleton, const char *name, uint64_t id)
{
	struct symbols_module *module = skeleton->module;
	struct splits *splits = splits_of(module);
	if (!splits)
		return NULL;
	struct split_package *package = package_of(module, splits);
	struct split *split = package ? open_package_part(module, splits, package, id) : NULL;
	return split ? split : open_file(module, splits, skeleton, name);
}

/** The part of the package with the type units from one .dwo file. */
static struct split *open_type_part(struct symbols_module *module, struct splits *splits,
				    uint64_t signature)
{
	struct section_bytes parts[SECTION_COUNT];
	uint8_t *joined = split_package_find_type(splits->package, signature, parts);
	struct split *split = joined ? splits->list : NULL;
	while (split && split->group != parts[SECTION_ABBREV].data)
		split = split->next;
	if (joined && !split && (split = calloc(1, sizeof(*split)))) {
		split->path = split_package_path(splits->package);
		split->group = parts[SECTION_ABBREV].data;
		split->image = split_package_image(splits->package, parts, &split->image_size);
		GUARD(split->path);
		if (split->image)
			split->elf = elf_memory(split->image, split->image_size);
		split = finish(module, splits, split);
	}
	free(joined);
	return split;
}

/** The DIE of a type unit's type. */
static bool find_type(struct split *split, uint64_t signature, Dwarf_Die *ret)
{
	for (int in_types = 0; in_types < 2; in_types++) {
		const struct section_bytes *section =
			&split->sections->of[in_types ? SECTION_TYPES : SECTION_INFO];
		struct unit_header header;
		for (uint64_t offset = 0; unit_header_read(section, in_types, offset, &header);
		     offset = header.end) {
			Dwarf_Die die;
			uint64_t at = header.offset + header.header_size;
			if (header.id != signature || header.type == DW_UT_split_compile)
				continue;
			return (in_types ? dwarf_offdie_types(split->dwarf, at, &die)
					 : dwarf_offdie(split->dwarf, at, &die)) &&
			       dwarf_cu_info(die.cu, NULL, NULL, NULL, ret, NULL, NULL, NULL) == 0;
		}
	}
	return false;
}

/** `*ret` stays zeroed if there is none. */
static void find_package_type(struct unit *unit, struct splits *splits, uint64_t signature,
			      Dwarf_Die *ret)
{
	struct split *split = open_type_part(unit->module, splits, signature);
	Dwarf_Die found;
	if (!split)
		return;
	GUARD(split->path);
	if (!split->owner)
		split->owner = unit->split_file ? unit->split_file->owner : NULL;
	if (split->owner && find_type(split, signature, &found))
		*ret = found;
}

bool split_type(struct unit *unit, uint64_t signature, Dwarf_Die *ret)
{
	struct symbols_module *module = unit->module;
	struct splits *splits = module->splits;
	if (!splits || !splits->package)
		return false;
	Dwarf_Die *known = hash_get(&splits->types, signature);
	if (!known) {
		known = arena_alloc(&module->symbols->arena, sizeof(*known));
		if (!known || !hash_put(&splits->types, signature, known))
			return false;
		find_package_type(unit, splits, signature, known);
	}
	*ret = *known;
	return known->addr != NULL;
}

static bool has_id(struct split *split, const struct unit_header *header, uint16_t version,
		   uint64_t id)
{
	if (version >= 5)
		return header->id == id && header->type == DW_UT_split_compile;
	Dwarf_Die die;
	Dwarf_Attribute attribute;
	Dwarf_Word value;
	return dwarf_offdie(split->dwarf, header->offset + header->header_size, &die) &&
	       dwarf_attr(&die, DW_AT_GNU_dwo_id, &attribute) &&
	       dwarf_formudata(&attribute, &value) == 0 && value == id;
}

bool split_find_unit(struct split *split, uint16_t version, uint64_t id, uint64_t *ret)
{
	const struct section_bytes *section = &split->sections->of[SECTION_INFO];
	struct unit_header header;
	for (uint64_t offset = 0; offset < section->size; offset = header.end) {
		if (!unit_header_read(section, false, offset, &header))
			return false;
		if (has_id(split, &header, version, id)) {
			*ret = offset;
			return true;
		}
	}
	return false;
}

struct split *split_of_dwarf(struct symbols_module *module, Dwarf *dwarf)
{
	struct split *split = module->splits ? module->splits->list : NULL;
	while (split && split->dwarf != dwarf)
		split = split->next;
	return split;
}

uint64_t split_unit_header(struct split *split, const void *at, uint64_t offset, bool *in_types)
{
	const struct section_bytes *types = &split->sections->of[SECTION_TYPES];
	const uint8_t *byte = at;
	*in_types = types->data && byte >= types->data && byte < types->data + types->size;
	const struct section_bytes *section =
		&split->sections->of[*in_types ? SECTION_TYPES : SECTION_INFO];
	struct unit_header header;
	for (uint64_t unit = 0; unit_header_read(section, *in_types, unit, &header);
	     unit = header.end) {
		if (offset >= unit && offset < header.end)
			return unit;
	}
	return UINT64_MAX;
}
