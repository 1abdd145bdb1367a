// SPDX-License-Identifier: Apache-2.0
#ifndef CLI_TRACE_CODE_PLACE_H
#define CLI_TRACE_CODE_PLACE_H

#include <strobe/cursor.h>

#include "command.h"

// What is told of an item by verbs that list items.

/** What is known of a code address. */
struct code_place {
	uint64_t address;
	const char *module;   // NULL if in none
	const char *function; // of the innermost call; NULL if not known
	uint64_t offset;      // in it
	bool inlined;
	const char *file; // NULL if not known
	unsigned line;
};
void code_place_find(struct strobe_symbols *symbols, uint64_t address, struct code_place *ret);
/** "0x0000000000401234 partition + 4 at calls.c:33". */
void put_code_place(const struct command *command, const struct code_place *place);
/** Members address, module, function, inlined, file, line. */
void code_place_json(struct json *json, const struct code_place *place);
/** " [12.500 ns]", " [unavailable]". */
void put_item_time(struct strobe_cursor *cursor);
/** Members id, time_ns, position, kind, and event or error, or those of its place. */
void item_json(struct json *json, struct strobe_symbols *symbols, struct strobe_cursor *cursor);
/** What stands at the cursor: a place, "(event) ...", "(error) ...". */
void put_item(const struct command *command, struct strobe_symbols *symbols,
	      struct strobe_cursor *cursor);

#endif
