// SPDX-License-Identifier: Apache-2.0
#ifndef BUNDLE_BUNDLE_H
#define BUNDLE_BUNDLE_H

// LLDB's trace bundles: trace.json, with files of packets, context switches and modules beside it.

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <strobe/error.h>
#include <strobe/trace.h>

#include "pt/input.h"

/** Does a file that begins with these bytes look like a trace.json? */
bool bundle_is(const uint8_t *bytes, size_t size);

/**
 * Opens the bundle that `path` describes. Files are mapped, not read. What is missing of it (a file of packets, a module)
 * is a warning, as long as any packets are there. `options` may be NULL. Errors: SYSTEM; FORMAT with the place
 * and its context. `*ret` is the caller's (pt_input_fini) on success, and untouched otherwise.
 */
struct strobe_error *bundle_open(const char *path, const struct strobe_trace_options *options,
				 struct pt_input *ret) STROBE_MUST_CHECK;

#endif
