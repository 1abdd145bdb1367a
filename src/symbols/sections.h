// SPDX-License-Identifier: Apache-2.0
#ifndef SYMBOLS_SECTIONS_H
#define SYMBOLS_SECTIONS_H

// The raw bytes of the debug sections of one file, decompressed.

#include <libelf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum section_id {
	SECTION_INFO,
	SECTION_TYPES,
	SECTION_ABBREV,
	SECTION_ADDR,
	SECTION_ARANGES,
	SECTION_LINE,
	SECTION_LINE_STR,
	SECTION_LOC,
	SECTION_LOCLISTS,
	SECTION_RANGES,
	SECTION_RNGLISTS,
	SECTION_STR,
	SECTION_STR_OFFSETS,
	SECTION_MACRO,
	SECTION_MACINFO,
	SECTION_CU_INDEX, // .dwp files
	SECTION_TU_INDEX,
	SECTION_COUNT
};

struct section_bytes {
	const uint8_t *data; // NULL if absent
	size_t size;
};

struct sections {
	struct section_bytes of[SECTION_COUNT];
	const char *problem; // static text about a section that cannot be read, or NULL
};

/** Finds the sections of `elf`, borrowed from it; with `split`, those named .debug_*.dwo. */
void sections_read(Elf *elf, bool split, struct sections *ret);
/** If `elf` has several sections `id`, as type units in groups make them, their contents one behind
 *  the other, malloc'ed; else NULL. */
uint8_t *sections_join(Elf *elf, bool split, enum section_id id, size_t *size);
/** True if `elf` has a section of that exact name with contents. */
bool section_exists(Elf *elf, const char *name);
/** "info" for SECTION_INFO and so on. */
const char *section_name(enum section_id id);

#endif
