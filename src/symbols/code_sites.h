// SPDX-License-Identifier: Apache-2.0
#ifndef SYMBOLS_CODE_SITES_H
#define SYMBOLS_CODE_SITES_H

// Where the code of functions stands: their own, and each copy that was inlined.

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <strobe/symbols.h>

struct code_range {
	uint64_t start, end; // run-time, [start, end)
};

/** The code of a function, or of one inlined call of it. Borrowed for the visit. */
struct code_site {
	bool inlined;
	uint64_t entry; // run-time; where it begins
	const struct code_range *ranges;
	size_t range_count;
	size_t module_index;
	struct unit *unit; // NULL: known by an ELF symbol alone
	uint64_t die_offset;
	uint64_t origin;    // equal for sites of one function of one unit; UINT64_MAX = not told
	const char *symbol; // its name, if `unit` is NULL
};
/** Return false to stop. */
typedef bool (*code_site_visit)(void *context, const struct code_site *site);
/**
 * Visits the sites of functions called `name` ("f", "ns::f", "'a.c'::f"), NULL = of all. Modules, or functions,
 * that debug information does not describe are known by their ELF symbols, which are only
 * looked through for a `name`, and only where no module's debug information has it.
 */
struct strobe_error *code_sites_for_each(struct strobe_symbols *symbols, const char *name,
					 code_site_visit visit, void *context) STROBE_MUST_CHECK;
/** What the function that the site is of is called and where it is declared. */
void code_site_function(struct strobe_symbols *symbols, const struct code_site *site,
			struct strobe_function *ret);

#endif
