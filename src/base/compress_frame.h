// SPDX-License-Identifier: Apache-2.0
#ifndef BASE_COMPRESS_FRAME_H
#define BASE_COMPRESS_FRAME_H

#include <stddef.h>
#include <stdint.h>

// Single zstd frames with content size and checksum. One thread a maker.

enum { FRAME_LEVEL_MAX = 19, FRAME_CHECKSUM_SIZE = 4 };

struct frame_maker;

/** NULL when memory is short. */
struct frame_maker *frame_maker_new(int level);
struct frame_maker *frame_maker_free(struct frame_maker *maker);
/** Room that a frame of `size` bytes of content takes at most. */
size_t frame_bound(size_t size);
/** What compression would gain nothing of, as random bytes, is stored as it is: that is quicker.
 *  Writes the frame of `size` bytes to `ret`, which has room for frame_bound(size). Returns its
 *  size, 0 when memory is short. Its last FRAME_CHECKSUM_SIZE bytes are the content's checksum. */
size_t frame_make(struct frame_maker *maker, const void *bytes, size_t size, void *ret);
/** The same for `size` zeros (at most 4 GiB - 1), put together by hand: RLE blocks.
 *  0 when memory is short. */
size_t frame_make_zeros(uint32_t size, void *ret);

#endif
