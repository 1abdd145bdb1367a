// SPDX-License-Identifier: Apache-2.0
#include "perf_writer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	TID = 1 << 1,
	TIME = 1 << 2,
	CPU = 1 << 7,
	IDENTIFIER = 1 << 16,
	ATTRIBUTE_SIZE = 128,
	HEADER_SIZE = 104,
	FIRST_ID = 77, // of the PT event; the next is that of the one with switches
	ID_COUNT = 2,
};

static void put(struct text *text, uint64_t value, unsigned size)
{
	for (unsigned i = 0; i < size; i++)
		text_append_char(text, (char)(value >> (8 * i)));
}

static void fill(struct text *text, size_t alignment)
{
	while (text->size % alignment)
		text_append_char(text, 0);
}

static uint64_t sample_type(const struct perf_writer *writer)
{
	return writer->sample_type ? writer->sample_type : TID | TIME | CPU | IDENTIFIER;
}

static void put_stamp(struct text *text, uint64_t type, const struct stamp *stamp)
{
	if (type & TID) {
		put(text, (uint32_t)stamp->pid, 4);
		put(text, (uint32_t)stamp->tid, 4);
	}
	if (type & TIME)
		put(text, stamp->time, 8);
	if (type & CPU)
		put(text, (uint32_t)stamp->cpu, 8);
	if (type & IDENTIFIER)
		put(text, FIRST_ID + 1, 8);
}

static void put_record(struct text *text, uint32_t type, uint16_t misc, const struct text *body)
{
	put(text, type, 4);
	put(text, misc, 2);
	put(text, 8 + body->size, 2);
	text_append_bytes(text, body->size ? body->data : "", body->size);
}

void perf_writer_record(struct perf_writer *writer, uint32_t type, uint16_t misc, const void *bytes,
			size_t size, const struct stamp *stamp)
{
	struct text body cleanup_text = {0};
	text_append_bytes(&body, bytes, size);
	fill(&body, 8);
	if (stamp)
		put_stamp(&body, sample_type(writer), stamp);
	put_record(&writer->records, type, misc, &body);
}

/** The PT event, or (second) the one that carries mappings and switches. */
static void put_attribute(struct text *text, const struct perf_writer *writer, bool second)
{
	uint64_t flags = (uint64_t)1 << 18 | (writer->with_kernel ? 0 : 1 << 5); // sample_id_all
	if (second)
		flags |= 1 << 8 | 1 << 9 | 1 << 13 | 1 << 23 |
			 (uint64_t)1 << 26; // mmap, comm, task, mmap2, switch
	put(text, second ? 1 : WRITER_PMU_TYPE, 4);
	put(text, ATTRIBUTE_SIZE, 4);
	put(text, second ? 9 : WRITER_CONFIG, 8);
	put(text, 1, 8);
	put(text, sample_type(writer) | 1, 8); // the instruction pointer, too
	put(text, 4, 8);		       // read_format: id
	put(text, flags, 8);
	for (unsigned i = 48; i < ATTRIBUTE_SIZE; i += 8)
		put(text, 0, 8);
}

static void put_string(struct text *text, const char *string)
{
	size_t size = strlen(string) + 1;
	size_t filled = (size + 63) / 64 * 64;
	put(text, filled, 4);
	text_append_bytes(text, string, size);
	for (; size < filled; size++)
		text_append_char(text, 0);
}

void perf_writer_begin(struct perf_writer *writer)
{
	if (!writer->pipe)
		return;
	for (unsigned i = 0; i < 2; i++) {
		struct text body cleanup_text = {0};
		put_attribute(&body, writer, i == 1);
		put(&body, FIRST_ID + i, 8);
		put_record(&writer->records, 64, 0, &body);
	}
	if (writer->cpu) {
		struct text body cleanup_text = {0};
		put(&body, 9, 8);
		put_string(&body, writer->cpu);
		fill(&body, 8);
		put_record(&writer->records, 80, 0, &body);
	}
}

void perf_writer_info(struct perf_writer *writer, const struct writer_info *info)
{
	struct text body cleanup_text = {0};
	const uint64_t numbers[] = {WRITER_PMU_TYPE,
				    info->shift,
				    info->multiplier,
				    info->zero,
				    1,
				    0x400,
				    0x800,
				    info->per_cpu ? 3 : 0,
				    info->snapshots,
				    info->per_cpu,
				    0x200,
				    0x3c000,
				    308,
				    2,
				    2,
				    37,
				    0,
				    0};
	put(&body, 1, 4); // Intel PT
	put(&body, 0, 4);
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		put(&body, numbers[i], 8);
	put_record(&writer->records, 70, 0, &body);
}

void perf_writer_packets(struct perf_writer *writer, uint32_t index, int cpu, int tid,
			 uint64_t offset, const void *bytes, size_t size)
{
	struct text body cleanup_text = {0};
	size_t filled = (size + 7) / 8 * 8;
	put(&body, filled, 8);
	put(&body, offset, 8);
	put(&body, 0x1234, 8);
	put(&body, index, 4);
	put(&body, (uint32_t)tid, 4);
	put(&body, (uint32_t)cpu, 4);
	put(&body, 0, 4);
	put_record(&writer->records, 71, 0, &body);
	text_append_bytes(&writer->records, bytes, size);
	for (; size < filled; size++)
		text_append_char(&writer->records, 0);
}

static void put_hex(struct text *text, const char *hex, size_t room)
{
	size_t size = 0;
	for (; hex[0] && hex[1]; hex += 2, size++) {
		unsigned byte = 0;
		sscanf(hex, "%2x", &byte);
		put(text, byte, 1);
	}
	for (; size < room; size++)
		put(text, 0, 1);
}

void perf_writer_map(struct perf_writer *writer, const struct stamp *stamp,
		     const struct writer_map *map)
{
	struct text body cleanup_text = {0};
	put(&body, (uint32_t)stamp->pid, 4);
	put(&body, (uint32_t)stamp->tid, 4);
	put(&body, map->start, 8);
	put(&body, map->size, 8);
	put(&body, map->offset, 8);
	if (map->build_id) {
		put(&body, strlen(map->build_id) / 2, 4);
		put_hex(&body, map->build_id, 20);
	} else {
		for (unsigned i = 0; i < 3; i++)
			put(&body, 0, 8);
	}
	put(&body, map->protection, 4);
	put(&body, 2, 4); // MAP_PRIVATE
	text_append_bytes(&body, map->path, strlen(map->path) + 1);
	perf_writer_record(writer, 10, map->build_id ? 2 | 1 << 14 : 2, body.data, body.size,
			   stamp);
}

void perf_writer_name(struct perf_writer *writer, const struct stamp *stamp, const char *name,
		      bool exec)
{
	struct text body cleanup_text = {0};
	put(&body, (uint32_t)stamp->pid, 4);
	put(&body, (uint32_t)stamp->tid, 4);
	text_append_bytes(&body, name, strlen(name) + 1);
	perf_writer_record(writer, 3, exec ? 1 << 13 : 0, body.data, body.size, stamp);
}

static void put_task(struct perf_writer *writer, uint32_t type, const struct stamp *stamp,
		     const uint32_t ids[4])
{
	struct text body cleanup_text = {0};
	for (unsigned i = 0; i < 4; i++)
		put(&body, ids[i], 4);
	put(&body, stamp->time, 8);
	perf_writer_record(writer, type, 0, body.data, body.size, stamp);
}

void perf_writer_fork(struct perf_writer *writer, const struct stamp *stamp, int parent, int pid,
		      int tid)
{
	const uint32_t ids[] = {(uint32_t)pid, (uint32_t)parent, (uint32_t)tid, (uint32_t)parent};
	put_task(writer, 7, stamp, ids);
}

void perf_writer_exit(struct perf_writer *writer, const struct stamp *stamp)
{
	const uint32_t ids[] = {(uint32_t)stamp->pid, 1, (uint32_t)stamp->tid, 1};
	put_task(writer, 4, stamp, ids);
}

void perf_writer_switch(struct perf_writer *writer, const struct stamp *stamp, bool out,
			bool cpu_wide)
{
	const uint8_t other[8] = {0};
	perf_writer_record(writer, cpu_wide ? 15 : 14, out ? 1 << 13 : 0, other, cpu_wide ? 8 : 0,
			   stamp);
}

void perf_writer_start(struct perf_writer *writer, const struct stamp *stamp)
{
	const uint32_t ids[] = {(uint32_t)stamp->pid, (uint32_t)stamp->tid};
	perf_writer_record(writer, 12, 0, ids, sizeof(ids), stamp);
}

void perf_writer_landed(struct perf_writer *writer, const struct stamp *stamp, uint64_t offset,
			uint64_t size, uint64_t flags)
{
	const uint64_t body[] = {offset, size, flags};
	perf_writer_record(writer, 11, 0, body, sizeof(body), stamp);
}

void perf_writer_build_id(struct perf_writer *writer, const char *path, const char *build_id)
{
	struct text body cleanup_text = {0};
	put(&body, UINT32_MAX, 4);
	put_hex(&body, build_id, 24);
	text_append_bytes(&body, path, strlen(path) + 1);
	fill(&body, 8);
	put_record(writer->pipe ? &writer->records : &writer->build_ids, writer->pipe ? 67 : 0, 2,
		   &body);
}

struct feature {
	unsigned number;
	struct text content;
};

/** Sections of the features behind the records. */
static void put_features(struct text *file, struct feature *features, size_t count)
{
	size_t at = file->size + 16 * count;
	for (size_t i = 0; i < count; i++) {
		put(file, at, 8);
		put(file, features[i].content.size, 8);
		at += features[i].content.size;
	}
	for (size_t i = 0; i < count; i++) {
		text_append_bytes(file, features[i].content.data, features[i].content.size);
		text_fini(&features[i].content);
	}
}

static size_t make_features(struct perf_writer *writer, struct feature *features)
{
	size_t count = 0;
	if (writer->build_ids.size) {
		features[count].number = 2;
		text_append_bytes(&features[count].content, writer->build_ids.data,
				  writer->build_ids.size);
		count++;
	}
	features[count].number = 4;
	put_string(&features[count++].content, "6.1.0-test");
	features[count].number = 6;
	put_string(&features[count++].content, "x86_64");
	features[count].number = 7;
	put(&features[count].content, 2, 4);
	put(&features[count++].content, 2, 4);
	if (writer->cpu) {
		features[count].number = 9;
		put_string(&features[count++].content, writer->cpu);
	}
	return count;
}

static void put_file(struct perf_writer *writer, struct text *file)
{
	struct feature features[8] = {{0}};
	size_t count = make_features(writer, features);
	uint64_t flags = 0, ids_at = HEADER_SIZE, attributes_at = ids_at + ID_COUNT * 8;
	uint64_t data_at = attributes_at + 2 * (ATTRIBUTE_SIZE + 16);
	for (size_t i = 0; i < count; i++)
		flags |= (uint64_t)1 << features[i].number;
	text_append_bytes(file, "PERFILE2", 8);
	put(file, HEADER_SIZE, 8);
	put(file, ATTRIBUTE_SIZE + 16, 8);
	put(file, attributes_at, 8);
	put(file, 2 * (ATTRIBUTE_SIZE + 16), 8);
	put(file, data_at, 8);
	put(file, writer->records.size, 8);
	put(file, 0, 8);
	put(file, 0, 8);
	put(file, flags, 8);
	for (unsigned i = 0; i < 3; i++)
		put(file, 0, 8);
	for (unsigned i = 0; i < ID_COUNT; i++)
		put(file, FIRST_ID + i, 8);
	for (unsigned i = 0; i < 2; i++) {
		put_attribute(file, writer, i == 1);
		put(file, ids_at + 8 * i, 8);
		put(file, 8, 8);
	}
	text_append_bytes(file, writer->records.data, writer->records.size);
	put_features(file, features, count);
}

uint8_t *perf_writer_finish(struct perf_writer *writer, size_t *size)
{
	struct text file = {0};
	if (writer->pipe) {
		text_append_bytes(&file, "PERFILE2", 8);
		put(&file, 16, 8);
		text_append_bytes(&file, writer->records.data, writer->records.size);
	} else {
		put_file(writer, &file);
	}
	if (writer->records.failed || file.failed)
		abort();
	*size = file.size;
	text_fini(&writer->records);
	text_fini(&writer->build_ids);
	return (uint8_t *)text_steal(&file);
}
