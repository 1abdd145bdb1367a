// SPDX-License-Identifier: Apache-2.0
#include "snapshot/write_pages.h"

#include <inttypes.h>
#include <string.h>

#include "base/error.h"
#include "base/hash_page.h"
#include "snapshot/write_behind.h"
#include "snapshot/write_runs.h"

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

/** Looks at the pages of the block. */
static struct strobe_error *look_at(struct pages *pages, struct behind *behind)
{
	struct block *block = behind_block(behind);
	struct strobe_error *error = NULL;
	for (size_t i = 0; !error && i < block->count; i++) {
		const uint8_t *page = block->bytes + i * PAGE_SIZE_BYTES;
		block->zero[i] = block->zero[i] || page_is_zero(page);
		block->dropped[i] = pages->pack && pack_add(pages->pack, 1, block->zero[i]);
		if (!block->zero[i])
			pages->nonzero_bytes += PAGE_SIZE_BYTES;
		if (block->dropped[i])
			continue;
		if (pages->hashes && block->zero[i])
			error = hashes_add_zeros(pages->hashes, 1);
		else if (pages->hashes)
			error = hashes_add(pages->hashes, page_hash(page, PAGE_SIZE_BYTES));
	}
	if (block->skip && pages->pack &&
	    pack_add(pages->pack, block->skip / PAGE_SIZE_BYTES, true))
		block->skip = 0;
	if (!error && pages->hashes && block->skip)
		error = hashes_add_zeros(pages->hashes, block->skip / PAGE_SIZE_BYTES);
	return error;
}

static struct strobe_error *send(struct pages *pages, struct behind *behind)
{
	struct strobe_error *error = look_at(pages, behind);
	return error ? error : behind_send(behind);
}

static struct strobe_error *tell(struct pages *pages, uint64_t size)
{
	pages->done_bytes += size;
	if (pages->progress &&
	    !pages->progress(pages->context, pages->done_bytes, pages->total_bytes))
		return pages_cancelled();
	return NULL;
}

static struct strobe_error *add_zeros(struct pages *pages, struct behind *behind, uint64_t count)
{
	struct strobe_error *error = NULL;
	if (count >= BLOCK_PAGES) {
		behind_block(behind)->skip = count * PAGE_SIZE_BYTES;
		return send(pages, behind);
	}
	for (; !error && count; count--) {
		struct block *block = behind_block(behind);
		block->zero[block->count++] = true;
		if (block->count == BLOCK_PAGES)
			error = send(pages, behind);
	}
	return error;
}

static struct strobe_error *add_data(struct pages *pages, struct behind *behind,
				     const struct load *load, uint64_t start, uint64_t end)
{
	struct strobe_error *error = NULL;
	while (!error && start < end) {
		struct block *block = behind_block(behind);
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
			error = send(pages, behind);
		if (!error)
			error = tell(pages, size);
	}
	return error;
}

static struct strobe_error *write_load(struct pages *pages, struct behind *behind,
				       const struct load *load)
{
	struct strobe_error *error = NULL;
	struct view_run run;
	for (uint64_t at = load->start; !error && at < load->end; at = run.end) {
		run_of_pages(pages->view, at, load->end, &run);
		if (run.kind != VIEW_RUN_ZERO) {
			error = add_data(pages, behind, load, at, run.end);
			continue;
		}
		error = add_zeros(pages, behind, (run.end - at) / PAGE_SIZE_BYTES);
		if (!error)
			error = tell(pages, run.end - at);
	}
	return error;
}

struct strobe_error *pages_write(struct pages *pages)
{
	struct behind *behind = NULL;
	struct strobe_error *error = behind_new(pages->output, &behind);
	for (size_t i = 0; !error && i < pages->layout->loads.count; i++)
		if (pages->layout->loads.items[i].kind == LAYOUT_STORED)
			error = write_load(pages, behind, &pages->layout->loads.items[i]);
	if (!error)
		error = look_at(pages, behind);
	if (!error)
		error = behind_finish(behind);
	behind_free(behind);
	return error;
}
