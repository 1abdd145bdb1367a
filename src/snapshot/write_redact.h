// SPDX-License-Identifier: Apache-2.0
#ifndef SNAPSHOT_WRITE_REDACT_H
#define SNAPSHOT_WRITE_REDACT_H

// Takes secrets out of what is written: text becomes a keyed hash of itself, of the same size. The
// key is thrown away; docs/format/snapshot.md says what counts as text.

#include <stddef.h>
#include <stdint.h>
#include <strobe/error.h>
#include <strobe/snapshot.h>

#include "snapshot/write_notes.h"
#include "view/view.h"

struct redactor;

/** `redact` of enum strobe_redact. Errors: SYNTAX with column (patterns), NO_MEMORY, SYSTEM. */
struct strobe_error *redactor_new(const struct strobe_view *view, unsigned redact,
				  const char *const *patterns, size_t pattern_count,
				  struct redactor **ret) STROBE_MUST_CHECK;
struct redactor *redactor_free(struct redactor *redactor);
/** Changes `size` bytes that were read from `address` of a mapping, in place. Errors: LIMIT (a
 *  pattern that takes too long), NO_MEMORY. */
struct strobe_error *redact_memory(struct redactor *redactor, uint32_t mapping, uint64_t address,
				   uint8_t *bytes, size_t size) STROBE_MUST_CHECK;
/** Changes the text of the notes that were copied from the source. */
struct strobe_error *redact_notes(struct redactor *redactor, struct notes *notes) STROBE_MUST_CHECK;

#endif
