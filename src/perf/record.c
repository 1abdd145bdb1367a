// SPDX-License-Identifier: Apache-2.0
#include "perf/record.h"

#include <limits.h>
#include <string.h>

#include "base/file.h"
#include "elf/elf_image.h"

enum { RECORD_HEADER = 8, NUMBER = 8 };

uint64_t perf_record_number(const struct perf_record *record, uint64_t offset, unsigned size)
{
	if (offset > record->size || size > record->size - offset)
		return 0;
	return elf_number(record->bytes + offset, size);
}

struct perf_span perf_record_string(const struct perf_record *record, uint64_t offset)
{
	if (offset >= record->size)
		return (struct perf_span){0};
	const char *text = (const char *)record->bytes + offset;
	return (struct perf_span){record->bytes + offset, strnlen(text, record->size - offset)};
}

/** Which event a record is of: with an identifier its last 8 bytes say, else the first one's form holds. */
static uint64_t attribute_of(const struct perf_header *header, const struct perf_record *record)
{
	if (!(header->attributes.items[0].sample_type & PERF_HAS_IDENTIFIER) ||
	    record->size < NUMBER)
		return 0;
	uint64_t id = elf_number(record->bytes + record->size - NUMBER, NUMBER);
	uintptr_t known = (uintptr_t)hash_get(&header->ids, id);
	return known ? known - 1 : 0;
}

/** Takes the sample id off the record's end. Fields: tid, time, id, stream id, cpu, identifier. */
static void take_sample_id(const struct perf_header *header, struct perf_record *record)
{
	static const uint64_t order[] = {PERF_HAS_TID,	     PERF_HAS_TIME, PERF_HAS_ID,
					 PERF_HAS_STREAM_ID, PERF_HAS_CPU,  PERF_HAS_IDENTIFIER};
	struct perf_sample_id *id = &record->id;
	uint64_t size = 0;
	if (record->type >= PERF_KERNEL_TYPES || record->type == PERF_SAMPLE ||
	    !header->attributes.count)
		return;
	id->attribute = attribute_of(header, record);
	const struct perf_attribute *attribute = &header->attributes.items[id->attribute];
	for (unsigned i = 0; i < sizeof(order) / sizeof(order[0]); i++)
		size += attribute->sample_type & order[i] ? NUMBER : 0;
	if (!attribute->sample_id_all || size > record->size)
		return;
	record->size -= size;
	const uint8_t *bytes = record->bytes + record->size;
	for (unsigned i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
		if (!(attribute->sample_type & order[i]))
			continue;
		if (order[i] == PERF_HAS_TID) {
			id->pid = (int)elf_number(bytes, 4);
			id->tid = (int)elf_number(bytes + 4, 4);
		} else if (order[i] == PERF_HAS_TIME) {
			id->time = elf_number(bytes, NUMBER);
		} else if (order[i] == PERF_HAS_CPU) {
			uint64_t cpu = elf_number(bytes, 4);
			id->cpu = cpu > INT_MAX ? -1 : (int)cpu;
		}
		bytes += NUMBER;
	}
}

/** Data behind a record that its header's size does not count. */
static bool take_trailing(struct perf_walk *walk, struct perf_record *record)
{
	uint64_t size = 0;
	if (record->type == PERF_AUXTRACE)
		size = perf_record_number(record, 0, 8);
	else if (record->type == PERF_HEADER_TRACING_DATA)
		size = (perf_record_number(record, 0, 4) + 7) & ~UINT64_C(7);
	uint64_t left = walk->header->end - walk->position;
	record->trailing = (struct perf_span){walk->header->file->data + walk->position,
					      size < left ? size : left};
	walk->position += record->trailing.size;
	if (size > left)
		walk->problem = "its data is cut off";
	return size <= left;
}

bool perf_record_next(struct perf_walk *walk, struct perf_record *ret)
{
	const struct perf_header *header = walk->header;
	uint64_t left = header->end - walk->position;
	if (walk->problem || !left)
		return false;
	const uint8_t *bytes = header->file->data + walk->position;
	uint64_t size = left < RECORD_HEADER ? 0 : elf_number(bytes + 6, 2);
	if (left < RECORD_HEADER || size > left) {
		walk->problem = "the record there is cut off";
		return false;
	}
	if (size < RECORD_HEADER) {
		walk->problem = "the record there has no size";
		return false;
	}
	*ret = (struct perf_record){
		.type = (uint32_t)elf_number(bytes, 4),
		.misc = (uint16_t)elf_number(bytes + 4, 2),
		.offset = walk->position,
		.bytes = bytes + RECORD_HEADER,
		.size = size - RECORD_HEADER,
		.id = {.pid = -1, .tid = -1, .cpu = -1},
	};
	walk->position += size;
	take_sample_id(header, ret);
	// Packets that are cut off are packets up to there.
	return take_trailing(walk, ret) || ret->type == PERF_AUXTRACE;
}
