// SPDX-License-Identifier: Apache-2.0
#ifndef FLOW_EXPORT_OUTPUT_H
#define FLOW_EXPORT_OUTPUT_H

// A file that an export writes piece by piece.

#include <stdint.h>
#include <stdio.h>
#include <strobe/error.h>

#include "base/new_file.h"

struct export_output {
	struct new_file file;
	FILE *out; // NULL = not open
	const char *path;
};

/** `path` is borrowed; "-" is standard output. */
struct strobe_error *export_output_open(struct export_output *output, const char *path)
	STROBE_MUST_CHECK;
/** NULL, or what went wrong with writing so far. */
struct strobe_error *export_output_check(struct export_output *output) STROBE_MUST_CHECK;
/** Puts it in its place; `*bytes` is added to. */
struct strobe_error *export_output_commit(struct export_output *output, uint64_t *bytes)
	STROBE_MUST_CHECK;
/** Leaves nothing behind; nothing to do after a commit. */
void export_output_discard(struct export_output *output);
/** A JSON string with its quotes: what is not UTF-8 becomes U+FFFD. */
void export_put_json(FILE *out, const char *text);

#endif
