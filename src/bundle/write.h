// SPDX-License-Identifier: Apache-2.0
#ifndef BUNDLE_WRITE_H
#define BUNDLE_WRITE_H

// Writes a bundle of LLDB's form (docs/format/trace-bundle.md).

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <strobe/trace_save.h>

#include "base/hash.h"
#include "bundle/folder.h"
#include "pt/input.h"

/** What of a stream is written: bytes [from, to); none if they are the same. */
struct bundle_part {
	uint64_t from, to;
	uint64_t first_clock, last_clock; // switches outside are left out
};

struct bundle_writing {
	const struct pt_input *input;
	const struct strobe_view *view;
	const bool *threads;		 // of input->threads: is it saved?
	const struct bundle_part *parts; // of input->streams
	bool reference_modules;
	struct folder folder; // begun
	struct strobe_trace_saved *saved;
	struct hash tids; // of the saved threads -> the thread
};

/** Errors: SYSTEM, UNSUPPORTED, LIMIT. The folder is not committed. */
struct strobe_error *bundle_write(struct bundle_writing *writing) STROBE_MUST_CHECK;

/** write.c: a string for JSON, which is UTF-8: other bytes become '?'. */
json_t *bundle_json_string(const char *text);
/** write_modules.c: the files of the view's modules, and an array that tells of them; the caller's. */
struct strobe_error *bundle_write_modules(struct bundle_writing *writing, json_t **ret)
	STROBE_MUST_CHECK;
/** write_modules.c: bytes of files that it will copy. */
uint64_t bundle_module_bytes(const struct bundle_writing *writing);

#endif
