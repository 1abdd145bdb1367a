// SPDX-License-Identifier: Apache-2.0
// Indexes of traces. The first byte says what the rest is: a file as it is, or one whose version and sums are put
// right. What is taken for an index must hold together: every unit is where the one before ends.
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/hash_page.h"
#include "synthetic_core.h"
#include "trace/index_read.h"

static void put_right(uint8_t *bytes, size_t size)
{
	struct index_header header;
	if (size < sizeof(header))
		return;
	memcpy(&header, bytes, sizeof(header));
	memcpy(header.magic, INDEX_MAGIC, sizeof(header.magic));
	header.version = INDEX_VERSION;
	header.size = sizeof(header);
	header.decoder = index_decoder();
	header.file_size = size;
	header.content_sum = 0;
	for (size_t at = sizeof(header); at < size; at += INDEX_CHECK_CHUNK) {
		size_t chunk = size - at < INDEX_CHECK_CHUNK ? size - at : INDEX_CHECK_CHUNK;
		header.content_sum = header.content_sum * 31 + page_hash(bytes + at, chunk);
	}
	header.header_sum = hash_bytes(&header, offsetof(struct index_header, header_sum));
	memcpy(bytes, &header, sizeof(header));
}

static void look_at_thread(struct index *index, size_t thread)
{
	uint64_t id = 0, count = index->threads[thread].unit_count;
	for (uint64_t i = 0; i < count; i++) {
		const struct unit *unit = index_unit(index, thread, i);
		if (unit->first_id != id || unit->item_count == 0)
			abort();
		id += unit->item_count;
		if (index_find(index, thread, id - 1) != i)
			abort();
		(void)index_mask(index, thread, i);
	}
	if (id != index->threads[thread].item_count)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct file *file;
	struct index *index = NULL;
	if (size < 2)
		return 0;
	uint8_t *bytes = malloc(size - 1);
	if (!bytes)
		return 0;
	memcpy(bytes, data + 1, size - 1);
	if (data[0] % 2)
		put_right(bytes, size - 1);
	int fd = memory_file("index", bytes, size - 1);
	free(bytes);
	struct strobe_error *error = fd < 0 ? NULL : file_open_descriptor(fd, "index", &file);
	if (fd >= 0 && !error)
		error = index_open(file, &index);
	if (index)
		for (size_t i = 0; i < index->header.threads.count; i++)
			look_at_thread(index, i);
	strobe_error_free(error);
	index_close(index);
	if (fd >= 0)
		close(fd);
	return 0;
}
