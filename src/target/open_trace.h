// SPDX-License-Identifier: Apache-2.0
#ifndef TARGET_OPEN_TRACE_H
#define TARGET_OPEN_TRACE_H

#include <stdbool.h>

/** True if the file begins like a trace that strobe_trace_open() reads. */
bool open_trace_is_one(const char *path);

#endif
