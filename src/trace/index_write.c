// SPDX-License-Identifier: Apache-2.0
#include "trace/index_write.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/hash_page.h"
#include "trace/index_format.h"
#include "trace/spool.h"
#include "trace/state.h"
#include "trace/unit_code.h"

enum { BUFFER_SIZE = 256 << 10, HEADERS_AT_ONCE = 16 };

/** A thread's group that is being filled. */
struct open_group {
	struct index_group header;
	uint32_t unit_count;
	struct unit_carry carry;
	ARRAY(uint8_t) bytes;
	uint64_t group_count, data_bytes; // of the thread
};

/** A group's header, until all of them can be sorted by threads. */
struct loose_header {
	uint64_t thread;
	struct index_group group;
};

struct index_writer {
	int fd;
	bool failed;   // to write
	uint64_t size; // of the file
	uint64_t data_start;
	uint8_t *buffer;
	size_t pending; // of the file, in the buffer
	struct spool headers;
	uint64_t group_count;
	ARRAY(struct open_group) threads;
};

struct strobe_error *index_writer_new(int fd, struct index_writer **ret)
{
	struct index_writer *writer = calloc(1, sizeof(*writer));
	if (!writer)
		return error_no_memory();
	spool_init(&writer->headers);
	writer->fd = fd;
	writer->buffer = malloc(BUFFER_SIZE);
	writer->size = writer->data_start = sizeof(struct index_header);
	if (!writer->buffer) {
		index_writer_free(writer);
		return error_no_memory();
	}
	*ret = writer;
	return NULL;
}

struct index_writer *index_writer_free(struct index_writer *writer)
{
	if (!writer)
		return NULL;
	for (size_t i = 0; i < writer->threads.count; i++)
		array_fini(&writer->threads.items[i].bytes);
	array_fini(&writer->threads);
	spool_fini(&writer->headers);
	free(writer->buffer);
	free(writer);
	return NULL;
}

bool index_writer_failed(const struct index_writer *writer)
{
	return writer->failed;
}

static struct strobe_error *cannot_write(struct index_writer *writer)
{
	writer->failed = true;
	return error_errno(errno, "the index cannot be written");
}

static struct strobe_error *flush(struct index_writer *writer)
{
	if (!spool_write_at(writer->fd, writer->size - writer->pending, writer->buffer,
			    writer->pending))
		return cannot_write(writer);
	writer->pending = 0;
	return NULL;
}

static struct strobe_error *put(struct index_writer *writer, const void *bytes, size_t size)
{
	for (size_t done = 0; done < size;) {
		size_t room = BUFFER_SIZE - writer->pending;
		size_t now = size - done < room ? size - done : room;
		memcpy(writer->buffer + writer->pending, (const uint8_t *)bytes + done, now);
		writer->pending += now;
		writer->size += now;
		done += now;
		struct strobe_error *error = now == room ? flush(writer) : NULL;
		if (error)
			return error;
	}
	return NULL;
}

/** The group is full, or the last: its bytes go to the file. */
static struct strobe_error *end_group(struct index_writer *writer, size_t thread)
{
	struct open_group *group = &writer->threads.items[thread];
	struct loose_header loose = {.thread = thread, .group = group->header};
	loose.group.data = writer->size - writer->data_start;
	loose.group.data_size = (uint32_t)group->bytes.count;
	struct strobe_error *error = put(writer, group->bytes.items, group->bytes.count);
	if (!error)
		error = spool_append(&writer->headers, &loose, sizeof(loose));
	if (error)
		return error;
	group->group_count++;
	group->data_bytes += group->bytes.count;
	group->bytes.count = 0;
	group->unit_count = 0;
	writer->group_count++;
	return NULL;
}

static void begin_group(struct open_group *group)
{
	struct unit_carry *carry = &group->carry;
	carry->placed = false; // the first one says where it is
	group->header = (struct index_group){.first_id = carry->first_id,
					     .before_id = carry->before.id,
					     .before_value = carry->before.value,
					     .mask = carry->has_before ? INDEX_MASK_BEFORE : 0,
					     .cpu = carry->cpu};
}

static struct strobe_error *add_threads(struct index_writer *writer, size_t count)
{
	while (writer->threads.count < count)
		if (!array_push(&writer->threads, (struct open_group){.carry = {.cpu = -1}}))
			return error_no_memory();
	return NULL;
}

struct strobe_error *index_writer_add(struct index_writer *writer, size_t thread,
				      const struct unit *unit)
{
	struct strobe_error *error = add_threads(writer, thread + 1);
	if (error)
		return error;
	struct open_group *group = &writer->threads.items[thread];
	if (!array_reserve(&group->bytes, group->bytes.count + UNIT_CODE_MAX))
		return error_no_memory();
	if (group->unit_count == 0)
		begin_group(group);
	group->bytes.count +=
		unit_encode(unit, &group->carry, group->bytes.items + group->bytes.count);
	for (uint32_t type = 0; type < STROBE_EVENT_TYPE_COUNT; type++)
		group->header.mask |= (uint32_t)(unit->event_counts[type] != 0) << type;
	group->header.mask |= unit->error_count ? INDEX_MASK_ERRORS : 0;
	group->header.mask |= unit->has_clock ? INDEX_MASK_CLOCKS : 0;
	return ++group->unit_count == INDEX_GROUP_UNITS ? end_group(writer, thread) : NULL;
}

/** Headers of one thread on their way to their place. */
struct sorting {
	uint64_t at; // in the file
	size_t count;
	struct index_group groups[HEADERS_AT_ONCE];
};

static bool place_headers(const struct index_writer *writer, struct sorting *sorting)
{
	size_t size = sorting->count * sizeof(struct index_group);
	bool done = spool_write_at(writer->fd, sorting->at, sorting->groups, size);
	sorting->at += size;
	sorting->count = 0;
	return done;
}

/** Deals the spooled headers out to their threads' places in the table. */
static struct strobe_error *deal_headers(struct index_writer *writer, struct sorting *sortings,
					 struct spool_reader *reader)
{
	const uint8_t *bytes;
	size_t size;
	for (uint64_t i = 0; i < writer->group_count; i++) {
		struct loose_header loose;
		struct strobe_error *error = spool_peek(reader, sizeof(loose), &bytes, &size);
		if (error)
			return error;
		memcpy(&loose, bytes, sizeof(loose));
		spool_skip(reader, sizeof(loose));
		struct sorting *sorting = &sortings[loose.thread];
		sorting->groups[sorting->count++] = loose.group;
		if (sorting->count == HEADERS_AT_ONCE && !place_headers(writer, sorting))
			return cannot_write(writer);
	}
	for (size_t i = 0; i < writer->threads.count; i++)
		if (!place_headers(writer, &sortings[i]))
			return cannot_write(writer);
	return NULL;
}

static struct strobe_error *sort_headers(struct index_writer *writer, uint64_t table)
{
	const uint64_t range[2] = {0, writer->headers.size};
	struct spool_reader reader;
	struct sorting *sortings = calloc(writer->threads.count + 1, sizeof(*sortings));
	if (!sortings)
		return error_no_memory();
	for (size_t i = 0; i < writer->threads.count; i++) {
		sortings[i].at = table;
		table += writer->threads.items[i].group_count * sizeof(struct index_group);
	}
	struct strobe_error *error =
		spool_reader_init(&reader, &writer->headers, range, BUFFER_SIZE);
	if (!error)
		error = deal_headers(writer, sortings, &reader);
	spool_reader_fini(&reader);
	free(sortings);
	return error;
}

/** A table begins here: at a multiple of 8. */
static struct strobe_error *begin_table(struct index_writer *writer, struct index_table *table,
					uint64_t count)
{
	static const uint8_t zeros[8] = {0};
	struct strobe_error *error = put(writer, zeros, -writer->size & 7);
	*table = (struct index_table){.offset = writer->size, .count = count};
	return error;
}

static struct strobe_error *put_groups(struct index_writer *writer, struct index_table *table)
{
	struct strobe_error *error = begin_table(writer, table, writer->group_count);
	if (!error)
		error = flush(writer);
	if (!error)
		error = sort_headers(writer, table->offset);
	writer->size += writer->group_count * sizeof(struct index_group);
	return error;
}

/** Where a thread's parts of the other tables begin. */
struct starts {
	uint64_t group;
	uint32_t cpu, error;
};

static struct index_thread describe(const struct trace_row *row, const struct open_group *group,
				    struct starts *starts)
{
	struct index_thread thread = {.pid = row->info.pid,
				      .tid = row->info.tid,
				      .item_count = row->info.item_count,
				      .instruction_count = row->info.instruction_count,
				      .error_count = row->info.error_count,
				      .raw_bytes = row->info.raw_bytes,
				      .unit_count = row->info.unit_count,
				      .first_group = starts->group,
				      .data_bytes = group->data_bytes,
				      .first_clock_id = row->first_clock.id,
				      .first_clock = row->first_clock.value,
				      .last_clock_id = row->last_clock.id,
				      .last_clock = row->last_clock.value,
				      .last_cpu = row->last_cpu,
				      .has_clock = row->has_clock,
				      .first_cpu = starts->cpu,
				      .cpu_count = (uint32_t)row->cpus.count,
				      .first_error = starts->error,
				      .error_texts = (uint32_t)row->errors.count};
	memcpy(thread.event_counts, row->info.event_counts, sizeof(thread.event_counts));
	starts->group += group->group_count;
	starts->cpu += thread.cpu_count;
	starts->error += thread.error_texts;
	return thread;
}

static struct strobe_error *put_threads(struct index_writer *writer,
					const struct strobe_trace *trace, struct index_table *table,
					struct starts *starts)
{
	struct strobe_error *error = begin_table(writer, table, trace->rows.count);
	for (size_t i = 0; i < trace->rows.count && !error; i++) {
		struct index_thread thread =
			describe(&trace->rows.items[i], &writer->threads.items[i], starts);
		error = put(writer, &thread, sizeof(thread));
	}
	return error;
}

static struct strobe_error *put_cpus(struct index_writer *writer, const struct strobe_trace *trace,
				     struct index_table *table, uint64_t count)
{
	struct strobe_error *error = begin_table(writer, table, count);
	for (size_t i = 0; i < trace->rows.count && !error; i++) {
		const struct trace_row *row = &trace->rows.items[i];
		error = put(writer, row->cpus.items, row->cpus.count * sizeof(*row->cpus.items));
	}
	return error;
}

static struct strobe_error *put_errors(struct index_writer *writer,
				       const struct strobe_trace *trace,
				       struct index_header *header, uint64_t count)
{
	uint32_t text = 0;
	struct strobe_error *error = begin_table(writer, &header->errors, count);
	for (size_t i = 0; i < trace->rows.count; i++) {
		const struct trace_row *row = &trace->rows.items[i];
		for (size_t k = 0; k < row->errors.count && !error; k++) {
			struct index_error entry = {
				.count = row->errors.items[k].count,
				.text = text,
				.text_size = (uint32_t)strlen(row->errors.items[k].text)};
			text += entry.text_size;
			error = put(writer, &entry, sizeof(entry));
		}
	}
	if (!error)
		error = begin_table(writer, &header->texts, text);
	for (size_t i = 0; i < trace->rows.count; i++) {
		const struct trace_row *row = &trace->rows.items[i];
		for (size_t k = 0; k < row->errors.count && !error; k++)
			error = put(writer, row->errors.items[k].text,
				    strlen(row->errors.items[k].text));
	}
	return error;
}

static struct strobe_error *put_tables(struct index_writer *writer,
				       const struct strobe_trace *trace,
				       struct index_header *header)
{
	struct starts starts = {0};
	struct strobe_error *error = NULL;
	header->data = (struct index_table){.offset = writer->data_start,
					    .count = writer->size - writer->data_start};
	error = put_groups(writer, &header->groups);
	if (!error)
		error = put_threads(writer, trace, &header->threads, &starts);
	if (!error)
		error = begin_table(writer, &header->streams, trace->indexed.count);
	if (!error)
		error = put(writer, trace->indexed.items,
			    trace->indexed.count * sizeof(*trace->indexed.items));
	if (!error)
		error = put_cpus(writer, trace, &header->cpus, starts.cpu);
	if (!error)
		error = put_errors(writer, trace, header, starts.error);
	return error ? error : flush(writer);
}

/** Checksum of what stands behind the header: read back, as it is in the file. */
static struct strobe_error *sum_content(struct index_writer *writer, uint64_t *ret)
{
	uint8_t *chunk = malloc(INDEX_CHECK_CHUNK);
	uint64_t sum = 0;
	struct strobe_error *error = chunk ? NULL : error_no_memory();
	for (uint64_t at = sizeof(struct index_header); at < writer->size && !error;) {
		uint64_t rest = writer->size - at;
		size_t size = rest < INDEX_CHECK_CHUNK ? (size_t)rest : INDEX_CHECK_CHUNK;
		if (!spool_read_at(writer->fd, at, chunk, size))
			error = cannot_write(writer);
		else
			sum = sum * 31 + page_hash(chunk, size);
		at += size;
	}
	free(chunk);
	*ret = sum;
	return error;
}

struct strobe_error *index_writer_finish(struct index_writer *writer,
					 const struct strobe_trace *trace)
{
	struct index_header header = {.version = INDEX_VERSION,
				      .size = sizeof(header),
				      .decoder = index_decoder(),
				      .raw_bytes = trace->about.raw_bytes,
				      .lowest_clock = trace->lowest_clock,
				      .has_clock = trace->has_clock};
	memcpy(header.magic, INDEX_MAGIC, sizeof(header.magic));
	memcpy(header.fingerprint, trace->about.fingerprint, sizeof(header.fingerprint));
	struct strobe_error *error = add_threads(writer, trace->rows.count);
	for (size_t i = 0; i < writer->threads.count && !error; i++)
		if (writer->threads.items[i].unit_count)
			error = end_group(writer, i);
	if (!error)
		error = put_tables(writer, trace, &header);
	if (!error)
		error = sum_content(writer, &header.content_sum);
	header.file_size = writer->size;
	header.header_sum = hash_bytes(&header, offsetof(struct index_header, header_sum));
	if (!error && !spool_write_at(writer->fd, 0, &header, sizeof(header)))
		error = cannot_write(writer);
	return error;
}
