// SPDX-License-Identifier: Apache-2.0
#include "base/zstd_seekable.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>
#include <zstd.h>

#include "base/error.h"

static const uint32_t frame_magic = 0xfd2fb528;
static const uint32_t skippable_magic = 0x184d2a50; // and the 15 that follow
static const uint32_t table_magic = 0x184d2a5e;
static const uint32_t footer_magic = 0x8f92eab1;

enum {
	HEADER_SIZE = 8, // of a skippable frame: magic, size
	FOOTER_SIZE = 9, // number of frames, descriptor, magic
	CHECKSUM_FLAG = 0x80,
	RESERVED_FLAGS = 0x7c,
	FRAMES_MAX = 0x8000000, // ZSTD_SEEKABLE_MAXFRAMES
	MARK_EVERY = 64,	// frames: sums of sizes are kept for each so manieth
	KEPT_FRAMES = 16,
	// A frame that is packed tighter than this is unpacked only to see whether it is zero.
	ZERO_RATIO = 1000,
	ZERO_OVERHEAD = 64,
};

struct frame {
	uint32_t index;
	uint64_t packed_at, at;
	uint32_t packed_size, size, checksum;
};

/** Sums before frame n * MARK_EVERY. */
struct mark {
	uint64_t packed_at, at;
};

struct kept {
	uint8_t *bytes; // NULL: free
	uint32_t index, size;
	uint64_t used; // when last: `clock` then
};

struct zstd_seekable {
	const uint8_t *bytes;
	const uint8_t *table; // its entries
	uint32_t frame_count;
	unsigned entry_size; // 8, or 12 with checksums
	uint64_t size;
	struct mark *marks;
	ZSTD_DCtx *context;
	struct kept kept[KEPT_FRAMES];
	uint64_t kept_bytes, clock;
	struct frame last; // found last
	uint32_t zero_index;
	bool zero_known, zero;
	bool damaged;
	uint8_t *bad; // a bit for each frame that was found damaged: it is not tried again; or NULL
	char problem[160];
};

static uint32_t number(const uint8_t *bytes)
{
	return bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 |
	       (uint32_t)bytes[3] << 24;
}

bool zstd_is(const uint8_t *bytes, uint64_t size)
{
	return size >= 4 && number(bytes) == frame_magic;
}

bool zstd_seekable_is(const uint8_t *bytes, uint64_t size)
{
	return size >= HEADER_SIZE + FOOTER_SIZE && number(bytes + size - 4) == footer_magic &&
	       (zstd_is(bytes, size) || (number(bytes) & ~UINT32_C(15)) == skippable_magic);
}

static void entry_at(const struct zstd_seekable *seekable, uint32_t index, struct frame *frame)
{
	const uint8_t *entry = seekable->table + (size_t)index * seekable->entry_size;
	frame->index = index;
	frame->packed_size = number(entry);
	frame->size = number(entry + 4);
	frame->checksum = seekable->entry_size > 8 ? number(entry + 8) : 0;
}

/** Checks that the table is as large as it says and that there is room for it. */
static struct strobe_error *find_table(struct zstd_seekable *seekable, uint64_t size,
				       const char *path, uint64_t *table_at)
{
	const uint8_t *footer = seekable->bytes + size - FOOTER_SIZE;
	uint32_t count = number(footer);
	unsigned flags = footer[4];
	seekable->frame_count = count;
	seekable->entry_size = flags & CHECKSUM_FLAG ? 12 : 8;
	if (flags & RESERVED_FLAGS)
		return error_new(STROBE_ERROR_FORMAT,
				 "%s: damaged: unknown flags 0x%x in the seek table's footer", path,
				 flags);
	uint64_t table_size = (uint64_t)count * seekable->entry_size;
	if (count > FRAMES_MAX || table_size > size - HEADER_SIZE - FOOTER_SIZE)
		return error_new(STROBE_ERROR_FORMAT,
				 "%s: damaged: a seek table of %" PRIu32
				 " frames in a file of %" PRIu64 " bytes",
				 path, count, size);
	*table_at = size - FOOTER_SIZE - table_size - HEADER_SIZE;
	const uint8_t *header = seekable->bytes + *table_at;
	if (number(header) != table_magic || number(header + 4) != table_size + FOOTER_SIZE)
		return error_new(STROBE_ERROR_FORMAT,
				 "%s: damaged: no seek table of %" PRIu32
				 " frames at file offset 0x%" PRIx64,
				 path, count, *table_at);
	seekable->table = header + HEADER_SIZE;
	return NULL;
}

static struct strobe_error *sum_up(struct zstd_seekable *seekable, const char *path,
				   uint64_t table_at)
{
	struct frame frame;
	uint64_t packed_at = 0;
	size_t marks = seekable->frame_count / MARK_EVERY + 1;
	seekable->marks = calloc(marks, sizeof(*seekable->marks));
	if (!seekable->marks)
		return error_no_memory();
	for (uint32_t i = 0; i < seekable->frame_count; i++) {
		if (i % MARK_EVERY == 0)
			seekable->marks[i / MARK_EVERY] = (struct mark){packed_at, seekable->size};
		entry_at(seekable, i, &frame);
		if (frame.size > ZSTD_SEEKABLE_FRAME_LIMIT)
			return error_new(STROBE_ERROR_LIMIT,
					 "%s: frame %" PRIu32 " at file offset 0x%" PRIx64
					 " unpacks to %" PRIu32 " bytes; the limit is %d",
					 path, i, packed_at, frame.size, ZSTD_SEEKABLE_FRAME_LIMIT);
		packed_at += frame.packed_size;
		seekable->size += frame.size;
	}
	if (packed_at != table_at)
		return error_new(STROBE_ERROR_FORMAT,
				 "%s: damaged: the seek table's %" PRIu32
				 " frames end at 0x%" PRIx64
				 ", but it begins at file offset 0x%" PRIx64,
				 path, seekable->frame_count, packed_at, table_at);
	return NULL;
}

struct strobe_error *zstd_seekable_open(const uint8_t *bytes, uint64_t size, const char *path,
					struct zstd_seekable **ret)
{
	uint64_t table_at = 0;
	if (!zstd_seekable_is(bytes, size))
		return error_new(STROBE_ERROR_FORMAT, "%s: no seekable zstd file", path);
	struct zstd_seekable *seekable = calloc(1, sizeof(*seekable));
	if (!seekable)
		return error_no_memory();
	seekable->bytes = bytes;
	struct strobe_error *error = find_table(seekable, size, path, &table_at);
	if (!error)
		error = sum_up(seekable, path, table_at);
	if (!error) {
		seekable->context = ZSTD_createDCtx();
		if (!seekable->context)
			error = error_no_memory();
	}
	if (error)
		zstd_seekable_close(seekable);
	else
		*ret = seekable;
	return error;
}

struct zstd_seekable *zstd_seekable_close(struct zstd_seekable *seekable)
{
	if (!seekable)
		return NULL;
	for (size_t i = 0; i < KEPT_FRAMES; i++)
		free(seekable->kept[i].bytes);
	ZSTD_freeDCtx(seekable->context);
	free(seekable->bad);
	free(seekable->marks);
	free(seekable);
	return NULL;
}

uint64_t zstd_seekable_size(const struct zstd_seekable *seekable)
{
	return seekable->size;
}

const char *zstd_seekable_problem(const struct zstd_seekable *seekable)
{
	return seekable->damaged ? seekable->problem : NULL;
}

/** The frame that holds `position`, which is less than the size. */
static void find(struct zstd_seekable *seekable, uint64_t position, struct frame *frame)
{
	const struct frame *last = &seekable->last;
	if (last->size && position >= last->at && position - last->at < last->size) {
		*frame = *last;
		return;
	}
	size_t low = 0, high = (seekable->frame_count - 1) / MARK_EVERY + 1;
	while (high - low > 1) {
		size_t middle = low + (high - low) / 2;
		if (seekable->marks[middle].at <= position)
			low = middle;
		else
			high = middle;
	}
	frame->packed_at = seekable->marks[low].packed_at;
	frame->at = seekable->marks[low].at;
	for (uint32_t i = (uint32_t)low * MARK_EVERY;; i++) {
		entry_at(seekable, i, frame);
		if (position - frame->at < frame->size)
			break;
		frame->packed_at += frame->packed_size;
		frame->at += frame->size;
	}
	seekable->last = *frame;
}

static bool is_bad(const struct zstd_seekable *seekable, const struct frame *frame)
{
	return seekable->bad && seekable->bad[frame->index / 8] >> frame->index % 8 & 1;
}

static bool complain(struct zstd_seekable *seekable, const struct frame *frame, const char *what)
{
	seekable->damaged = true;
	// A frame may take long until it turns out to be damaged, at each of its pages.
	if (!seekable->bad)
		seekable->bad = calloc(seekable->frame_count / 8 + 1, 1);
	if (seekable->bad)
		seekable->bad[frame->index / 8] |= (uint8_t)(1 << frame->index % 8);
	snprintf(seekable->problem, sizeof(seekable->problem),
		 "damaged: frame %" PRIu32 " at file offset 0x%" PRIx64 ": %s", frame->index,
		 frame->packed_at, what);
	return false;
}

/** Unpacks a frame into `buffer`, which has room for it. */
static bool unpack(struct zstd_seekable *seekable, const struct frame *frame, uint8_t *buffer)
{
	if (is_bad(seekable, frame))
		return false;
	size_t size = ZSTD_decompressDCtx(seekable->context, buffer, frame->size,
					  seekable->bytes + frame->packed_at, frame->packed_size);
	if (ZSTD_isError(size))
		return complain(seekable, frame, ZSTD_getErrorName(size));
	if (size != frame->size)
		return complain(seekable, frame, "smaller than the seek table says");
	if (seekable->entry_size > 8 && (uint32_t)XXH64(buffer, size, 0) != frame->checksum)
		return complain(seekable, frame, "its checksum differs from the seek table's");
	return true;
}

static void drop(struct zstd_seekable *seekable, struct kept *kept)
{
	free(kept->bytes);
	seekable->kept_bytes -= kept->size;
	*kept = (struct kept){0};
}

/** A slot that is free, after making room for `size` bytes. */
static struct kept *make_room(struct zstd_seekable *seekable, uint32_t size)
{
	for (;;) {
		struct kept *empty = NULL, *oldest = NULL;
		for (size_t i = 0; i < KEPT_FRAMES; i++) {
			struct kept *kept = &seekable->kept[i];
			if (!kept->bytes)
				empty = kept;
			else if (!oldest || kept->used < oldest->used)
				oldest = kept;
		}
		bool fits = seekable->kept_bytes + size <= ZSTD_SEEKABLE_KEPT_LIMIT;
		if (empty && (fits || !oldest))
			return empty;
		drop(seekable, oldest);
	}
}

/** The frame's bytes from the cache, unpacked if need be; NULL if it is damaged. */
static const uint8_t *bytes_of(struct zstd_seekable *seekable, const struct frame *frame)
{
	for (size_t i = 0; i < KEPT_FRAMES; i++) {
		struct kept *kept = &seekable->kept[i];
		if (kept->bytes && kept->index == frame->index) {
			kept->used = ++seekable->clock;
			return kept->bytes;
		}
	}
	if (is_bad(seekable, frame))
		return NULL;
	struct kept *kept = make_room(seekable, frame->size);
	uint8_t *bytes = malloc(frame->size);
	if (!bytes) {
		seekable->damaged = true; // not the file's fault, and tried again
		snprintf(seekable->problem, sizeof(seekable->problem),
			 "frame %" PRIu32 ": out of memory", frame->index);
		return NULL;
	}
	if (!unpack(seekable, frame, bytes)) {
		free(bytes);
		return NULL;
	}
	*kept = (struct kept){bytes, frame->index, frame->size, ++seekable->clock};
	seekable->kept_bytes += frame->size;
	return bytes;
}

size_t zstd_seekable_read(struct zstd_seekable *seekable, uint64_t position, void *buffer,
			  size_t size)
{
	size_t done = 0;
	while (done < size && position + done < seekable->size) {
		struct frame frame;
		find(seekable, position + done, &frame);
		uint64_t inside = position + done - frame.at;
		uint8_t *to = (uint8_t *)buffer + done;
		if (!inside && size - done >= frame.size) {
			if (!unpack(seekable, &frame, to))
				break;
			done += frame.size;
			continue;
		}
		const uint8_t *bytes = bytes_of(seekable, &frame);
		if (!bytes)
			break;
		size_t part = frame.size - (size_t)inside;
		if (part > size - done)
			part = size - done;
		memcpy(to, bytes + inside, part);
		done += part;
	}
	return done;
}

bool zstd_seekable_zero(struct zstd_seekable *seekable, uint64_t position, uint64_t *end)
{
	struct frame frame;
	find(seekable, position, &frame);
	*end = frame.at + frame.size;
	if (frame.packed_size > frame.size / ZERO_RATIO + ZERO_OVERHEAD)
		return false;
	if (seekable->zero_known && seekable->zero_index == frame.index)
		return seekable->zero;
	const uint8_t *bytes = bytes_of(seekable, &frame);
	seekable->zero_index = frame.index;
	seekable->zero_known = true;
	seekable->zero = bytes && bytes[0] == 0 && memcmp(bytes, bytes + 1, frame.size - 1) == 0;
	return seekable->zero;
}
