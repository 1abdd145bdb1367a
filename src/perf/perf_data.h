// SPDX-License-Identifier: Apache-2.0
#ifndef PERF_PERF_DATA_H
#define PERF_PERF_DATA_H

// perf.data as `perf record -e intel_pt//` writes it: packets in the AUX area, mappings, switches and lost data in
// records beside them.

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <strobe/error.h>
#include <strobe/trace.h>

#include "pt/input.h"

/** Does a file that begins with these bytes look like perf.data? */
bool perf_data_is(const uint8_t *bytes, size_t size);

/**
 * Opens a perf.data with Intel PT. It is mapped, not read. Records that are damaged end it, with a warning, as
 * long as any packets were found before. `options` may be NULL. Errors: SYSTEM; FORMAT with the offset;
 * UNSUPPORTED (no Intel PT in it, another byte order, compressed records). `*ret` is the caller's
 * (pt_input_fini) on success, and untouched otherwise.
 */
struct strobe_error *perf_data_open(const char *path, const struct strobe_trace_options *options,
				    struct pt_input *ret) STROBE_MUST_CHECK;

#endif
