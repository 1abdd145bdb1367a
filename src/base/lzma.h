// SPDX-License-Identifier: Apache-2.0
#ifndef BASE_LZMA_H
#define BASE_LZMA_H

#include <stddef.h>
#include <stdint.h>
#include <strobe/error.h>

/** Named limits: what one .xz stream may unpack to, and what the decoder may use meanwhile. */
#define LZMA_UNPACKED_LIMIT (UINT64_C(256) << 20)
#define LZMA_DECODER_LIMIT (UINT64_C(128) << 20)

/**
 * Unpacks an .xz stream into malloc'ed memory that is the caller's. Errors: FORMAT (damaged or cut
 * off), LIMIT (unpacks to more than LZMA_UNPACKED_LIMIT).
 */
struct strobe_error *lzma_unpack(const uint8_t *bytes, size_t size, uint8_t **ret, size_t *ret_size)
	STROBE_MUST_CHECK;

#endif
