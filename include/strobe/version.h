// SPDX-License-Identifier: Apache-2.0
#ifndef STROBE_VERSION_H
#define STROBE_VERSION_H

#include <strobe/error.h>

#ifdef __cplusplus
extern "C" {
#endif

/** The library's version, "MAJOR.MINOR.PATCH"; static. */
STROBE_EXPORT const char *strobe_version(void);

#ifdef __cplusplus
}
#endif
#endif
