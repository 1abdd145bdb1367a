// SPDX-License-Identifier: Apache-2.0
// Are the pages of a snapshot file what was written?
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/hash_page.h"
#include "view/build.h"

enum { PIECE = 1 << 20, HASHES = 4096 }; // read at once
enum { FRAME_PAGE = 4096 };		 // counted, of compressed files

struct check {
	const struct strobe_view *view;
	struct strobe_note_page_hashes place;
	uint8_t *pages;	  // room for a piece, or one larger page
	uint64_t *hashes; // room for HASHES; NULL = frames of a compressed file have checksums
	struct strobe_verification result;
};

/** Up to `size` bytes of the source at `offset`; returns how many before damage or the end. */
static size_t read_source(const struct strobe_view *view, uint64_t offset, void *buffer,
			  size_t size)
{
	size_t done = 0;
	if (view->packed)
		return view->packed->read(view->packed->context, offset, buffer, size);
	while (done < size) {
		ssize_t got = pread(view->source->fd, (char *)buffer + done, size - done,
				    (off_t)(offset + done));
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			break;
		done += (size_t)got;
	}
	return done;
}

/** Where bytes of a segment lie in the source; false if elsewhere. */
static bool segment_offset(const struct strobe_view *view, const struct segment *segment,
			   uint64_t *ret)
{
	const struct file *source = view->source;
	if (segment->lazy && segment->lazy->source == view->packed) {
		*ret = segment->lazy->position + (segment->start - segment->lazy->start);
		return true;
	}
	if (!segment->data || view->packed || segment->data < source->data ||
	    (uint64_t)(segment->data - source->data) >= source->size)
		return false;
	*ret = (uint64_t)(segment->data - source->data);
	return true;
}

static void find_address(struct check *check, uint64_t offset)
{
	struct strobe_verification *result = &check->result;
	result->first_offset = offset;
	for (size_t i = 0; i < check->view->segments.count && !result->has_address; i++) {
		const struct segment *segment = &check->view->segments.items[i];
		uint64_t at;
		if (!segment_offset(check->view, segment, &at))
			continue;
		uint64_t size = segment->end - segment->start, last = check->place.page_size - 1;
		// The page may begin before the segment does.
		if (offset + last < at || offset >= at + size)
			continue;
		result->has_address = true;
		result->first_address = segment->start + (offset > at ? offset - at : 0);
	}
}

/** The hash of a page of zeros is written as 0: then the table may have holes, too. */
static bool is_as_written(const uint8_t *page, uint64_t size, uint64_t hash)
{
	if (!hash && !page[0] && memcmp(page, page + 1, size - 1) == 0)
		return true;
	return page_hash(page, size) == hash;
}

static void note_damage(struct check *check, uint64_t offset)
{
	if (!check->result.damaged_count++)
		find_address(check, offset);
}

/** Compares `count` pages from number `first` on, whose hashes are in place. */
static void compare(struct check *check, uint64_t first, uint64_t count, const uint64_t *hashes)
{
	uint64_t size = check->place.page_size;
	uint64_t offset = check->place.data_offset + first * size;
	uint64_t got = read_source(check->view, offset, check->pages, count * size) / size;
	for (uint64_t i = 0; i < count; i++) {
		// Behind a page that cannot be read there may be others that can.
		if (i >= got && read_source(check->view, offset + i * size, check->pages + i * size,
					    size) != size)
			note_damage(check, offset + i * size);
		else if (!is_as_written(check->pages + i * size, size, hashes[i]))
			note_damage(check, offset + i * size);
	}
	check->result.page_count += count;
}

/** Without hashes: what the frames' checksums let through. The file's last page may be short. */
static void compare_frames(struct check *check, uint64_t first, uint64_t count)
{
	uint64_t size = check->place.page_size, end = check->view->source_size;
	for (uint64_t i = first; i < first + count;) {
		uint64_t offset = i * size, limit = (first + count) * size;
		uint64_t wanted = (limit < end ? limit : end) - offset;
		uint64_t got = read_source(check->view, offset, check->pages, wanted);
		if (got == wanted)
			break;
		i = (offset + got) / size;
		note_damage(check, i * size);
		i++;
	}
	check->result.page_count += count;
}

static struct strobe_error *verify(struct check *check, strobe_verify_progress progress,
				   void *context)
{
	uint64_t total = check->place.page_count, size = check->place.page_size;
	uint64_t step = size < PIECE ? PIECE / size : 1;
	for (uint64_t first = 0; first < total; first += HASHES) {
		uint64_t count = total - first < HASHES ? total - first : HASHES;
		uint64_t at = check->place.table_offset + 8 * first;
		if (check->hashes &&
		    read_source(check->view, at, check->hashes, 8 * count) != 8 * count)
			return error_new(STROBE_ERROR_FORMAT,
					 "%s: the page hashes at 0x%" PRIx64 " cannot be read",
					 check->view->info.source_path, at);
		for (uint64_t i = 0; i < count; i += step) {
			uint64_t part = count - i < step ? count - i : step;
			if (check->hashes)
				compare(check, first + i, part, check->hashes + i);
			else
				compare_frames(check, first + i, part);
			if (progress && !progress(context, (first + i + part) * size, total * size))
				return error_new(STROBE_ERROR_LIMIT, "%s: cancelled",
						 check->view->info.source_path);
		}
	}
	return NULL;
}

struct strobe_error *strobe_view_verify(const struct strobe_view *view,
					strobe_verify_progress progress, void *context,
					struct strobe_verification *ret)
{
	struct check check = {.view = view, .place = view->facts.page_hashes};
	bool by_frames = !check.place.page_count && view->packed;
	if (by_frames)
		check.place = (struct strobe_note_page_hashes){
			.page_size = FRAME_PAGE,
			.page_count = (view->source_size + FRAME_PAGE - 1) / FRAME_PAGE,
		};
	if (!check.place.page_count)
		return error_new(STROBE_ERROR_UNSUPPORTED, "%s: holds no page hashes",
				 view->info.source_path);
	check.pages = malloc(check.place.page_size < PIECE ? PIECE : check.place.page_size);
	check.hashes = by_frames ? NULL : malloc(HASHES * sizeof(*check.hashes));
	struct strobe_error *error = check.pages && (check.hashes || by_frames)
					     ? verify(&check, progress, context)
					     : error_no_memory();
	if (!error)
		*ret = check.result;
	free(check.pages);
	free(check.hashes);
	return error;
}
