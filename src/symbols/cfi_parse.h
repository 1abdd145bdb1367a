// SPDX-License-Identifier: Apache-2.0
#ifndef SYMBOLS_CFI_PARSE_H
#define SYMBOLS_CFI_PARSE_H

// Reads .eh_frame, .debug_frame and .eh_frame_hdr as bytes (DWARF 5, section 6.4; LSB 5, "DWARF
// Extensions"). Knows no files: any bytes may be given.

#include "symbols/cfi.h"

/** Named limits. */
enum {
	CFI_INSTRUCTIONS_LIMIT = 1 << 20, // bytes run for one row
	CFI_REMEMBER_LIMIT = 32,	  // DW_CFA_remember_state within each other
	CFI_ENTRY_LIMIT = 8 << 20,	  // entries of one section
};

struct cfi_section {
	const uint8_t *data;
	size_t size;
	uint64_t address; // link-time, of data[0]
	bool eh;	  // .eh_frame, not .debug_frame
};

/** A frame description entry with its CIE. */
struct cfi_fde {
	uint64_t start, end; // link-time code, [start, end)
	const uint8_t *instructions, *instructions_end;
	const uint8_t *initial, *initial_end; // the CIE's instructions
	uint64_t code_align;
	int64_t data_align;
	uint64_t return_register;
	bool signal_frame;
};

/** What stands at `offset` of a section. */
enum cfi_entry { CFI_ENTRY_FDE, CFI_ENTRY_CIE, CFI_ENTRY_END, CFI_ENTRY_BAD };
/** Reads the entry at `*offset` and moves on to the next (for _FDE, _CIE, and _BAD if the length
 *  is usable; else `*offset` becomes the section's size). */
enum cfi_entry cfi_read_entry(const struct cfi_section *section, size_t *offset,
			      struct cfi_fde *ret);
/** Runs `fde`'s instructions up to link-time `pc`. False if they are damaged. */
bool cfi_run(const struct cfi_fde *fde, uint64_t pc, struct cfi_row *ret);

/** .eh_frame_hdr's table: 8 bytes an entry, code start and FDE, relative to the header. */
struct cfi_header {
	const uint8_t *table;
	size_t count; // 0 if there is no table of the usual form
	uint64_t address;
	uint64_t frame; // address of .eh_frame
};
bool cfi_read_header(const uint8_t *data, size_t size, uint64_t address, struct cfi_header *ret);
/** Address of the FDE that may hold link-time `pc`; false if the table says that there is none. */
bool cfi_search_header(const struct cfi_header *header, uint64_t pc, uint64_t *ret);

#endif
