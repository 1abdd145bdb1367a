// SPDX-License-Identifier: Apache-2.0
#include "symbols/split_package.h"

#include <stdlib.h>
#include <string.h>

#include "base/guard.h"
#include "files/files.h"
#include "symbols/bytes.h"
#include "symbols/image.h"

enum { COLUMN_LIMIT = 16 };

struct package_index {
	uint32_t version; // 0 = absent or damaged
	uint32_t columns, units, slots;
	const uint8_t *ids, *rows, *column_ids, *offsets, *sizes;
};

struct split_package {
	struct file *file;
	Elf *elf;
	struct sections sections;
	struct package_index units, types; // of compile units; of type units, by signature
};

/** The column ids of both formats as sections. */
static int section_of_column(uint32_t version, uint32_t id)
{
	static const int8_t old[] = {
		-1,	     SECTION_INFO,	  SECTION_TYPES,   SECTION_ABBREV, SECTION_LINE,
		SECTION_LOC, SECTION_STR_OFFSETS, SECTION_MACINFO, SECTION_MACRO};
	static const int8_t new[] = {-1,
				     SECTION_INFO,
				     -1,
				     SECTION_ABBREV,
				     SECTION_LINE,
				     SECTION_LOCLISTS,
				     SECTION_STR_OFFSETS,
				     SECTION_MACRO,
				     SECTION_RNGLISTS};
	return id >= sizeof(old) ? -1 : version >= 5 ? new[id] : old[id];
}

static uint32_t word(const uint8_t *at)
{
	uint32_t value;
	memcpy(&value, at, sizeof(value));
	return value;
}

static void read_index(const struct section_bytes *section, struct package_index *ret)
{
	struct bytes bytes = bytes_of(section->data, section->size, 0);
	struct package_index index = {.version = (uint32_t)bytes_unsigned(&bytes, 4) & 0xffff};
	index.columns = (uint32_t)bytes_unsigned(&bytes, 4);
	index.units = (uint32_t)bytes_unsigned(&bytes, 4);
	index.slots = (uint32_t)bytes_unsigned(&bytes, 4);
	if (bytes.bad || (index.version != 2 && index.version != 5) || !index.slots ||
	    (index.slots & (index.slots - 1)) || index.columns > COLUMN_LIMIT)
		return;
	index.ids = bytes.at;
	bytes_skip(&bytes, (uint64_t)index.slots * 8);
	index.rows = bytes.at;
	bytes_skip(&bytes, (uint64_t)index.slots * 4);
	index.column_ids = bytes.at;
	bytes_skip(&bytes, (uint64_t)index.columns * 4);
	index.offsets = bytes.at;
	bytes_skip(&bytes, (uint64_t)index.units * index.columns * 4);
	index.sizes = bytes.at;
	bytes_skip(&bytes, (uint64_t)index.units * index.columns * 4);
	if (!bytes.bad)
		*ret = index;
}

struct split_package *split_package_close(struct split_package *package)
{
	if (!package)
		return NULL;
	image_close_elf(package->elf);
	file_close(package->file);
	free(package);
	return NULL;
}

struct split_package *split_package_open(struct symbols_module *module, const char *path)
{
	struct file *file = NULL;
	const char *name = arena_printf(&module->symbols->arena, "%s.dwp", path);
	if (!name)
		return NULL;
	struct strobe_error *error = files_find_companion(view_files(module->symbols->view), NULL,
							  name, module->path, &file);
	strobe_error_free(error);
	if (!file)
		return NULL;
	struct split_package *package = calloc(1, sizeof(*package));
	if (!package) {
		file_close(file);
		return NULL;
	}
	GUARD(file->path);
	package->file = file;
	package->elf = image_open_elf(file);
	if (package->elf && elf_kind(package->elf) == ELF_K_ELF)
		sections_read(package->elf, true, &package->sections);
	read_index(&package->sections.of[SECTION_CU_INDEX], &package->units);
	read_index(&package->sections.of[SECTION_TU_INDEX], &package->types);
	if (package->units.version)
		return package;
	module_problem(module, arena_printf(&module->symbols->arena,
					    "%s: no usable unit index in it", file->path));
	return split_package_close(package);
}

const char *split_package_path(const struct split_package *package)
{
	return package->file->path;
}

void *split_package_image(const struct split_package *package,
			  const struct section_bytes parts[SECTION_COUNT], size_t *size)
{
	return image_of_sections(parts, package->elf, package->file, size);
}

/** The 1-based row of unit `id`, 0 if there is none. */
static uint32_t find_row(const struct package_index *index, uint64_t id)
{
	uint32_t mask = index->slots - 1;
	uint32_t slot = (uint32_t)id & mask, step = ((uint32_t)(id >> 32) & mask) | 1;
	for (uint32_t i = 0; i < index->slots; i++, slot = (slot + step) & mask) {
		uint64_t found;
		memcpy(&found, index->ids + (size_t)slot * 8, sizeof(found));
		uint32_t row = word(index->rows + (size_t)slot * 4);
		if (!row && !found)
			return 0;
		if (found == id)
			return row <= index->units ? row : 0;
	}
	return 0;
}

static bool find_parts(const struct split_package *package, const struct package_index *index,
		       uint32_t row, struct section_bytes ret[SECTION_COUNT])
{
	memset(ret, 0, SECTION_COUNT * sizeof(*ret));
	ret[SECTION_STR] = package->sections.of[SECTION_STR]; // shared by all
	for (uint32_t i = 0; i < index->columns; i++) {
		int section = section_of_column(index->version, word(index->column_ids + i * 4));
		size_t cell = ((size_t)(row - 1) * index->columns + i) * 4;
		uint32_t offset = word(index->offsets + cell), size = word(index->sizes + cell);
		if (section < 0)
			continue;
		const struct section_bytes *whole = &package->sections.of[section];
		if (!whole->data || offset > whole->size || size > whole->size - offset)
			return false;
		ret[section].data = whole->data + offset;
		ret[section].size = size;
	}
	return ret[SECTION_ABBREV].size != 0;
}

bool split_package_find(const struct split_package *package, uint64_t id,
			struct section_bytes ret[SECTION_COUNT])
{
	uint32_t row = find_row(&package->units, id);
	return row && find_parts(package, &package->units, row, ret) && ret[SECTION_INFO].size;
}

uint8_t *split_package_find_type(const struct split_package *package, uint64_t signature,
				 struct section_bytes ret[SECTION_COUNT])
{
	const struct package_index *index = &package->types;
	struct section_bytes other[SECTION_COUNT];
	uint32_t row = index->version ? find_row(index, signature) : 0;
	if (!row || !find_parts(package, index, row, ret))
		return NULL;
	enum section_id id = index->version >= 5 ? SECTION_INFO : SECTION_TYPES;
	uint8_t *joined = NULL;
	size_t total = 0;
	for (uint32_t i = 1; i <= index->units; i++) {
		if (!find_parts(package, index, i, other) ||
		    other[SECTION_ABBREV].data != ret[SECTION_ABBREV].data)
			continue;
		if (other[id].size > package->sections.of[id].size - total)
			break; // they overlap: damaged
		uint8_t *grown = realloc(joined, total + other[id].size + 1);
		if (!grown)
			break;
		joined = grown;
		if (other[id].size)
			memcpy(joined + total, other[id].data, other[id].size);
		total += other[id].size;
	}
	ret[id] = (struct section_bytes){joined, total};
	return joined;
}
