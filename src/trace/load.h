// SPDX-License-Identifier: Apache-2.0
#ifndef TRACE_LOAD_H
#define TRACE_LOAD_H

// Has the index read from where it is kept, or made and put there.

#include <stdbool.h>
#include <strobe/error.h>

#include "trace/state.h"

/** Fills `trace`'s rows. What is stored is used only if it fits; else it is made again. Errors: those of
 *  decoders; SYSTEM if options->index_path is given and cannot be written. */
struct strobe_error *load_index(struct strobe_trace *trace,
				const struct strobe_trace_options *options) STROBE_MUST_CHECK;
/** Frees what rows hold, and the rows. */
void load_forget_rows(struct strobe_trace *trace);

#endif
