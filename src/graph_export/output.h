// SPDX-License-Identifier: Apache-2.0
#ifndef GRAPH_EXPORT_OUTPUT_H
#define GRAPH_EXPORT_OUTPUT_H

// A file that is written piece by piece, and appears whole or not at all. What is put after something went wrong is
// dropped; output_commit() tells.

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <strobe/error.h>

#include "base/new_file.h"

struct output {
	struct new_file file;
	const char *path;
	bool open;
	int error_number; // of the first write that failed; 0 = none
	char *buffer;
	size_t used;
	uint64_t bytes; // put so far
};

/** `path` is borrowed; "-" is standard output. Errors: SYSTEM, NO_MEMORY, INVALID. */
struct strobe_error *output_open(struct output *output, const char *path) STROBE_MUST_CHECK;
/** One that never has a name: what it holds is put into another, at its end. Errors: SYSTEM, NO_MEMORY. */
struct strobe_error *output_open_spool(struct output *output) STROBE_MUST_CHECK;
/** Puts all of `spool` at the end of `output`. Errors: SYSTEM, of the spool. */
struct strobe_error *output_append(struct output *output, struct output *spool) STROBE_MUST_CHECK;
/** Puts it in its place. Errors: SYSTEM; then nothing is there. */
struct strobe_error *output_commit(struct output *output) STROBE_MUST_CHECK;
/** Leaves nothing behind; nothing to do after a commit. */
void output_discard(struct output *output);
/** NULL, or what went wrong with writing so far. */
struct strobe_error *output_check(const struct output *output) STROBE_MUST_CHECK;

void output_bytes(struct output *output, const char *bytes, size_t size);
void output_string(struct output *output, const char *string);
void output_char(struct output *output, char c);
void output_unsigned(struct output *output, uint64_t value);
/** "0x" and lower-case hexadecimal. */
void output_hex(struct output *output, uint64_t value);
/** A JSON string with its quotes; NULL is null. What is not UTF-8 becomes U+FFFD, one a byte. With `in_page`, '<', '>', '&'
 *  and the line separators are escaped as well, so that it may stand inside a <script>. */
void output_json(struct output *output, const char *text, bool in_page);
void output_json_size(struct output *output, const char *text, size_t size, bool in_page);

#endif
