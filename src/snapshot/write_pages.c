// SPDX-License-Identifier: Apache-2.0
#include "snapshot/write_pages.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/hash_page.h"
#include "snapshot/write_runs.h"

enum {
	BLOCK_PAGES = 256, // 1 MiB: read, looked at and written in one go
	HOLE_PAGES = 1,	   // fewer zero pages in a row are written: a hole costs a system call
};

/** Pages of the file in the making, not yet written. */
struct block {
	uint8_t *bytes;
	size_t count;		// of pages
	bool zero[BLOCK_PAGES]; // known without looking
};

bool page_is_zero(const uint8_t *page)
{
	typedef uint64_t vector __attribute__((vector_size(32), aligned(8), may_alias));
	const vector *words = (const vector *)page;
	// 512 bytes at a time: most pages that are not zero show it at once.
	for (size_t i = 0; i < PAGE_SIZE_BYTES / sizeof(vector); i += 16) {
		vector any = words[i];
		for (size_t k = 1; k < 16; k++)
			any |= words[i + k];
		if (any[0] | any[1] | any[2] | any[3])
			return false;
	}
	return true;
}

struct strobe_error *pages_cancelled(void)
{
	return error_new(STROBE_ERROR_LIMIT, "cancelled");
}

/** The next stretch of zero pages worth a hole, or the end. */
static size_t find_hole(const struct block *block, size_t from, size_t *end)
{
	for (size_t i = from; i < block->count; i++) {
		size_t k = i;
		while (k < block->count && block->zero[k])
			k++;
		if (k - i >= HOLE_PAGES || (k > i && k == block->count)) {
			*end = k;
			return i;
		}
		i = k;
	}
	*end = block->count;
	return block->count;
}

static struct strobe_error *flush(struct pages *pages, struct block *block)
{
	struct strobe_error *error = NULL;
	for (size_t i = 0; !error && i < block->count; i++) {
		uint8_t *page = block->bytes + i * PAGE_SIZE_BYTES;
		if (block->zero[i] || page_is_zero(page)) {
			// In a short gap it is written after all.
			if (block->zero[i])
				memset(page, 0, PAGE_SIZE_BYTES);
			block->zero[i] = true;
			if (pages->hashes)
				error = hashes_add_zeros(pages->hashes, 1);
		} else {
			pages->nonzero_bytes += PAGE_SIZE_BYTES;
			if (pages->hashes)
				error = hashes_add(pages->hashes, page_hash(page, PAGE_SIZE_BYTES));
		}
	}
	for (size_t at = 0; !error && at < block->count;) {
		size_t end, hole = find_hole(block, at, &end);
		if (hole > at)
			error = output_write(pages->output, block->bytes + at * PAGE_SIZE_BYTES,
					     (hole - at) * PAGE_SIZE_BYTES);
		if (!error && end > hole)
			error = output_skip(pages->output,
					    (uint64_t)(end - hole) * PAGE_SIZE_BYTES);
		at = end;
	}
	block->count = 0;
	return error;
}

static struct strobe_error *tell(struct pages *pages, uint64_t size)
{
	pages->done_bytes += size;
	if (pages->progress &&
	    !pages->progress(pages->context, pages->done_bytes, pages->total_bytes))
		return pages_cancelled();
	return NULL;
}

static struct strobe_error *add_zeros(struct pages *pages, struct block *block, uint64_t count)
{
	struct strobe_error *error = NULL;
	if (count >= BLOCK_PAGES) {
		error = flush(pages, block);
		if (!error && pages->hashes)
			error = hashes_add_zeros(pages->hashes, count);
		return error ? error : output_skip(pages->output, count * PAGE_SIZE_BYTES);
	}
	for (; !error && count; count--) {
		block->zero[block->count++] = true;
		if (block->count == BLOCK_PAGES)
			error = flush(pages, block);
	}
	return error;
}

static struct strobe_error *add_data(struct pages *pages, struct block *block,
				     const struct load *load, uint64_t start, uint64_t end)
{
	struct strobe_error *error = NULL;
	while (!error && start < end) {
		uint64_t room = (uint64_t)(BLOCK_PAGES - block->count) * PAGE_SIZE_BYTES;
		size_t size = (size_t)(end - start < room ? end - start : room);
		uint8_t *bytes = block->bytes + block->count * PAGE_SIZE_BYTES;
		size_t done = read_of_pages(pages->view, start, bytes, size);
		if (done < size)
			return error_address(STROBE_ERROR_UNREADABLE, start + done,
					     "memory at 0x%" PRIx64
					     " can no longer be read: the frozen process, or the "
					     "file behind it, is gone",
					     start + done);
		if (pages->redactor)
			error = redact_memory(pages->redactor, load->mapping, start, bytes, size);
		memset(block->zero + block->count, 0, size / PAGE_SIZE_BYTES);
		block->count += size / PAGE_SIZE_BYTES;
		start += size;
		if (!error && block->count == BLOCK_PAGES)
			error = flush(pages, block);
		if (!error)
			error = tell(pages, size);
	}
	return error;
}

static struct strobe_error *write_load(struct pages *pages, struct block *block,
				       const struct load *load)
{
	struct strobe_error *error = NULL;
	struct view_run run;
	for (uint64_t at = load->start; !error && at < load->end; at = run.end) {
		run_of_pages(pages->view, at, load->end, &run);
		if (run.kind != VIEW_RUN_ZERO) {
			error = add_data(pages, block, load, at, run.end);
			continue;
		}
		error = add_zeros(pages, block, (run.end - at) / PAGE_SIZE_BYTES);
		if (!error)
			error = tell(pages, run.end - at);
	}
	return error;
}

struct strobe_error *pages_write(struct pages *pages)
{
	struct block *block = calloc(1, sizeof(*block));
	struct strobe_error *error = NULL;
	if (!block || !(block->bytes = malloc((size_t)BLOCK_PAGES * PAGE_SIZE_BYTES)))
		error = error_no_memory();
	for (size_t i = 0; !error && i < pages->layout->loads.count; i++)
		if (pages->layout->loads.items[i].kind == LAYOUT_STORED)
			error = write_load(pages, block, &pages->layout->loads.items[i]);
	if (!error)
		error = flush(pages, block);
	if (block)
		free(block->bytes);
	free(block);
	return error;
}
