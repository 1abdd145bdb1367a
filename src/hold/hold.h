// SPDX-License-Identifier: Apache-2.0
#ifndef HOLD_HOLD_H
#define HOLD_HOLD_H

// What libstrobe's own layers need of frozen copies beyond <strobe/hold.h>.

#include <strobe/hold.h>

/** Path of the file for what is written over the copy `name`; it is removed with the copy. malloc'ed;
 *  the caller's. The copy need not exist. Errors: INVALID (the name, the directory), SYSTEM. */
struct strobe_error *hold_overlay_path(const char *name, char **ret) STROBE_MUST_CHECK;

#endif
