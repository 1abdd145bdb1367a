// SPDX-License-Identifier: Apache-2.0
// Files that a snapshot carries with it (--with-files): as they lie in it, or unpacked when they are
// wanted.
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/error.h"
#include "core/core.h"

// Named limits: what one file is unpacked to, and how much at a time.
enum { PIECE = 1 << 20, PAGE = 4096 };
static const uint64_t unpacked_limit = UINT64_C(8) << 30;

/** Copies [offset, offset + size) of the source into `fd`. */
static struct strobe_error *unpack(const struct strobe_view *view,
				   const struct embedded_file *embedded, const char *label, int fd)
{
	uint8_t *buffer = malloc(PIECE);
	struct strobe_error *error = buffer ? NULL : error_no_memory();
	for (uint64_t done = 0; !error && done < embedded->size;) {
		uint64_t left = embedded->size - done, at = embedded->offset + done;
		size_t part = left < PIECE ? (size_t)left : PIECE;
		const uint8_t *bytes = buffer;
		if (!view->packed)
			bytes = view->source->data + at;
		else if (view->packed->read(view->packed->context, at, buffer, part) != part)
			error = error_new(STROBE_ERROR_FORMAT, "%s: damaged at 0x%" PRIx64, label,
					  at);
		ssize_t written = error ? 0 : write(fd, bytes, part);
		if (written < 0)
			error = error_errno(errno, "%s: unpacking it", label);
		done += (size_t)written;
	}
	free(buffer);
	return error;
}

static struct strobe_error *open_copy(const struct strobe_view *view,
				      const struct embedded_file *embedded, const char *label,
				      struct file **ret)
{
	if (embedded->size > unpacked_limit)
		return error_new(STROBE_ERROR_LIMIT, "%s: %" PRIu64 " bytes; the limit is %" PRIu64,
				 label, embedded->size, unpacked_limit);
	int fd = memfd_create("strobe-embedded", MFD_CLOEXEC);
	if (fd < 0)
		return error_errno(errno, "%s: memfd_create", label);
	struct strobe_error *error = unpack(view, embedded, label, fd);
	if (!error)
		error = file_open_descriptor(fd, label, ret);
	if (!error)
		(*ret)->modified = view->source->modified;
	close(fd);
	return error;
}

static struct strobe_error *open_embedded(void *context, size_t index, struct file **ret)
{
	struct strobe_view *view = context;
	const struct embedded_file *embedded = &view->facts.embedded.items[index];
	const char *label =
		arena_printf(&view->arena, "%s (in %s)", embedded->path, view->info.source_path);
	if (!label)
		return error_no_memory();
	if (view->packed || embedded->offset % PAGE)
		return open_copy(view, embedded, label, ret);
	return file_open_part(view->source, embedded->offset, embedded->size, label, ret);
}

static bool kind_of(enum strobe_embedded_kind kind, enum files_kind *ret)
{
	switch (kind) {
	case STROBE_EMBEDDED_EXECUTABLE:
		*ret = FILES_EXECUTABLE;
		return true;
	case STROBE_EMBEDDED_DEBUG:
		*ret = FILES_DEBUG;
		return true;
	case STROBE_EMBEDDED_ALTERNATE:
		*ret = FILES_ALTERNATE;
		return true;
	case STROBE_EMBEDDED_COMPANION:
		*ret = FILES_COMPANION;
		return true;
	}
	return false; // of a later version
}

struct strobe_error *embedded_offer(struct strobe_view *view)
{
	size_t count = view->facts.embedded.count, kept = 0;
	struct embedded_file *items = view->facts.embedded.items;
	if (!count)
		return NULL;
	struct files_embedded *list = arena_alloc(&view->arena, count * sizeof(*list));
	if (!list)
		return error_no_memory();
	for (size_t i = 0; i < count; i++) {
		struct files_embedded file = {.build_id = items[i].build_id, .path = items[i].path};
		if (!kind_of(items[i].kind, &file.kind))
			continue;
		items[kept] = items[i];
		list[kept++] = file;
	}
	view->facts.embedded.count = kept;
	files_set_embedded(view->files, list, kept, open_embedded, view);
	return NULL;
}
