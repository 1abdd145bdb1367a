// SPDX-License-Identifier: Apache-2.0
#include "perf/header.h"

#include <inttypes.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "elf/elf_image.h"

static const char magic[8] = {'P', 'E', 'R', 'F', 'I', 'L', 'E', '2'};
static const char magic_swapped[8] = {'2', 'E', 'L', 'I', 'F', 'R', 'E', 'P'};
static const char magic_old[8] = {'P', 'E', 'R', 'F', 'F', 'I', 'L', 'E'};

enum {
	PIPE_HEADER_SIZE = 16,
	HEADER_SIZE = 104,
	ATTRIBUTE_LEAST = 64, // of its first version
	ATTRIBUTE_MOST = 4096,
	MAX_ATTRIBUTES = 65536,
	MAX_IDS = 1 << 22,
	// Offsets in the header.
	OFFSET_SIZE = 8,
	OFFSET_ATTRIBUTE_SIZE = 16,
	OFFSET_ATTRIBUTES = 24,
	OFFSET_DATA = 40,
	OFFSET_FLAGS = 72,
	// Features.
	FEATURE_BUILD_ID = 2,
	FEATURE_RELEASE = 4,
	FEATURE_CPU_ID = 9,
	FEATURE_COUNT = 256,
	// Bits of perf_event_attr's flags.
	EXCLUDE_KERNEL_BIT = 5,
	SAMPLE_ID_ALL_BIT = 18,
};

bool perf_header_is(const uint8_t *bytes, size_t size)
{
	return size >= sizeof(magic) && (memcmp(bytes, magic, sizeof(magic)) == 0 ||
					 memcmp(bytes, magic_swapped, sizeof(magic)) == 0 ||
					 memcmp(bytes, magic_old, sizeof(magic)) == 0);
}

/** Bytes [offset, offset + size) of the file; false if it does not have them. */
static bool find_span(const struct file *file, uint64_t offset, uint64_t size,
		      struct perf_span *ret)
{
	if (offset > file->size || size > file->size - offset)
		return false;
	*ret = (struct perf_span){file->data + offset, size};
	return true;
}

/** A perf_file_section at `offset`: where something is. */
static bool read_section(const struct file *file, uint64_t offset, uint64_t *at, uint64_t *size)
{
	struct perf_span section;
	if (!find_span(file, offset, 16, &section))
		return false;
	*at = elf_number(section.bytes, 8);
	*size = elf_number(section.bytes + 8, 8);
	return true;
}

struct strobe_error *perf_header_add(struct perf_header *header, struct perf_span attribute,
				     struct perf_span ids)
{
	const uint8_t *bytes = attribute.bytes;
	if (attribute.size < ATTRIBUTE_LEAST)
		return error_new(STROBE_ERROR_FORMAT,
				 "%s: an event's attributes of %" PRIu64
				 " bytes, expected at least %d",
				 header->file->path, attribute.size, ATTRIBUTE_LEAST);
	if (header->attributes.count >= MAX_ATTRIBUTES || header->ids.count > MAX_IDS)
		return error_new(STROBE_ERROR_LIMIT, "%s: more than %d events", header->file->path,
				 MAX_ATTRIBUTES);
	uint64_t flags = elf_number(bytes + 40, 8);
	struct perf_attribute one = {
		.type = (uint32_t)elf_number(bytes, 4),
		.config = elf_number(bytes + 8, 8),
		.sample_type = elf_number(bytes + 24, 8),
		.exclude_kernel = flags >> EXCLUDE_KERNEL_BIT & 1,
		.sample_id_all = flags >> SAMPLE_ID_ALL_BIT & 1,
	};
	if (!array_push(&header->attributes, one))
		return error_no_memory();
	for (uint64_t i = 0; i + 8 <= ids.size && header->ids.count <= MAX_IDS; i += 8)
		if (!hash_put(&header->ids, elf_number(ids.bytes + i, 8),
			      (void *)(uintptr_t)header->attributes.count))
			return error_no_memory();
	return NULL;
}

static struct strobe_error *read_attributes(struct perf_header *header)
{
	const struct file *file = header->file;
	uint64_t each = elf_number(file->data + OFFSET_ATTRIBUTE_SIZE, 8), at, size;
	struct perf_span all, ids;
	if (!read_section(file, OFFSET_ATTRIBUTES, &at, &size) ||
	    !find_span(file, at, size, &all) || each < ATTRIBUTE_LEAST + 16 ||
	    each > ATTRIBUTE_MOST)
		return error_new(STROBE_ERROR_FORMAT,
				 "%s: the events' attributes (offset %d) are not in the file",
				 file->path, OFFSET_ATTRIBUTES);
	for (uint64_t i = 0; i + each <= size; i += each) {
		struct perf_span one = {all.bytes + i, each - 16};
		uint64_t ids_at = elf_number(one.bytes + one.size, 8);
		uint64_t ids_size = elf_number(one.bytes + one.size + 8, 8);
		if (!find_span(file, ids_at, ids_size, &ids))
			return error_new(STROBE_ERROR_FORMAT,
					 "%s: ids of event %" PRIu64 " are not in the file",
					 file->path, i / each);
		struct strobe_error *error = perf_header_add(header, one, ids);
		if (error)
			return error;
	}
	return NULL;
}

/** A perf_header_string: its length, then so many bytes, filled up with zeros. */
static struct perf_span string_of(struct perf_span content)
{
	if (content.size < 4)
		return (struct perf_span){0};
	uint64_t size = elf_number(content.bytes, 4);
	if (size > content.size - 4)
		size = content.size - 4;
	return (struct perf_span){content.bytes + 4,
				  size ? strnlen((const char *)content.bytes + 4, size) : 0};
}

void perf_header_feature(struct perf_header *header, uint64_t number, struct perf_span content)
{
	if (number == FEATURE_BUILD_ID)
		header->build_ids = content;
	else if (number == FEATURE_CPU_ID)
		header->cpu = string_of(content);
	else if (number == FEATURE_RELEASE)
		header->release = string_of(content);
}

/** Sections of the features follow the records, one for each bit that is set. */
static void read_features(struct perf_header *header, uint64_t behind)
{
	for (unsigned i = 0; i < FEATURE_COUNT; i++) {
		uint64_t at, size;
		struct perf_span content;
		if (!(header->file->data[OFFSET_FLAGS + i / 8] >> i % 8 & 1))
			continue;
		if (!read_section(header->file, behind, &at, &size))
			return;
		behind += 16;
		if (find_span(header->file, at, size, &content))
			perf_header_feature(header, i, content);
	}
}

static struct strobe_error *read_file_header(struct perf_header *header)
{
	const struct file *file = header->file;
	uint64_t at, size;
	struct strobe_error *error = read_attributes(header);
	if (error)
		return error;
	if (!read_section(file, OFFSET_DATA, &at, &size) || at < HEADER_SIZE || at > file->size)
		return error_new(STROBE_ERROR_FORMAT, "%s: records (offset %d) are not in the file",
				 file->path, OFFSET_DATA);
	header->start = at;
	header->end = file->size;
	if (!size) {
		header->problem = "perf record was not ended properly";
	} else if (size > file->size - at) {
		header->problem = "the file is cut off";
	} else {
		header->end = at + size;
		read_features(header, header->end);
	}
	return NULL;
}

struct strobe_error *perf_header_read(const struct file *file, struct perf_header *ret)
{
	memset(ret, 0, sizeof(*ret));
	ret->file = file;
	if (file->size >= sizeof(magic) && memcmp(file->data, magic_swapped, sizeof(magic)) == 0)
		return error_new(STROBE_ERROR_UNSUPPORTED,
				 "%s: recorded on a machine of the other byte order", file->path);
	if (file->size >= sizeof(magic) && memcmp(file->data, magic_old, sizeof(magic)) == 0)
		return error_new(STROBE_ERROR_UNSUPPORTED,
				 "%s: of perf before Linux 3.7, which has no Intel PT", file->path);
	if (file->size < PIPE_HEADER_SIZE || memcmp(file->data, magic, sizeof(magic)) != 0)
		return error_new(STROBE_ERROR_FORMAT, "%s: not a perf.data: no magic PERFILE2",
				 file->path);
	if (elf_number(file->data + OFFSET_SIZE, 8) == PIPE_HEADER_SIZE) {
		ret->pipe = true;
		ret->start = PIPE_HEADER_SIZE;
		ret->end = file->size;
		return NULL;
	}
	if (file->size < HEADER_SIZE || elf_number(file->data + OFFSET_SIZE, 8) < HEADER_SIZE)
		return error_new(STROBE_ERROR_FORMAT, "%s: a header of less than %d bytes",
				 file->path, HEADER_SIZE);
	return read_file_header(ret);
}

void perf_header_fini(struct perf_header *header)
{
	array_fini(&header->attributes);
	hash_fini(&header->ids);
}
