// SPDX-License-Identifier: Apache-2.0
#include "recording/writer.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/array.h"
#include "base/error.h"
#include "base/hash_page.h"
#include "recording/format.h"

enum { BUFFER_LIMIT = 1 << 20 }; // written out when there is more

// Invariants: what is in the file is whole chunks; `buffer` is whole chunks; events and switches are in no chunk yet,
// and become one before any packets do.
struct recording_writer {
	int fd;
	char *path;
	uint64_t written;
	ARRAY(uint8_t) buffer;
	ARRAY(uint8_t) events;
	ARRAY(struct recording_switch_record) switches;
	uint64_t next_event;
	uint32_t next_stream;
};

static struct strobe_error *write_all(struct recording_writer *writer)
{
	size_t done = 0;
	while (done < writer->buffer.count) {
		ssize_t n =
			write(writer->fd, writer->buffer.items + done, writer->buffer.count - done);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_errno(errno, "%s", writer->path);
		done += (size_t)n;
	}
	writer->written += done;
	writer->buffer.count = 0;
	return NULL;
}

static bool append(struct recording_writer *writer, const void *bytes, size_t size)
{
	if (!array_reserve(&writer->buffer, writer->buffer.count + size))
		return false;
	if (size)
		memcpy(writer->buffer.items + writer->buffer.count, bytes, size);
	writer->buffer.count += size;
	return true;
}

static size_t padding(uint64_t size)
{
	return (size_t)(-size & (RECORDING_ALIGNMENT - 1));
}

/** A part of a chunk's payload. */
struct part {
	const void *bytes;
	size_t size;
};

static struct strobe_error *put_chunk(struct recording_writer *writer, uint32_t type,
				      uint32_t stream, const struct part *parts, size_t count)
{
	static const uint8_t zeros[RECORDING_ALIGNMENT];
	struct recording_chunk chunk = {.type = type, .stream = stream};
	size_t start = writer->buffer.count;
	bool done = append(writer, &chunk, sizeof(chunk));
	for (size_t i = 0; i < count; i++) {
		done = done && append(writer, parts[i].bytes, parts[i].size);
		chunk.size += parts[i].size;
	}
	done = done && append(writer, zeros, padding(chunk.size));
	if (!done) {
		writer->buffer.count = start;
		return error_no_memory();
	}
	assert(chunk.size <= RECORDING_CHUNK_LIMIT);
	chunk.payload_checksum =
		page_hash(writer->buffer.items + start + sizeof(chunk), chunk.size);
	chunk.checksum = page_hash(&chunk, offsetof(struct recording_chunk, checksum));
	memcpy(writer->buffer.items + start, &chunk, sizeof(chunk));
	return writer->buffer.count > BUFFER_LIMIT ? write_all(writer) : NULL;
}

static struct strobe_error *put_one(struct recording_writer *writer, uint32_t type,
				    const void *payload, size_t size)
{
	struct part part = {payload, size};
	return put_chunk(writer, type, 0, &part, 1);
}

static int64_t wall_clock_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static struct strobe_error *put_header(struct recording_writer *writer,
				       enum recording_method method, int pid)
{
	struct recording_header header = {.version = RECORDING_VERSION,
					  .header_size = sizeof(header),
					  .created_ns = wall_clock_ns(),
					  .method = method,
					  .pid = (uint32_t)pid};
	memcpy(header.magic, RECORDING_MAGIC, sizeof(header.magic));
	if (getrandom(header.id, sizeof(header.id), 0) != sizeof(header.id))
		return error_errno(errno, "getrandom");
	header.checksum = page_hash(&header, offsetof(struct recording_header, checksum));
	return append(writer, &header, sizeof(header)) ? write_all(writer) : error_no_memory();
}

/** Opens a file of another name in the same folder. */
static struct strobe_error *open_beside(struct recording_writer *writer, char **ret)
{
	struct stat status;
	if (stat(writer->path, &status) == 0 && !S_ISREG(status.st_mode))
		return error_new(STROBE_ERROR_INVALID, "%s: not a regular file", writer->path);
	if (asprintf(ret, "%s.XXXXXX", writer->path) < 0)
		return error_no_memory();
	writer->fd = mkostemp(*ret, O_CLOEXEC); // mode 0600
	if (writer->fd < 0)
		return error_errno(errno, "%s", writer->path);
	return NULL;
}

/** The name comes when readers find a header behind it, and the lock. */
static struct strobe_error *begin(struct recording_writer *writer, enum recording_method method,
				  int pid)
{
	char *name = NULL;
	struct strobe_error *error = open_beside(writer, &name);
	if (!error)
		error = put_header(writer, method, pid);
	if (!error && (flock(writer->fd, LOCK_EX | LOCK_NB) || rename(name, writer->path)))
		error = error_errno(errno, "%s", writer->path);
	if (error && writer->fd >= 0)
		unlink(name);
	free(name);
	return error;
}

struct strobe_error *recording_create(const char *path, enum recording_method method, int pid,
				      struct recording_writer **ret)
{
	struct recording_writer *writer = calloc(1, sizeof(*writer));
	if (!writer)
		return error_no_memory();
	writer->fd = -1;
	writer->path = strdup(path);
	struct strobe_error *error = writer->path ? begin(writer, method, pid) : error_no_memory();
	if (error) {
		recording_writer_close(writer);
		return error;
	}
	*ret = writer;
	return NULL;
}

struct recording_writer *recording_writer_close(struct recording_writer *writer)
{
	if (!writer)
		return NULL;
	if (writer->fd >= 0)
		close(writer->fd);
	array_fini(&writer->buffer);
	array_fini(&writer->events);
	array_fini(&writer->switches);
	free(writer->path);
	free(writer);
	return NULL;
}

struct strobe_error *recording_set_clock(struct recording_writer *writer,
					 const struct recording_clock *clock)
{
	struct recording_clock_chunk chunk = {.zero = clock->zero,
					      .wall_offset_ns = clock->wall_offset_ns,
					      .multiplier = clock->multiplier,
					      .shift = clock->shift};
	return put_one(writer, CHUNK_CLOCK, &chunk, sizeof(chunk));
}

struct strobe_error *recording_set_cpu(struct recording_writer *writer,
				       const struct recording_cpu *cpu)
{
	struct recording_cpu_chunk chunk = {.family = cpu->family,
					    .model = cpu->model,
					    .stepping = cpu->stepping,
					    .cpuid_15_eax = cpu->cpuid_15_eax,
					    .cpuid_15_ebx = cpu->cpuid_15_ebx,
					    .mtc_frequency = cpu->mtc_frequency,
					    .nominal_frequency = cpu->nominal_frequency};
	snprintf(chunk.vendor, sizeof(chunk.vendor), "%s", cpu->vendor);
	return put_one(writer, CHUNK_CPU, &chunk, sizeof(chunk));
}

/** How much of `text` is written. */
static size_t text_size(const char *text)
{
	return text ? strnlen(text, RECORDING_TEXT_LIMIT - 1) : 0;
}

struct strobe_error *recording_add_thread(struct recording_writer *writer,
					  const struct recording_thread *thread, uint32_t *ret)
{
	struct recording_thread_chunk chunk = {.clock = thread->clock,
					       .stream = thread->only_name ? RECORDING_NO_STREAM
									   : writer->next_stream,
					       .pid = thread->pid,
					       .tid = thread->tid,
					       .cpu = thread->cpu};
	struct part parts[] = {{&chunk, sizeof(chunk)}, {thread->name, text_size(thread->name)}};
	struct strobe_error *error = put_chunk(writer, CHUNK_THREAD, 0, parts, 2);
	if (!error && !thread->only_name)
		*ret = writer->next_stream++;
	return error;
}

struct strobe_error *recording_add_mapping(struct recording_writer *writer,
					   const struct recording_mapping *mapping)
{
	struct recording_mapping_chunk chunk = {.clock = mapping->clock,
						.start = mapping->start,
						.size = mapping->size,
						.offset = mapping->offset,
						.pid = mapping->pid,
						.path_size = (uint16_t)text_size(mapping->path),
						.file_size = (uint16_t)text_size(mapping->file)};
	struct part parts[] = {{&chunk, sizeof(chunk)},
			       {mapping->path, chunk.path_size},
			       {mapping->file, chunk.file_size},
			       {mapping->build_id, mapping->build_id_size}};
	return put_chunk(writer, CHUNK_MAPPING, 0, parts, 4);
}

struct strobe_error *recording_remove_mapping(struct recording_writer *writer,
					      const struct recording_mapping *mapping)
{
	struct recording_unmapping_chunk chunk = {.clock = mapping->clock,
						  .start = mapping->start,
						  .size = mapping->size,
						  .pid = mapping->pid};
	return put_one(writer, CHUNK_UNMAPPING, &chunk, sizeof(chunk));
}

struct strobe_error *recording_add_code(struct recording_writer *writer,
					const struct recording_code *code)
{
	static const uint8_t zeros[RECORDING_ALIGNMENT];
	struct recording_code_chunk chunk = {.clock = code->clock,
					     .start = code->start,
					     .pid = code->pid,
					     .name_size = (uint32_t)text_size(code->name)};
	struct part parts[] = {{&chunk, sizeof(chunk)},
			       {code->name, chunk.name_size},
			       {zeros, padding(chunk.name_size)},
			       {code->bytes, code->size}};
	return put_chunk(writer, CHUNK_CODE, 0, parts, 4);
}

static bool append_event(struct recording_writer *writer, const void *bytes, size_t size)
{
	if (!array_reserve(&writer->events, writer->events.count + size))
		return false;
	memcpy(writer->events.items + writer->events.count, bytes, size);
	writer->events.count += size;
	return true;
}

struct strobe_error *recording_add_event(struct recording_writer *writer,
					 const struct recording_event *event, uint64_t *ret)
{
	static const uint8_t zeros[RECORDING_ALIGNMENT];
	size_t text = text_size(event->text), start = writer->events.count;
	size_t filled = text + 1 + padding(text + 1);
	struct recording_event_record record = {
		.size = (uint32_t)(sizeof(record) + filled),
		.type = (uint16_t)event->type,
		.flags = (uint16_t)((event->has_address ? EVENT_HAS_ADDRESS : 0) |
				    (event->has_target ? EVENT_HAS_TARGET : 0)),
		.id = writer->next_event,
		.clock = event->clock,
		.pid = event->pid,
		.tid = event->tid,
		.address = event->address,
		.target = event->target,
		.value = event->value,
		.value_2 = event->value_2,
	};
	memcpy(record.arguments, event->arguments, sizeof(record.arguments));
	if (!append_event(writer, &record, sizeof(record)) ||
	    (text && !append_event(writer, event->text, text)) ||
	    !append_event(writer, zeros, filled - text)) {
		writer->events.count = start;
		return error_no_memory();
	}
	*ret = RECORDING_PAYLOAD | (writer->next_event++ & UINT32_MAX);
	return NULL;
}

/** Events are in the file before the packets that name them. */
static struct strobe_error *put_pending(struct recording_writer *writer)
{
	struct strobe_error *error = NULL;
	if (writer->events.count)
		error = put_one(writer, CHUNK_EVENTS, writer->events.items, writer->events.count);
	writer->events.count = 0;
	if (!error && writer->switches.count)
		error = put_one(writer, CHUNK_SWITCHES, writer->switches.items,
				writer->switches.count * sizeof(*writer->switches.items));
	writer->switches.count = 0;
	return error;
}

struct strobe_error *recording_add_packets(struct recording_writer *writer, uint32_t stream,
					   const uint8_t *bytes, size_t size)
{
	struct part part = {bytes, size};
	assert(stream < writer->next_stream && size <= RECORDING_CHUNK_LIMIT);
	struct strobe_error *error = put_pending(writer);
	return error || !size ? error : put_chunk(writer, CHUNK_PACKETS, stream, &part, 1);
}

struct strobe_error *recording_add_switch(struct recording_writer *writer,
					  const struct recording_switch *run)
{
	struct recording_switch_record record = {.start = run->start,
						 .end = run->end,
						 .pid = run->pid,
						 .tid = run->tid,
						 .cpu = run->cpu};
	return array_push(&writer->switches, record) ? NULL : error_no_memory();
}

struct strobe_error *recording_flush(struct recording_writer *writer)
{
	struct strobe_error *error = put_pending(writer);
	return error ? error : write_all(writer);
}

struct strobe_error *recording_finish(struct recording_writer *writer, uint64_t clock,
				      uint64_t instructions, uint64_t lost_bytes)
{
	struct recording_finished_chunk chunk = {
		.clock = clock, .instructions = instructions, .lost_bytes = lost_bytes};
	struct strobe_error *error = put_pending(writer);
	if (!error)
		error = put_one(writer, CHUNK_FINISHED, &chunk, sizeof(chunk));
	if (!error)
		error = write_all(writer);
	if (!error && fsync(writer->fd))
		error = error_errno(errno, "%s", writer->path);
	return error;
}

uint64_t recording_size(const struct recording_writer *writer)
{
	return writer->written + writer->buffer.count;
}
