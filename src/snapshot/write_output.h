// SPDX-License-Identifier: Apache-2.0
#ifndef SNAPSHOT_WRITE_OUTPUT_H
#define SNAPSHOT_WRITE_OUTPUT_H

// The core's bytes in order: straight to the sink, or through the compressor. Small pieces are
// gathered.

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <strobe/error.h>

#include "snapshot/write_compress.h"
#include "snapshot/write_sink.h"

enum { OUTPUT_GATHERED = 256 << 10, OUTPUT_DIRECT = 4096 };

struct output {
	struct sink *sink;
	struct compressor *compressor; // NULL = plain
	uint64_t position;	       // in the uncompressed core
	size_t gathered;
	uint8_t buffer[OUTPUT_GATHERED];
};

/** `compressor` may be NULL. Both are borrowed. */
struct strobe_error *output_new(struct sink *sink, struct compressor *compressor,
				struct output **ret) STROBE_MUST_CHECK;
struct output *output_free(struct output *output);
struct strobe_error *output_write(struct output *output, const void *bytes, size_t size)
	STROBE_MUST_CHECK;
/** `size` zeros. */
struct strobe_error *output_skip(struct output *output, uint64_t size) STROBE_MUST_CHECK;
/** Can bytes be written before their turn comes? */
bool output_can_write_ahead(const struct output *output);
struct strobe_error *output_write_ahead(struct output *output, uint64_t offset, const void *bytes,
					size_t size) STROBE_MUST_CHECK;
/** After the last byte. */
struct strobe_error *output_finish(struct output *output) STROBE_MUST_CHECK;

#endif
