// SPDX-License-Identifier: Apache-2.0
#ifndef TARGET_POSITION_H
#define TARGET_POSITION_H

#include <stdbool.h>
#include <strobe/error.h>
#include <strobe/view.h>

/**
 * "FILE@POSITION": a trace, and an item of it as strobe_cursor_tell() names it ("TID#ID", with or without what
 * follows), or its id alone, of the first thread. `*ret_is` says if `target` has that form and a file is there; then
 * the view is of that place. A file whose own name has that form is itself.
 */
struct strobe_error *position_open(const char *target, const struct strobe_view_options *options,
				   bool *ret_is, struct strobe_view **ret) STROBE_MUST_CHECK;

#endif
