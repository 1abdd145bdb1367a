// SPDX-License-Identifier: Apache-2.0
#ifndef RECORDING_RECORDING_H
#define RECORDING_RECORDING_H

// Reads Strobe's own trace file, docs/format/recording.md, while it is written or later.

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <strobe/trace.h>

struct pt_input;

/** True if a file that begins with these bytes is a recording. */
bool recording_is(const uint8_t *bytes, size_t size);
/**
 * Of `options` (NULL = defaults) those for views are used. `*ret`, which need not be initialised, is the caller's (pt_input_fini()). Code is the last program's that the first process
 * ran, as a view; all other code stands in pt_input.code. Damage, and an end that was cut off, are warnings. While
 * somebody writes the file, pt_input.refresh finds what is new. Errors: SYSTEM, FORMAT, UNSUPPORTED, LIMIT.
 */
struct strobe_error *recording_open(const char *path, const struct strobe_trace_options *options,
				    struct pt_input *ret) STROBE_MUST_CHECK;

#endif
