// SPDX-License-Identifier: Apache-2.0
// Cores in seekable zstd files: headers and notes are unpacked when they are opened, memory when it
// is looked at.
#include <inttypes.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/zstd_seekable.h"
#include "core/core.h"

// Named limits: the first piece that headers are looked for in, what program headers may take
// together with what stands before them, and what one PT_NOTE is unpacked to at most.
enum { FIRST_PIECE = 65536, HEADERS_LIMIT = 256 << 20, NOTES_LIMIT = 1 << 30 };

struct packed {
	struct zstd_seekable *seekable;
	struct strobe_view *view; // for its warnings
};

static size_t read_packed(void *context, uint64_t position, void *buffer, size_t size)
{
	const struct packed *packed = context;
	size_t done = zstd_seekable_read(packed->seekable, position, buffer, size);
	const char *problem = zstd_seekable_problem(packed->seekable);
	if (done < size && problem)
		view_warn(packed->view, "%s: %s", packed->view->info.source_path, problem);
	return done;
}

static void run_of_packed(void *context, uint64_t position, uint64_t limit, struct view_run *ret)
{
	const struct packed *packed = context;
	*ret = (struct view_run){.end = limit, .kind = VIEW_RUN_DATA};
	if (position >= zstd_seekable_size(packed->seekable))
		return;
	uint64_t end;
	if (zstd_seekable_zero(packed->seekable, position, &end))
		ret->kind = VIEW_RUN_ZERO;
	if (end < limit)
		ret->end = end;
}

static void close_packed(void *context)
{
	struct packed *packed = context;
	zstd_seekable_close(packed->seekable);
	free(packed);
}

struct strobe_error *packed_open(struct strobe_view *view)
{
	const struct file *file = view->source;
	view->source_size = file->size;
	if (!zstd_seekable_is(file->data, file->size))
		return NULL;
	struct packed *packed = calloc(1, sizeof(*packed));
	if (!packed)
		return error_no_memory();
	packed->view = view;
	struct strobe_error *error =
		zstd_seekable_open(file->data, file->size, file->path, &packed->seekable);
	if (error) {
		free(packed);
		return error;
	}
	struct lazy_source source = {read_packed, run_of_packed, close_packed, packed};
	view->source_size = zstd_seekable_size(packed->seekable);
	return view_own_source(view, &source, &view->packed);
}

struct strobe_error *source_bytes(struct strobe_view *view, uint64_t offset, uint64_t *size,
				  const uint8_t **ret)
{
	uint64_t held = offset < view->source_size ? view->source_size - offset : 0;
	*ret = NULL;
	if (*size > held)
		*size = held;
	if (!*size)
		return NULL;
	if (!view->packed) {
		*ret = view->source->data + offset;
		return NULL;
	}
	if (*size > NOTES_LIMIT) {
		view_warn(view,
			  "%s: damaged: notes of %" PRIu64 " bytes at 0x%" PRIx64
			  "; the limit is %d",
			  view->info.source_path, *size, offset, NOTES_LIMIT);
		*size = NOTES_LIMIT;
	}
	uint8_t *bytes = arena_alloc(&view->arena, *size);
	if (!bytes)
		return error_no_memory();
	*size = view->packed->read(view->packed->context, offset, bytes, *size);
	*ret = bytes;
	return NULL;
}

/** How many program headers there are: ELF gABI, 65,535 and more are counted in section 0. */
static uint32_t segment_count(const struct strobe_view *view, const struct elf_image *image)
{
	Elf64_Shdr first;
	uint64_t at = image->header.e_shoff;
	if (image->header.e_phnum != PN_XNUM || !image->wide || !at ||
	    view->packed->read(view->packed->context, at, &first, sizeof(first)) != sizeof(first))
		return image->header.e_phnum;
	return first.sh_info;
}

/** The first `*size` bytes, or as many as there are. */
static struct strobe_error *read_start(const struct strobe_view *view, uint64_t *size,
				       uint8_t **storage)
{
	if (*size > view->source_size)
		*size = view->source_size;
	uint8_t *bytes = realloc(*storage, *size + 1);
	if (!bytes)
		return error_no_memory();
	*storage = bytes;
	*size = view->packed->read(view->packed->context, 0, bytes, *size);
	return NULL;
}

struct strobe_error *source_headers(struct strobe_view *view, struct elf_image *image,
				    const char **why, uint8_t **storage)
{
	*storage = NULL;
	if (!view->packed) {
		if (elf_image_init(image, view->source->data, view->source->size, why))
			*why = NULL;
		return NULL;
	}
	uint64_t size = FIRST_PIECE;
	struct strobe_error *error = read_start(view, &size, storage);
	if (error)
		return error;
	if (!elf_image_init(image, *storage, size, why)) {
		const struct packed *packed = view->packed->context;
		const char *problem = zstd_seekable_problem(packed->seekable);
		*why = problem ? problem : *why;
		return NULL;
	}
	*why = NULL;
	uint32_t count = segment_count(view, image);
	uint64_t entry = image->wide ? sizeof(Elf64_Phdr) : sizeof(Elf32_Phdr);
	uint64_t start = image->header.e_phoff, wanted = count * entry;
	if (start < HEADERS_LIMIT && start + wanted > size) {
		size = start + wanted < HEADERS_LIMIT ? start + wanted : HEADERS_LIMIT;
		error = read_start(view, &size, storage);
		if (error)
			return error;
		if (!elf_image_init(image, *storage, size, why))
			return NULL; // other bytes than before: damaged
		*why = NULL;
	}
	uint64_t room = start < size ? (size - start) / entry : 0;
	image->segment_count_cut = count > room;
	image->segment_count = count > room ? (uint32_t)room : count;
	return NULL;
}
