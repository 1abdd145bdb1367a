// SPDX-License-Identifier: Apache-2.0
#include "pt/image.h"

#include <errno.h>
#include <intel-pt.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "view/view.h"

enum { COPY_PIECE = 65536, MAX_SECTIONS = 1 << 20 };
// Of code that no file has: more than any program makes.
#define COPY_MAX (UINT64_C(8) << 30)

static struct strobe_error *add_section(struct image *image, const struct image_section *section)
{
	size_t count = image->sections.count;
	struct image_section *last = count ? &image->sections.items[count - 1] : NULL;
	if (last && last->start + last->size == section->start && last->fd == section->fd &&
	    last->offset + last->size == section->offset) {
		last->size += section->size;
		return NULL;
	}
	if (count >= MAX_SECTIONS)
		return error_new(STROBE_ERROR_LIMIT, "code in more than %d pieces", MAX_SECTIONS);
	return array_push(&image->sections, *section) ? NULL : error_no_memory();
}

static struct strobe_error *append_copy(struct image *image, const uint8_t *bytes, size_t size)
{
	if (image->copy < 0)
		image->copy = memfd_create("code", MFD_CLOEXEC);
	if (image->copy < 0)
		return error_errno(errno, "memory for code");
	if (image->copy_size + size > COPY_MAX)
		return error_new(STROBE_ERROR_LIMIT, "more than %llu bytes of code in no file",
				 (unsigned long long)COPY_MAX);
	for (size_t done = 0; done < size;) {
		ssize_t written = pwrite(image->copy, bytes + done, size - done,
					 (off_t)(image->copy_size + done));
		if (written < 0 && errno == EINTR)
			continue;
		if (written <= 0)
			return error_errno(written < 0 ? errno : ENOSPC, "memory for code");
		done += (size_t)written;
	}
	image->copy_size += size;
	return NULL;
}

// Copies [start, end) as far as it can be read; what cannot is left out.
static struct strobe_error *copy(struct image *image, const struct strobe_view *view,
				 uint64_t start, uint64_t end)
{
	static const uint64_t page = 4096;
	uint8_t *buffer = malloc(COPY_PIECE);
	struct strobe_error *error = buffer ? NULL : error_no_memory();
	for (uint64_t address = start; address < end && !error;) {
		size_t available = 0;
		const uint8_t *bytes = view_stream(view, address, buffer, COPY_PIECE, &available);
		if (!bytes || available == 0) {
			address = (address / page + 1) * page;
			if (address == 0)
				break;
			continue;
		}
		struct image_section section = {.start = address, .offset = image->copy_size};
		section.size = end - address < available ? end - address : available;
		error = append_copy(image, bytes, section.size);
		section.fd = image->copy;
		if (!error)
			error = add_section(image, &section);
		address += section.size;
	}
	free(buffer);
	return error;
}

// [start, end) of `mapping` out of the module's file.
static struct strobe_error *take_file(struct image *image, const struct strobe_mapping *mapping,
				      const struct file *file, uint64_t start, uint64_t end)
{
	uint64_t offset = mapping->offset_bytes + (start - mapping->start);
	if (offset >= file->size)
		return NULL;
	struct image_section section = {
		.start = start,
		.size = end - start < file->size - offset ? end - start : file->size - offset,
		.data = file->data + offset,
		.fd = file->fd,
		.offset = file->fd_offset + offset,
	};
	return add_section(image, &section);
}

static struct strobe_error *add_mapping(struct image *image, const struct strobe_view *view,
					const struct strobe_mapping *mapping)
{
	const struct file *file = mapping->module_index == SIZE_MAX
					  ? NULL
					  : view_module_file(view, mapping->module_index);
	struct strobe_error *error = NULL;
	for (uint64_t address = mapping->start; address < mapping->end && !error;) {
		struct view_run run;
		view_run_at(view, address, mapping->end, &run);
		if (run.kind == VIEW_RUN_DATA || (run.kind == VIEW_RUN_FILE && !file))
			error = copy(image, view, address, run.end);
		else if (run.kind != VIEW_RUN_ZERO && file)
			error = take_file(image, mapping, file, address, run.end);
		address = run.end;
	}
	return error;
}

static struct strobe_error *register_section(struct image *image, struct image_section *section)
{
	char path[32];
	snprintf(path, sizeof(path), "/proc/self/fd/%d", section->fd);
	section->id = pt_iscache_add_file(image->cache, path, section->offset, section->size,
					  section->start);
	if (section->id == -pte_nomem)
		return error_no_memory();
	if (section->id <= 0)
		return error_new(STROBE_ERROR_SYSTEM, "code at 0x%llx: %s",
				 (unsigned long long)section->start,
				 pt_errstr(pt_errcode(section->id)));
	return NULL;
}

static struct strobe_error *register_sections(struct image *image)
{
	struct strobe_error *error = NULL;
	for (size_t i = 0; i < image->sections.count && !error; i++) {
		struct image_section *section = &image->sections.items[i];
		if (section->fd == image->copy)
			section->data = image->copy_data + section->offset;
		error = register_section(image, section);
	}
	return error;
}

static struct strobe_error *make(struct image *image, const struct strobe_view *view)
{
	struct strobe_error *error = NULL;
	image->cache = pt_iscache_alloc("strobe");
	// What is mapped stays: with a section libipt would also drop what it knows of its blocks.
	if (!image->cache || pt_iscache_set_limit(image->cache, UINT64_MAX) < 0)
		return error_no_memory();
	size_t count = view ? strobe_view_mapping_count(view) : 0;
	for (size_t i = 0; i < count && !error; i++) {
		const struct strobe_mapping *mapping = strobe_view_mapping(view, i);
		if (mapping->permissions & STROBE_PERMISSION_EXECUTE)
			error = add_mapping(image, view, mapping);
	}
	if (error)
		return error;
	if (image->copy_size) {
		void *data = mmap(NULL, image->copy_size, PROT_READ, MAP_SHARED, image->copy, 0);
		if (data == MAP_FAILED)
			return error_errno(errno, "memory for code");
		image->copy_data = data;
	}
	return register_sections(image);
}

struct strobe_error *image_init(struct image *image, const struct strobe_view *view)
{
	memset(image, 0, sizeof(*image));
	image->copy = -1;
	struct strobe_error *error = make(image, view);
	if (error)
		image_fini(image);
	return error;
}

void image_fini(struct image *image)
{
	pt_iscache_free(image->cache);
	if (image->copy_data)
		munmap((void *)image->copy_data, image->copy_size);
	if (image->copy >= 0)
		close(image->copy);
	for (size_t i = 0; i < image->files.count; i++)
		file_close(image->files.items[i]);
	array_fini(&image->files);
	array_fini(&image->sections);
	memset(image, 0, sizeof(*image));
	image->copy = -1;
}

struct strobe_error *image_for_decoder(const struct image *image, struct pt_image **ret)
{
	struct pt_image *made = pt_image_alloc("strobe");
	if (!made)
		return error_no_memory();
	for (size_t i = 0; i < image->sections.count; i++) {
		if (pt_image_add_cached(made, image->cache, image->sections.items[i].id, NULL) <
		    0) {
			pt_image_free(made);
			return error_no_memory();
		}
	}
	*ret = made;
	return NULL;
}

// The section that holds `address`, or the first behind it.
static size_t find(const struct image *image, uint64_t address)
{
	size_t low = 0, high = image->sections.count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const struct image_section *section = &image->sections.items[middle];
		if (address - section->start < section->size || section->start > address)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

size_t image_read(void *context, uint64_t address, void *buffer, size_t size)
{
	const struct image *image = context;
	size_t done = 0;
	for (size_t i = find(image, address); i < image->sections.count && done < size; i++) {
		const struct image_section *section = &image->sections.items[i];
		uint64_t offset = address + done - section->start;
		if (offset >= section->size)
			break;
		size_t piece =
			size - done < section->size - offset ? size - done : section->size - offset;
		memcpy((uint8_t *)buffer + done, section->data + offset, piece);
		done += piece;
	}
	return done;
}

struct strobe_error *image_add_file(struct image *image, const char *path, uint64_t offset,
				    uint64_t start, uint64_t size, bool *ret_added)
{
	size_t at = find(image, start);
	struct file *file = NULL;
	*ret_added = false;
	if (size == 0 ||
	    (at < image->sections.count && image->sections.items[at].start - start < size) ||
	    (at < image->sections.count && image->sections.items[at].start < start))
		return NULL;
	struct strobe_error *error = file_open(path, &file);
	if (error || offset >= file->size) {
		file_close(file);
		if (error && strobe_error_code(error) == STROBE_ERROR_NO_MEMORY)
			return error;
		strobe_error_free(error);
		return NULL;
	}
	struct image_section section = {
		.start = start,
		.size = size < file->size - offset ? size : file->size - offset,
		.data = file->data + offset,
		.fd = file->fd,
		.offset = offset,
	};
	if (!array_push(&image->files, file)) {
		file_close(file);
		return error_no_memory();
	}
	error = register_section(image, &section);
	if (error || !array_reserve(&image->sections, image->sections.count + 1))
		return error ? error : error_no_memory();
	memmove(&image->sections.items[at + 1], &image->sections.items[at],
		(image->sections.count - at) * sizeof(section));
	image->sections.items[at] = section;
	image->sections.count++;
	*ret_added = true;
	return NULL;
}
