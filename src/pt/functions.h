// SPDX-License-Identifier: Apache-2.0
#ifndef PT_FUNCTIONS_H
#define PT_FUNCTIONS_H

// Where functions begin and end: by the modules' tables for unwinding (.eh_frame_hdr: LSB 5, "DWARF Extensions"), which
// stripped programs have as well, else by their symbols. Does not change once made; several threads may ask at the
// same time.

#include <stdbool.h>
#include <stdint.h>
#include <strobe/view.h>

#include "base/array.h"

struct function_range {
	uint64_t start, end;
};

/** A module's table. Bytes are borrowed from the view. */
struct function_table {
	uint64_t address;		      // of .eh_frame_hdr
	const uint8_t *bytes;		      // from there on; NULL: it has none, then `symbols`
	uint64_t size;			      // of them
	uint32_t count;			      // entries, from byte FUNCTION_TABLE_HEADER on
	uint64_t start, end;		      // of the module
	ARRAY(struct function_range) symbols; // ascending
};
enum { FUNCTION_TABLE_HEADER = 12 };

struct functions {
	ARRAY(struct function_table) tables; // by module, ascending
};

/** The tables of `view`'s modules; a module without one is left out. Errors: NO_MEMORY. */
struct strobe_error *functions_init(struct functions *functions, const struct strobe_view *view)
	STROBE_MUST_CHECK;
void functions_fini(struct functions *functions);
/** The function that holds `address`: [*start, *end). False if that is not told. */
bool functions_at(const struct functions *functions, uint64_t address, uint64_t *start,
		  uint64_t *end);

#endif
