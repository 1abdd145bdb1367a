// SPDX-License-Identifier: Apache-2.0
#include "snapshot/write_hashes.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/error.h"
#include "snapshot/write_pages.h"

enum {
	AHEAD_ENTRIES = 32 << 10, // put to its place at once
	KEPT_SIZE = 1 << 20,	  // looked at at once when a kept table is written
};

struct hashes {
	struct output *output;
	uint64_t offset, count;
	uint64_t added;	   // entries so far, zero ones included
	uint64_t *entries; // ahead: AHEAD_ENTRIES of them from `first` on; else all
	size_t entries_size;
	bool ahead;
	uint64_t first, filled;
};

struct strobe_error *hashes_new(struct output *output, uint64_t offset, uint64_t count,
				struct hashes **ret)
{
	struct hashes *hashes = calloc(1, sizeof(*hashes));
	if (!hashes)
		return error_no_memory();
	hashes->output = output;
	hashes->offset = offset;
	hashes->count = count;
	hashes->ahead = output_can_write_ahead(output);
	hashes->entries_size = (hashes->ahead ? AHEAD_ENTRIES : count + 1) * sizeof(uint64_t);
	// Address space alone: entries of zero pages are never touched.
	void *entries = mmap(NULL, hashes->entries_size, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (entries == MAP_FAILED) {
		free(hashes);
		return error_no_memory();
	}
	hashes->entries = entries;
	*ret = hashes;
	return NULL;
}

struct hashes *hashes_free(struct hashes *hashes)
{
	if (hashes)
		munmap(hashes->entries, hashes->entries_size);
	free(hashes);
	return NULL;
}

static struct strobe_error *put(struct hashes *hashes)
{
	uint64_t filled = hashes->filled;
	hashes->filled = 0;
	return filled ? output_write_ahead(hashes->output,
					   hashes->offset + hashes->first * sizeof(uint64_t),
					   hashes->entries, filled * sizeof(uint64_t))
		      : NULL;
}

struct strobe_error *hashes_add(struct hashes *hashes, uint64_t hash)
{
	struct strobe_error *error = NULL;
	if (!hashes->ahead) {
		hashes->entries[hashes->added++] = hash;
		return NULL;
	}
	if (hashes->filled == AHEAD_ENTRIES)
		error = put(hashes);
	if (error)
		return error;
	if (!hashes->filled)
		hashes->first = hashes->added;
	hashes->entries[hashes->filled++] = hash;
	hashes->added++;
	return NULL;
}

struct strobe_error *hashes_add_zeros(struct hashes *hashes, uint64_t count)
{
	struct strobe_error *error = NULL;
	if (hashes->ahead && count < AHEAD_ENTRIES / 8) {
		for (; !error && count; count--)
			error = hashes_add(hashes, 0);
		return error;
	}
	if (hashes->ahead)
		error = put(hashes);
	hashes->added += count;
	return error;
}

struct strobe_error *hashes_write(struct hashes *hashes)
{
	struct strobe_error *error = NULL;
	uint64_t size = hashes->count * sizeof(uint64_t);
	if (hashes->ahead) {
		error = put(hashes);
		return error ? error : output_skip(hashes->output, size);
	}
	for (uint64_t at = 0; !error && at < size; at += KEPT_SIZE) {
		size_t piece = (size_t)(size - at < KEPT_SIZE ? size - at : KEPT_SIZE);
		uint8_t *bytes = (uint8_t *)hashes->entries + at;
		bool zero = true;
		for (size_t i = 0; zero && i + PAGE_SIZE_BYTES <= piece; i += PAGE_SIZE_BYTES)
			zero = page_is_zero(bytes + i);
		zero = zero && piece % PAGE_SIZE_BYTES == 0;
		error = zero ? output_skip(hashes->output, piece)
			     : output_write(hashes->output, bytes, piece);
		// What was looked at is not needed again, and not to be counted as ours.
		(void)madvise(bytes, piece, MADV_DONTNEED);
	}
	return error;
}
