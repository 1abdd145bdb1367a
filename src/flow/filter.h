// SPDX-License-Identifier: Apache-2.0
#ifndef FLOW_FILTER_H
#define FLOW_FILTER_H

// Which functions and modules somebody asks for.

#include <stdbool.h>
#include <strobe/symbols.h>

struct regex;

struct filter {
	enum strobe_match match;
	const char *function; // pattern; NULL = all
	const char *module;   // name or path; NULL = all
	struct regex *regex;
};

/** Strings are borrowed. Errors: SYNTAX (the pattern), NOT_FOUND (no such module in `view`). */
struct strobe_error *filter_init(struct filter *filter, const struct strobe_view *view,
				 enum strobe_match match, const char *function, const char *module)
	STROBE_MUST_CHECK;
void filter_fini(struct filter *filter);
/** `name` NULL = not known. */
bool filter_function(const struct filter *filter, const char *name);
/** `module` NULL = none. A library's name may lack its ".so...". */
bool filter_module(const struct filter *filter, const struct strobe_module *module);

#endif
