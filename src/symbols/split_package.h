// SPDX-License-Identifier: Apache-2.0
#ifndef SYMBOLS_SPLIT_PACKAGE_H
#define SYMBOLS_SPLIT_PACKAGE_H

#include "symbols/module.h"
#include "symbols/sections.h"

// A .dwp file: many split units' sections, concatenated, with an index by unit id (DWARF 5,
// section 7.3.5; the GNU format for DWARF 4 before it, version 2).

struct split_package;

/** The package beside the program at `path` ("PATH.dwp"), or NULL. */
struct split_package *split_package_open(struct symbols_module *module, const char *path);
struct split_package *split_package_close(struct split_package *package);
const char *split_package_path(const struct split_package *package);
/** The sections of the compile unit `id`; false if the package does not have it. */
bool split_package_find(const struct split_package *package, uint64_t id,
			struct section_bytes ret[SECTION_COUNT]);
/**
 * The sections of the type unit with that signature, and of all others from the same .dwo file, which
 * share abbreviations and strings. Returns their joined units, malloc'ed, which `ret` points to; NULL if
 * the package does not have it.
 */
uint8_t *split_package_find_type(const struct split_package *package, uint64_t signature,
				 struct section_bytes ret[SECTION_COUNT]);
/** An ELF file of these parts of the package, see image_of_sections(). */
void *split_package_image(const struct split_package *package,
			  const struct section_bytes parts[SECTION_COUNT], size_t *size);

#endif
