// SPDX-License-Identifier: Apache-2.0
#ifndef SYMBOLS_SKIM_H
#define SYMBOLS_SKIM_H

// A fast reader of DIEs for whole-unit passes: decodes the few attributes that function tables,
// name indexes and inline chains need, in one go per DIE, and skips subtrees by DW_AT_sibling.

#include "symbols/bytes.h"
#include "symbols/unit.h"

/** Named limits. */
enum { SKIM_DEPTH_LIMIT = 256, SKIM_ABBREV_LIMIT = 1 << 20 };

/** The attributes that are kept. */
enum skim_slot {
	SKIM_NONE,
	SKIM_NAME,
	SKIM_LINKAGE_NAME,
	SKIM_LOW_PC,
	SKIM_HIGH_PC,
	SKIM_RANGES,
	SKIM_SPECIFICATION,
	SKIM_ABSTRACT_ORIGIN,
	SKIM_DECLARATION,
	SKIM_EXTERNAL,
	SKIM_LOCATION,
	SKIM_CONST_VALUE,
	SKIM_SIBLING,
	SKIM_SLOT_COUNT
};

struct skim_value {
	const uint8_t *at; // NULL if the DIE has no such attribute
	int64_t implicit;  // of DW_FORM_implicit_const
	uint16_t form;
};

struct skim_die {
	uint64_t offset; // in the section
	uint16_t tag;
	bool children;
	uint32_t present; // bit per slot
	struct skim_value values[SKIM_SLOT_COUNT];
};

struct skim {
	struct unit *unit;
	const uint8_t *section; // start of .debug_info or .debug_types
	size_t section_size;
	struct bytes bytes; // at the next DIE
	struct skim_abbrevs *abbrevs;
	unsigned depth;
};

/** Starts at the DIE at `offset` of `unit`; false if its abbreviations are unusable. */
bool skim_init(struct skim *skim, struct unit *unit, uint64_t offset);
void skim_fini(struct skim *skim);
/** Moves to another DIE of the same unit. */
bool skim_seek(struct skim *skim, uint64_t offset);
/** Reads the next DIE; tag 0 closes a list of children. False at the end or where it is damaged. */
bool skim_next(struct skim *skim, struct skim_die *ret);
/** Jumps over the children of the DIE just read. False where it is damaged. */
bool skim_over(struct skim *skim, const struct skim_die *die);

static inline bool skim_has(const struct skim_die *die, enum skim_slot slot)
{
	return die->present >> slot & 1;
}
/** A flag. */
bool skim_flag(const struct skim_die *die, enum skim_slot slot);
/** A string; NULL if absent or damaged. */
const char *skim_string(const struct skim *skim, const struct skim_die *die, enum skim_slot slot);
/** What a DIE is called: by its own name, or that of what it specifies or is an instance of; NULL. */
const char *skim_name(const struct skim *skim, const struct skim_die *die);
/** A reference within the unit's section; false if absent or elsewhere. */
bool skim_reference(const struct skim *skim, const struct skim_die *die, enum skim_slot slot,
		    uint64_t *ret);
/** Visits the code ranges of the DIE, link-time. */
void skim_ranges(const struct skim *skim, const struct skim_die *die, range_visit visit,
		 void *context);
/** DW_AT_low_pc. */
bool skim_low_pc(const struct skim *skim, const struct skim_die *die, uint64_t *ret);
/** The same DIE for libdw. */
bool skim_libdw(const struct unit *unit, uint64_t offset, Dwarf_Die *ret);

#endif
