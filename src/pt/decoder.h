// SPDX-License-Identifier: Apache-2.0
#ifndef PT_DECODER_H
#define PT_DECODER_H

// Decodes one block after the other, in any order: one routine for the index and for looking, so that both see the
// same items. A block is cut into slices, each from one PSB to the next, and each slice is decoded by a libipt decoder
// of its own, which sees no more than it. Where a slice's packets end, code goes straight on to the next PSB.

#include "code/code_map.h"
#include "trace/source.h"
#include "trace/window.h"

/** What struct trace_source_ops asks for; `source` is a struct pt_source. */
struct strobe_error *decoder_new(void *source, void **ret, struct code_map **ret_map)
	STROBE_MUST_CHECK;
void decoder_free(void *decoder);
struct strobe_error *decoder_decode(void *decoder, size_t stream, uint64_t block,
				    const struct source_want *want, struct window *window)
	STROBE_MUST_CHECK;

#endif
