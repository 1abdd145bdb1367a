// SPDX-License-Identifier: Apache-2.0
#include <ctype.h>

#include "base/error.h"
#include "core/core.h"

static bool is_number(const char *text)
{
	for (const char *c = text; *c; c++)
		if (!isdigit((unsigned char)*c))
			return false;
	return *text;
}

struct strobe_error *strobe_view_open(const char *target, const struct strobe_view_options *options,
				      struct strobe_view **ret)
{
	if (!target || !*target)
		return error_new(STROBE_ERROR_INVALID, "no core file given");
	if (*target == '@')
		return error_new(STROBE_ERROR_UNSUPPORTED,
				 "%s: frozen copies are not supported by this version yet", target);
	struct strobe_error *error = core_open_file(target, options, ret);
	if (error && is_number(target) && strobe_error_code(error) == STROBE_ERROR_SYSTEM) {
		strobe_error_free(error);
		return error_new(STROBE_ERROR_UNSUPPORTED,
				 "%s: live processes are not supported by this version yet: "
				 "give a core file",
				 target);
	}
	return error;
}
