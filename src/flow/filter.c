// SPDX-License-Identifier: Apache-2.0
#include "flow/filter.h"

#include <fnmatch.h>
#include <string.h>

#include "base/error.h"
#include "base/regex.h"

bool filter_function(const struct filter *filter, const char *name)
{
	size_t start, end;
	if (!filter->function)
		return true;
	if (!name)
		return false;
	if (filter->match == STROBE_MATCH_EXACT)
		return strcmp(filter->function, name) == 0;
	if (filter->match == STROBE_MATCH_GLOB)
		return fnmatch(filter->function, name, 0) == 0;
	return regex_match(filter->regex, name, strlen(name), 0, false, &start, &end) ==
	       REGEX_MATCH;
}

bool filter_module(const struct filter *filter, const struct strobe_module *module)
{
	const char *name = filter->module;
	size_t size = name ? strlen(name) : 0;
	if (!name)
		return true;
	if (!module)
		return false;
	if (module->path && strcmp(module->path, name) == 0)
		return true;
	return size > 0 && module->name && strncmp(module->name, name, size) == 0 &&
	       (!module->name[size] || strncmp(module->name + size, ".so", 3) == 0);
}

struct strobe_error *filter_init(struct filter *filter, const struct strobe_view *view,
				 enum strobe_match match, const char *function, const char *module)
{
	*filter = (struct filter){.match = match, .function = function, .module = module};
	bool known = !module;
	for (size_t i = 0; !known && i < strobe_view_module_count(view); i++)
		known = filter_module(filter, strobe_view_module(view, i));
	if (!known)
		return error_new(STROBE_ERROR_NOT_FOUND, "no module '%s'", module);
	if (!function || match != STROBE_MATCH_REGEX)
		return NULL;
	return regex_new(function, strlen(function), false, &filter->regex);
}

void filter_fini(struct filter *filter)
{
	regex_free(filter->regex);
	filter->regex = NULL;
}
