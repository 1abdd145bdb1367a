// SPDX-License-Identifier: Apache-2.0
// Recordings. The first byte says what the rest is: the file itself, or chunks behind a good header, with or without
// their checksums put right.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/hash_page.h"
#include "pt/input.h"
#include "recording/format.h"
#include "recording/recording.h"
#include "synthetic_core.h"

enum mode { WHOLE_FILE, CHUNKS, CHECKED_CHUNKS, MODES };

static void put_checksums_right(uint8_t *bytes, size_t size)
{
	struct recording_chunk chunk;
	for (size_t at = 0; size - at >= sizeof(chunk);) {
		memcpy(&chunk, bytes + at, sizeof(chunk));
		chunk.type &= 15;
		chunk.size &= 0xffff;
		size_t rest = size - at - sizeof(chunk);
		if (chunk.size > rest)
			chunk.size = rest;
		chunk.payload_checksum = page_hash(bytes + at + sizeof(chunk), chunk.size);
		chunk.checksum = page_hash(&chunk, offsetof(struct recording_chunk, checksum));
		memcpy(bytes + at, &chunk, sizeof(chunk));
		size_t step = sizeof(chunk) + ((chunk.size + 7) & ~(uint64_t)7);
		if (step > size - at)
			break;
		at += step;
	}
}

static int make_recording(const uint8_t *data, size_t size)
{
	struct recording_header header = {.version = RECORDING_VERSION,
					  .header_size = sizeof(header),
					  .method = 1,
					  .pid = 10};
	enum mode mode = data[0] % MODES;
	if (mode == WHOLE_FILE)
		return memory_file("recording", data + 1, size - 1);
	uint8_t *bytes = malloc(sizeof(header) + size);
	if (!bytes)
		return -1;
	memcpy(header.magic, RECORDING_MAGIC, sizeof(header.magic));
	header.checksum = page_hash(&header, offsetof(struct recording_header, checksum));
	memcpy(bytes, &header, sizeof(header));
	memcpy(bytes + sizeof(header), data + 1, size - 1);
	if (mode == CHECKED_CHUNKS)
		put_checksums_right(bytes + sizeof(header), size - 1);
	int fd = memory_file("recording", bytes, sizeof(header) + size - 1);
	free(bytes);
	return fd;
}

static void touch(const struct pt_input *input)
{
	volatile unsigned sum = 0;
	for (size_t i = 0; i < input->streams.count; i++)
		for (size_t k = 0; k < input->streams.items[i].pieces.count; k++) {
			const struct pt_piece *piece = &input->streams.items[i].pieces.items[k];
			sum = piece->data[0] + piece->data[piece->size - 1];
		}
	for (size_t i = 0; i < input->schedules.count; i++) {
		const struct pt_cpu_schedule *schedule = &input->schedules.items[i];
		for (size_t k = 1; k < schedule->executions.count; k++)
			if (schedule->executions.items[k - 1].end >
			    schedule->executions.items[k].start)
				abort();
	}
	(void)sum;
}

static void explain_all(const struct pt_input *input)
{
	struct arena arena = {0};
	for (uint64_t id = 0; id < 64; id++) {
		struct window_note note;
		if (input->explain(input->context, 0, RECORDING_PAYLOAD | id, &note, &arena) &&
		    (!note.text || strlen(note.text) > 2 * RECORDING_TEXT_LIMIT))
			abort();
	}
	arena_fini(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct strobe_view_options view = {
		.size = sizeof(view), .no_debuginfod = true, .sysroot = "/none-such"};
	struct strobe_trace_options options = {.size = sizeof(options), .view = &view};
	struct pt_input input;
	char path[64];
	bool grew;
	int fd = size ? make_recording(data, size) : -1;
	if (fd < 0)
		return 0;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	struct strobe_error *error = recording_open(path, &options, &input);
	if (error) {
		if (strchr(strobe_error_message(error), '\n'))
			abort();
		strobe_error_free(error);
		close(fd);
		return 0;
	}
	touch(&input);
	explain_all(&input);
	error = input.refresh(input.context, &input, &grew);
	if (error || grew) // nobody writes to it
		abort();
	pt_input_fini(&input);
	close(fd);
	return 0;
}
