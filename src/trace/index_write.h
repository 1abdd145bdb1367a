// SPDX-License-Identifier: Apache-2.0
#ifndef TRACE_INDEX_WRITE_H
#define TRACE_INDEX_WRITE_H

// Writes an index while it is made: memory is for one group a thread, whatever the length of the trace.

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <strobe/error.h>

#include "trace/units.h"

struct index_writer;
struct strobe_trace;

/** Writes to `fd` (kept open by the caller), an empty file that can be read as well. */
struct strobe_error *index_writer_new(int fd, struct index_writer **ret) STROBE_MUST_CHECK;
struct index_writer *index_writer_free(struct index_writer *writer);
/** Appends thread `thread`'s next unit. Errors: SYSTEM, out of memory. */
struct strobe_error *index_writer_add(struct index_writer *writer, size_t thread,
				      const struct unit *unit) STROBE_MUST_CHECK;
/** True once the file could not be written: another place may do. */
bool index_writer_failed(const struct index_writer *writer);
/** Writes what is left, tables of `trace`'s rows and the header; then the file is whole. */
struct strobe_error *index_writer_finish(struct index_writer *writer,
					 const struct strobe_trace *trace) STROBE_MUST_CHECK;

#endif
