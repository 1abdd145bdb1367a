// SPDX-License-Identifier: Apache-2.0
#include "recording/scan.h"

#include <inttypes.h>
#include <string.h>

#include "base/error.h"
#include "base/hash_page.h"
#include "recording/format.h"

enum {
	STREAM_LIMIT = 1 << 16,
	BUILD_ID_LIMIT = 64,
	// Packets are checked when they are opened if there are no more than this; those of a longer recording are
	// checked by the decoder.
	CHECKED_PACKETS = 64 << 20,
};

/** A chunk whose header is right. */
struct chunk {
	struct recording_chunk header;
	uint64_t offset; // of the payload
	const uint8_t *payload;
};

struct strobe_error *recording_read_header(struct recording *recording)
{
	struct recording_header header;
	const char *path = recording->file.path;
	if (recording->file.size < sizeof(header))
		return error_new(STROBE_ERROR_FORMAT, "%s: shorter than the header of a recording",
				 path);
	memcpy(&header, recording->file.data, sizeof(header));
	if (memcmp(header.magic, RECORDING_MAGIC, sizeof(header.magic)) != 0)
		return error_new(STROBE_ERROR_FORMAT, "%s: no recording of Strobe's", path);
	if (header.version != RECORDING_VERSION)
		return error_new(STROBE_ERROR_UNSUPPORTED,
				 "%s: version %" PRIu32 " of recordings; this build reads %d", path,
				 header.version, RECORDING_VERSION);
	if (header.header_size != sizeof(header) ||
	    header.checksum != page_hash(&header, offsetof(struct recording_header, checksum)))
		return error_new(STROBE_ERROR_FORMAT, "%s: the header's checksum is wrong", path);
	recording->pid = (int)header.pid;
	recording->method = header.method;
	recording->scanned = sizeof(header);
	return NULL;
}

static struct strobe_error *warn(struct pt_input *input, const char *format, uint64_t a, uint64_t b)
{
	enum { WARNING_LIMIT = 100 };
	if (input->warnings.count >= WARNING_LIMIT)
		return NULL;
	const char *text = arena_printf(&input->arena, format, a, b);
	return text && array_push(&input->warnings, text) ? NULL : error_no_memory();
}

static struct strobe_error *warn_chunk(struct pt_input *input, const struct chunk *chunk)
{
	return warn(input, "a chunk of type %" PRIu64 " at 0x%" PRIx64 " is damaged, and left out",
		    chunk->header.type, chunk->offset - sizeof(chunk->header));
}

static struct strobe_error *take_clock(struct recording *recording, struct pt_input *input,
				       const struct chunk *chunk)
{
	struct recording_clock_chunk clock;
	(void)recording;
	if (chunk->header.size < sizeof(clock))
		return warn_chunk(input, chunk);
	memcpy(&clock, chunk->payload, sizeof(clock));
	if (clock.shift >= 64 || !clock.multiplier)
		return warn_chunk(input, chunk);
	input->has_clock = true;
	input->clock_multiplier = clock.multiplier;
	input->clock_shift = (uint16_t)clock.shift;
	input->clock_zero = clock.zero;
	input->wall_offset_ns = clock.wall_offset_ns;
	return NULL;
}

static struct strobe_error *take_cpu(struct recording *recording, struct pt_input *input,
				     const struct chunk *chunk)
{
	struct recording_cpu_chunk cpu;
	(void)recording;
	if (chunk->header.size < sizeof(cpu))
		return warn_chunk(input, chunk);
	memcpy(&cpu, chunk->payload, sizeof(cpu));
	input->cpu_vendor = arena_copy_string(&input->arena, cpu.vendor,
					      strnlen(cpu.vendor, sizeof(cpu.vendor)));
	input->cpu_family = cpu.family;
	input->cpu_model = cpu.model;
	input->cpu_stepping = cpu.stepping;
	input->cpuid_15_eax = cpu.cpuid_15_eax;
	input->cpuid_15_ebx = cpu.cpuid_15_ebx;
	input->mtc_frequency = cpu.mtc_frequency;
	input->nominal_frequency = cpu.nominal_frequency;
	return input->cpu_vendor ? NULL : error_no_memory();
}

static struct strobe_error *add_named_thread(struct pt_input *input,
					     const struct recording_thread_chunk *thread,
					     const char *name)
{
	for (size_t i = 0; i < input->threads.count; i++) {
		struct pt_thread *known = &input->threads.items[i];
		if (known->tid != thread->tid || known->pid != thread->pid)
			continue;
		known->name = *name ? name : known->name;
		return NULL;
	}
	struct pt_thread added = {thread->pid, thread->tid, *name ? name : NULL};
	return array_push(&input->threads, added) ? NULL : error_no_memory();
}

static struct strobe_error *take_thread(struct recording *recording, struct pt_input *input,
					const struct chunk *chunk)
{
	struct recording_thread_chunk thread;
	(void)recording;
	if (chunk->header.size < sizeof(thread))
		return warn_chunk(input, chunk);
	memcpy(&thread, chunk->payload, sizeof(thread));
	bool has_stream = thread.stream != RECORDING_NO_STREAM;
	if (has_stream && (thread.stream < input->streams.count || thread.stream >= STREAM_LIMIT))
		return warn_chunk(input, chunk);
	// Numbers that are missing were lost to damage: their streams are empty.
	while (has_stream && input->streams.count <= thread.stream)
		if (!array_push(&input->streams,
				(struct pt_stream){.pid = -1, .tid = -1, .cpu = -1}))
			return error_no_memory();
	if (has_stream) {
		struct pt_stream *stream = &input->streams.items[thread.stream];
		stream->pid = thread.pid;
		stream->tid = thread.tid;
		stream->cpu = thread.cpu;
		input->per_cpu = input->per_cpu || thread.tid < 0;
	}
	if (thread.tid < 0)
		return NULL;
	const char *text = (const char *)chunk->payload + sizeof(thread);
	const char *name = arena_copy_string(
		&input->arena, text, strnlen(text, (size_t)(chunk->header.size - sizeof(thread))));
	return name ? add_named_thread(input, &thread, name) : error_no_memory();
}

static const char *read_build_id(struct pt_input *input, const uint8_t *bytes, size_t size)
{
	char text[2 * BUILD_ID_LIMIT + 1];
	static const char digits[] = "0123456789abcdef";
	for (size_t i = 0; i < size; i++) {
		text[2 * i] = digits[bytes[i] >> 4];
		text[2 * i + 1] = digits[bytes[i] & 15];
	}
	return arena_copy_string(&input->arena, text, 2 * size);
}

static struct strobe_error *take_mapping(struct recording *recording, struct pt_input *input,
					 const struct chunk *chunk)
{
	struct recording_mapping_chunk mapping;
	uint64_t size = chunk->header.size;
	if (size < sizeof(mapping))
		return warn_chunk(input, chunk);
	memcpy(&mapping, chunk->payload, sizeof(mapping));
	const char *text = (const char *)chunk->payload + sizeof(mapping);
	uint64_t texts = (uint64_t)mapping.path_size + mapping.file_size;
	size -= sizeof(mapping);
	if (texts > size || size - texts > BUILD_ID_LIMIT || !mapping.path_size || !mapping.size ||
	    mapping.size > UINT64_MAX - mapping.start || mapping.offset > INT64_MAX)
		return warn_chunk(input, chunk);
	size_t id_size = (size_t)(size - texts);
	struct recorded_code code = {
		.from = mapping.clock,
		.until = UINT64_MAX,
		.pid = mapping.pid,
		.start = mapping.start,
		.size = mapping.size,
		.offset = mapping.offset,
		.path = arena_copy_string(&input->arena, text, mapping.path_size),
	};
	if (mapping.file_size)
		code.file = arena_copy_string(&input->arena, text + mapping.path_size,
					      mapping.file_size);
	if (id_size)
		code.build_id = read_build_id(input, (const uint8_t *)text + texts, id_size);
	if (!code.path || (mapping.file_size && !code.file) || (id_size && !code.build_id))
		return error_no_memory();
	return history_add(&recording->history, &code);
}

static struct strobe_error *take_unmapping(struct recording *recording, struct pt_input *input,
					   const struct chunk *chunk)
{
	struct recording_unmapping_chunk unmapping;
	if (chunk->header.size < sizeof(unmapping))
		return warn_chunk(input, chunk);
	memcpy(&unmapping, chunk->payload, sizeof(unmapping));
	return history_end(&recording->history, unmapping.pid, unmapping.start, unmapping.size,
			   unmapping.clock);
}

static struct strobe_error *take_code(struct recording *recording, struct pt_input *input,
				      const struct chunk *chunk)
{
	struct recording_code_chunk header;
	uint64_t size = chunk->header.size;
	if (size < sizeof(header))
		return warn_chunk(input, chunk);
	memcpy(&header, chunk->payload, sizeof(header));
	uint64_t name_size = ((uint64_t)header.name_size + RECORDING_ALIGNMENT - 1) &
			     ~(uint64_t)(RECORDING_ALIGNMENT - 1);
	size -= sizeof(header);
	if (name_size >= size || size - name_size > UINT64_MAX - header.start)
		return warn_chunk(input, chunk);
	struct recorded_code code = {
		.from = header.clock,
		.until = UINT64_MAX,
		.pid = header.pid,
		.start = header.start,
		.size = size - name_size,
		.offset = chunk->offset + sizeof(header) + name_size,
		.data = chunk->payload + sizeof(header) + name_size,
	};
	if (header.name_size) {
		code.name = arena_copy_string(&input->arena,
					      (const char *)chunk->payload + sizeof(header),
					      header.name_size);
		if (!code.name)
			return error_no_memory();
	}
	return history_add(&recording->history, &code);
}

static struct strobe_error *take_events(struct recording *recording, struct pt_input *input,
					const struct chunk *chunk)
{
	uint64_t at = 0, size = chunk->header.size;
	while (at < size) {
		struct recording_event_record record;
		const uint8_t *bytes = chunk->payload + at;
		if (size - at < sizeof(record))
			return warn_chunk(input, chunk);
		memcpy(&record, bytes, sizeof(record));
		// The text's NUL is within the record.
		if (record.size <= sizeof(record) || record.size > size - at ||
		    record.size % RECORDING_ALIGNMENT || bytes[record.size - 1] ||
		    record.id > UINT32_MAX)
			return warn_chunk(input, chunk);
		if (!hash_put(&recording->events, record.id + 1, (void *)(uintptr_t)bytes))
			return error_no_memory();
		at += record.size;
	}
	return NULL;
}

static struct strobe_error *take_packets(struct recording *recording, struct pt_input *input,
					 const struct chunk *chunk)
{
	(void)recording;
	if (chunk->header.stream >= input->streams.count)
		return warn_chunk(input, chunk);
	struct pt_stream *stream = &input->streams.items[chunk->header.stream];
	struct pt_piece piece = {
		.data = chunk->payload, .size = chunk->header.size, .mapped = true};
	return !piece.size || array_push(&stream->pieces, piece) ? NULL : error_no_memory();
}

static struct pt_cpu_schedule *find_schedule(struct pt_input *input, int cpu)
{
	for (size_t i = 0; i < input->schedules.count; i++)
		if (input->schedules.items[i].cpu == cpu)
			return &input->schedules.items[i];
	if (!array_push(&input->schedules, (struct pt_cpu_schedule){.cpu = cpu}))
		return NULL;
	return &input->schedules.items[input->schedules.count - 1];
}

static struct strobe_error *take_switches(struct recording *recording, struct pt_input *input,
					  const struct chunk *chunk)
{
	struct recording_switch_record record;
	(void)recording;
	if (chunk->header.size % sizeof(record))
		return warn_chunk(input, chunk);
	for (uint64_t at = 0; at < chunk->header.size; at += sizeof(record)) {
		memcpy(&record, chunk->payload + at, sizeof(record));
		if (record.cpu < 0 || record.cpu >= STREAM_LIMIT)
			return warn_chunk(input, chunk);
		struct pt_cpu_schedule *schedule = find_schedule(input, record.cpu);
		if (!schedule)
			return error_no_memory();
		size_t count = schedule->executions.count;
		uint64_t last = count ? schedule->executions.items[count - 1].end : 0;
		if (record.end <= record.start || record.start < last)
			return warn_chunk(input, chunk); // they are sorted, and disjoint
		struct pt_execution run = {.start = record.start,
					   .end = record.end,
					   .pid = record.pid,
					   .tid = record.tid,
					   .end_guessed = record.end == UINT64_MAX};
		if (!array_push(&schedule->executions, run))
			return error_no_memory();
	}
	return NULL;
}

static struct strobe_error *take_finished(struct recording *recording, struct pt_input *input,
					  const struct chunk *chunk)
{
	struct recording_finished_chunk finished;
	if (chunk->header.size < sizeof(finished))
		return warn_chunk(input, chunk);
	memcpy(&finished, chunk->payload, sizeof(finished));
	recording->marked_finished = true;
	if (!finished.lost_bytes)
		return NULL;
	return warn(input, "%" PRIu64 " bytes of packets were lost while it was recorded",
		    finished.lost_bytes, 0);
}

/** So many mappings are no reason to show nothing. */
static struct strobe_error *go_on(struct recording *recording, struct pt_input *input,
				  struct strobe_error *error)
{
	if (!error || strobe_error_code(error) != STROBE_ERROR_LIMIT)
		return error;
	strobe_error_free(error);
	if (recording->code_left_out)
		return NULL;
	recording->code_left_out = true;
	return warn(input, "more mappings than are believed: code is missing", 0, 0);
}

typedef struct strobe_error *(*take)(struct recording *recording, struct pt_input *input,
				     const struct chunk *chunk);
static const take takers[] = {
	[CHUNK_CLOCK] = take_clock,	    [CHUNK_CPU] = take_cpu,
	[CHUNK_THREAD] = take_thread,	    [CHUNK_MAPPING] = take_mapping,
	[CHUNK_UNMAPPING] = take_unmapping, [CHUNK_CODE] = take_code,
	[CHUNK_EVENTS] = take_events,	    [CHUNK_PACKETS] = take_packets,
	[CHUNK_SWITCHES] = take_switches,   [CHUNK_FINISHED] = take_finished,
};

/** A chunk header at `offset`: true if it is one and all of its payload is there. */
static bool read_chunk(const struct recording *recording, uint64_t offset, struct chunk *ret)
{
	uint64_t size = recording->file.size;
	if (size - offset < sizeof(ret->header))
		return false;
	memcpy(&ret->header, recording->file.data + offset, sizeof(ret->header));
	ret->offset = offset + sizeof(ret->header);
	ret->payload = recording->file.data + ret->offset;
	return ret->header.type && ret->header.type < 0x10000 &&
	       ret->header.size <= RECORDING_CHUNK_LIMIT &&
	       ret->header.size <= size - ret->offset &&
	       ret->header.checksum ==
		       page_hash(&ret->header, offsetof(struct recording_chunk, checksum));
}

static uint64_t chunk_end(const struct chunk *chunk)
{
	return (chunk->offset + chunk->header.size + RECORDING_ALIGNMENT - 1) &
	       ~(uint64_t)(RECORDING_ALIGNMENT - 1);
}

static bool is_checked(const struct recording *recording, const struct chunk *chunk)
{
	return chunk->header.type != CHUNK_PACKETS || recording->file.size <= CHECKED_PACKETS ||
	       chunk_end(chunk) + sizeof(struct recording_chunk) > recording->file.size;
}

/** The next chunk behind damage; the end of the file if there is none. */
static uint64_t find_chunk(const struct recording *recording, uint64_t offset)
{
	struct chunk chunk;
	uint64_t end = recording->file.size & ~(uint64_t)(RECORDING_ALIGNMENT - 1);
	while (offset < end && !read_chunk(recording, offset, &chunk))
		offset += RECORDING_ALIGNMENT;
	return offset < end ? offset : recording->file.size;
}

/** Takes the chunk at `scanned`; `*ret_more` is false if nothing whole is there (yet). */
static struct strobe_error *take_next(struct recording *recording, struct pt_input *input,
				      bool *ret_more)
{
	struct chunk chunk;
	uint64_t offset = recording->scanned, size = recording->file.size;
	*ret_more = false;
	if (offset >= size)
		return NULL;
	if (!read_chunk(recording, offset, &chunk)) {
		uint64_t next = find_chunk(recording, offset + RECORDING_ALIGNMENT);
		if (next >= size)
			return NULL; // torn, or still being written
		*ret_more = true;
		recording->scanned = next;
		return warn(input, "bytes 0x%" PRIx64 " to 0x%" PRIx64 " are damaged, and left out",
			    offset, next);
	}
	bool good = !is_checked(recording, &chunk) ||
		    page_hash(chunk.payload, chunk.header.size) == chunk.header.payload_checksum;
	uint64_t end = chunk_end(&chunk);
	if (!good && end >= size)
		return NULL; // likewise
	*ret_more = true;
	recording->scanned = end < size ? end : size;
	if (!good && chunk.header.type != CHUNK_PACKETS)
		return warn_chunk(input, &chunk);
	if (chunk.header.type >= sizeof(takers) / sizeof(takers[0]))
		return NULL; // of a later writer
	struct strobe_error *error = NULL;
	if (!good) // the decoder says where
		error = warn(input, "packets of stream %" PRIu64 " at 0x%" PRIx64 " are damaged",
			     chunk.header.stream, chunk.offset);
	if (error)
		return error;
	return go_on(recording, input, takers[chunk.header.type](recording, input, &chunk));
}

struct strobe_error *recording_scan(struct recording *recording, struct pt_input *input)
{
	bool more = true;
	struct strobe_error *error = NULL;
	while (!error && more)
		error = take_next(recording, input, &more);
	return error;
}
