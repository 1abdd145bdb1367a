// SPDX-License-Identifier: Apache-2.0
// strobe_symbol_at() and strobe_symbols_find(): ELF symbols of the whole process.

#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>
#include <strobe/symbols.h>

#include "base/error.h"
#include "base/regex.h"
#include "symbols/demangle.h"
#include "symbols/elf_symbols.h"

bool strobe_symbol_at(struct strobe_symbols *symbols, uint64_t address, struct strobe_symbol *ret)
{
	struct symbols_module *module = symbols_module_at(symbols, address);
	return module && elf_symbols_at(module, address - module->module->bias, ret);
}

struct search {
	enum strobe_match match;
	const char *pattern;
	struct regex *regex;
	strobe_symbol_visit visit;
	void *context;
};

static bool matches(const struct search *search, const char *name)
{
	size_t start, end;
	if (search->match == STROBE_MATCH_GLOB)
		return fnmatch(search->pattern, name, 0) == 0;
	return regex_match(search->regex, name, strlen(name), 0, false, &start, &end) ==
	       REGEX_MATCH;
}

static bool is_wanted(void *context, const char *name, size_t size)
{
	const struct search *search = context;
	char *bare = strndup(name, size);
	if (!bare)
		return false;
	bool wanted = matches(search, bare);
	char *full = wanted ? NULL : demangle(bare);
	if (full)
		wanted = matches(search, full);
	free(full);
	free(bare);
	return wanted;
}

static bool pass_on(void *context, const struct strobe_symbol *symbol)
{
	const struct search *search = context;
	return search->visit(search->context, symbol);
}

// "libc" is libc.so.6, too.
static bool is_module(const struct strobe_module *module, const char *name)
{
	size_t size = strlen(name);
	if (module->name && strncmp(module->name, name, size) == 0 &&
	    (!module->name[size] || strncmp(module->name + size, ".so", 3) == 0))
		return size > 0;
	return module->path && strcmp(module->path, name) == 0;
}

struct strobe_error *strobe_symbols_find(struct strobe_symbols *symbols, enum strobe_match match,
					 const char *pattern, const char *module,
					 strobe_symbol_visit visit, void *context)
{
	struct search search = {match, pattern, NULL, visit, context};
	if (match == STROBE_MATCH_REGEX) {
		struct strobe_error *error =
			regex_new(pattern, strlen(pattern), false, &search.regex);
		if (error)
			return error;
	}
	bool known = !module, more = true;
	for (size_t i = 0; i < symbols->module_count && more; i++) {
		if (module && !is_module(strobe_view_module(symbols->view, i), module))
			continue;
		known = true;
		struct symbols_module *opened = symbols_module(symbols, i);
		if (opened)
			more = elf_symbols_for_each(opened,
						    match == STROBE_MATCH_EXACT ? pattern : NULL,
						    is_wanted, pass_on, &search);
	}
	regex_free(search.regex);
	return known ? NULL
		     : error_new(STROBE_ERROR_NOT_FOUND, "no module is called \"%s\"", module);
}
