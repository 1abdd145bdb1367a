// SPDX-License-Identifier: Apache-2.0
#include "graph/memory.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/array.h"
#include "base/error.h"
#include "graph/storage.h"
#include "view/view.h"

#define BUDGET_LEAST (UINT64_C(64) << 20)
// Where more than this has to be fetched, it is not kept: it is a damaged file that tells of so much.
#define KEPT_SPAN_LIMIT (UINT64_C(1) << 42)

enum {
	PAGE = 4096,
	BLOCK = 64 * PAGE, // one bit a page makes 64 bits
	SLOT = 4 * PAGE,   // of a thread's own
	SLOT_COUNT = 64,
	ZEROS = 65536, // holes from this size on are told apart
	EXPECT_STEP = 8 << 20,
};

enum run_kind {
	RUN_MAPPED,
	RUN_ZERO,
	RUN_FETCHED,
	RUN_MISSING,
};

/** [start, start + size); they are sorted and do not overlap. */
struct run {
	uint64_t start, size;
	const uint8_t *bytes; // RUN_MAPPED
	uint64_t first_block; // RUN_FETCHED: number of the block that holds `start`
	enum run_kind kind;
};

/** What was fetched of an aligned stretch of BLOCK bytes. */
struct block {
	uint8_t *bytes; // NULL until fetched; written under the lock
	uint64_t bad;	// a bit a page that could not be read
};

struct graph_memory {
	const struct strobe_view *view;
	ARRAY(struct run) runs;
	uint64_t block_count;
	struct block *blocks;  // NULL: nothing is kept
	uint64_t budget, kept; // bytes
	pthread_mutex_t lock;  // of the view, and of what is fetched
};

/** What a thread has fetched for itself. */
struct slot {
	const struct run *run; // NULL = empty
	uint64_t address;      // aligned to SLOT
	uint64_t bad;
	uint8_t *bytes;
};

struct graph_reader {
	struct graph_memory *memory;
	const struct run *last;
	struct slot slots[SLOT_COUNT];
	uint8_t *slot_memory; // of all; made when first needed
};

static const uint8_t zeros[ZEROS];

// Making the table.

static bool add_run(struct graph_memory *memory, const struct run *run)
{
	struct run *last = memory->runs.count ? &memory->runs.items[memory->runs.count - 1] : NULL;
	if (!run->size)
		return true;
	bool touches = last && last->kind == run->kind && last->start + last->size == run->start;
	if (touches && (run->kind != RUN_MAPPED || last->bytes + last->size == run->bytes)) {
		last->size += run->size;
		return true;
	}
	return array_push(&memory->runs, *run);
}

/** One run at the beginning of [at, limit), which is readable as far as is known. */
static struct run run_at(const struct strobe_view *view, uint64_t at, uint64_t limit)
{
	struct view_run stretch;
	uint8_t byte;
	size_t available;
	view_run_at(view, at, limit, &stretch);
	uint64_t end = stretch.end && stretch.end < limit ? stretch.end : limit;
	struct run run = {.start = at, .size = end - at, .kind = RUN_FETCHED};
	if (stretch.kind == VIEW_RUN_MISSING)
		run.kind = RUN_MISSING;
	else if (stretch.kind == VIEW_RUN_ZERO && run.size >= ZEROS)
		run.kind = RUN_ZERO;
	if (run.kind != RUN_FETCHED)
		return run;
	const uint8_t *bytes = view_stream(view, at, &byte, 1, &available);
	if (!bytes) {
		run.kind = RUN_MISSING;
		run.size = PAGE - at % PAGE < run.size ? PAGE - at % PAGE : run.size;
	} else if (bytes != &byte) {
		run.kind = RUN_MAPPED;
		run.bytes = bytes;
		run.size = available < run.size ? available : run.size;
	}
	return run;
}

static bool add_extent(struct graph_memory *memory, const struct strobe_memory_extent *extent)
{
	uint64_t end = extent->end ? extent->end : UINT64_MAX;
	if (extent->state == STROBE_MEMORY_UNMAPPED)
		return true;
	if (extent->state == STROBE_MEMORY_MISSING)
		return add_run(memory, &(struct run){.start = extent->start,
						     .size = end - extent->start,
						     .kind = RUN_MISSING});
	for (uint64_t at = extent->start; at < end;) {
		struct run run = run_at(memory->view, at, end);
		if (!add_run(memory, &run))
			return false;
		at += run.size;
	}
	return true;
}

/** Numbers the blocks of what has to be fetched, and makes their table. */
static void number_blocks(struct graph_memory *memory)
{
	for (size_t i = 0; i < memory->runs.count; i++) {
		struct run *run = &memory->runs.items[i];
		if (run->kind != RUN_FETCHED)
			continue;
		run->first_block = memory->block_count;
		memory->block_count +=
			(run->start + run->size - 1) / BLOCK - run->start / BLOCK + 1;
	}
	if (memory->block_count && memory->block_count <= KEPT_SPAN_LIMIT / BLOCK)
		memory->blocks = pages_new(memory->block_count * sizeof(*memory->blocks));
}

struct strobe_error *graph_memory_new(const struct strobe_view *view, struct graph_memory **ret)
{
	struct graph_memory *memory = calloc(1, sizeof(*memory));
	struct strobe_memory_extent extent = {0};
	if (!memory)
		return error_no_memory();
	memory->view = view;
	pthread_mutex_init(&memory->lock, NULL);
	long pages = sysconf(_SC_PHYS_PAGES), page_size = sysconf(_SC_PAGESIZE);
	memory->budget = pages > 0 ? (uint64_t)pages * (uint64_t)page_size / 8 : 0;
	if (memory->budget < BUDGET_LEAST)
		memory->budget = BUDGET_LEAST;
	do {
		strobe_memory_extent(view, extent.end, &extent);
		if (!add_extent(memory, &extent)) {
			graph_memory_free(memory);
			return error_no_memory();
		}
	} while (extent.end);
	number_blocks(memory);
	*ret = memory;
	return NULL;
}

struct graph_memory *graph_memory_free(struct graph_memory *memory)
{
	if (!memory)
		return NULL;
	for (uint64_t i = 0; memory->blocks && memory->kept && i < memory->block_count; i++)
		pages_free(memory->blocks[i].bytes, BLOCK);
	pages_free(memory->blocks, memory->block_count * sizeof(*memory->blocks));
	array_fini(&memory->runs);
	pthread_mutex_destroy(&memory->lock);
	free(memory);
	return NULL;
}

void graph_memory_set_budget(struct graph_memory *memory, uint64_t bytes)
{
	memory->budget = bytes;
}

// Reading it.

static const struct run *find_run(const struct graph_memory *memory, uint64_t address)
{
	const struct run *runs = memory->runs.items;
	size_t low = 0, high = memory->runs.count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (runs[middle].start <= address)
			low = middle + 1;
		else
			high = middle;
	}
	if (!low || address - runs[low - 1].start >= runs[low - 1].size)
		return NULL;
	return &runs[low - 1];
}

enum graph_memory_state graph_memory_state(const struct graph_memory *memory, uint64_t address)
{
	const struct run *run = find_run(memory, address);
	if (!run)
		return GRAPH_MEMORY_UNMAPPED;
	return run->kind == RUN_MISSING ? GRAPH_MEMORY_MISSING : GRAPH_MEMORY_READABLE;
}

void graph_memory_expect(const struct graph_memory *memory, uint64_t start, uint64_t end)
{
#ifdef MADV_POPULATE_READ
	const struct run *run = find_run(memory, start);
	if (!run || run->kind != RUN_MAPPED)
		return;
	if (end - run->start > run->size)
		end = run->start + run->size;
	uintptr_t from = (uintptr_t)(run->bytes + (start - run->start)) & ~(uintptr_t)(PAGE - 1);
	uintptr_t to = (uintptr_t)(run->bytes + (end - run->start));
	(void)madvise((void *)from, to - from, MADV_POPULATE_READ);
#endif
}

/** Reads [address, address + size) and sets a bit for each page that could not be; the view's lock is held. */
static uint64_t fetch(const struct graph_memory *memory, const struct run *run, uint64_t address,
		      uint8_t *bytes, size_t size)
{
	uint64_t bad = 0, at = address > run->start ? address : run->start;
	uint64_t end = address + size;
	if (end - run->start > run->size)
		end = run->start + run->size;
	while (at < end) {
		at += view_read_through(memory->view, at, bytes + (at - address),
					(size_t)(end - at));
		if (at >= end)
			break;
		bad |= UINT64_C(1) << ((at - address) / PAGE);
		at = (at / PAGE + 1) * PAGE;
	}
	return bad;
}

/** Good bytes in a row from `offset` on, up to `size`. */
static size_t good_bytes(uint64_t bad, size_t offset, size_t size)
{
	unsigned page = (unsigned)(offset / PAGE);
	uint64_t behind = bad >> page;
	if (!behind)
		return size - offset;
	size_t end = (size_t)(page + (unsigned)__builtin_ctzll(behind)) * PAGE;
	return end > offset ? (end < size ? end : size) - offset : 0;
}

/** What is kept of the block at `address`; NULL when there is no room for it. */
static const uint8_t *kept_block(struct graph_memory *memory, const struct run *run,
				 struct block *block, uint64_t address)
{
	uint8_t *bytes = __atomic_load_n(&block->bytes, __ATOMIC_ACQUIRE);
	if (bytes || __atomic_load_n(&memory->kept, __ATOMIC_RELAXED) + BLOCK > memory->budget)
		return bytes;
	pthread_mutex_lock(&memory->lock);
	bytes = block->bytes;
	if (!bytes && memory->kept + BLOCK <= memory->budget && (bytes = pages_new(BLOCK))) {
		block->bad = fetch(memory, run, address, bytes, BLOCK);
		__atomic_store_n(&memory->kept, memory->kept + BLOCK, __ATOMIC_RELAXED);
		__atomic_store_n(&block->bytes, bytes, __ATOMIC_RELEASE);
	}
	pthread_mutex_unlock(&memory->lock);
	return bytes;
}

static const uint8_t *through_slot(struct graph_reader *reader, const struct run *run,
				   uint64_t address, size_t *available)
{
	struct graph_memory *memory = reader->memory;
	uint64_t start = address & ~(uint64_t)(SLOT - 1);
	struct slot *slot = &reader->slots[start / SLOT % SLOT_COUNT];
	*available = 0;
	if (!reader->slot_memory && !(reader->slot_memory = pages_new(SLOT * SLOT_COUNT)))
		return NULL;
	if (slot->run != run || slot->address != start) {
		slot->bytes = reader->slot_memory + (size_t)(slot - reader->slots) * SLOT;
		pthread_mutex_lock(&memory->lock);
		slot->bad = fetch(memory, run, start, slot->bytes, SLOT);
		pthread_mutex_unlock(&memory->lock);
		slot->address = start;
		slot->run = run;
	}
	*available = good_bytes(slot->bad, (size_t)(address - start), SLOT);
	return slot->bytes + (address - start);
}

static const uint8_t *fetched(struct graph_reader *reader, const struct run *run, uint64_t address,
			      size_t *available)
{
	struct graph_memory *memory = reader->memory;
	uint64_t start = address & ~(uint64_t)(BLOCK - 1);
	struct block *block = NULL;
	const uint8_t *bytes = NULL;
	if (memory->blocks)
		block = &memory->blocks[run->first_block + address / BLOCK - run->start / BLOCK];
	if (block && (bytes = kept_block(memory, run, block, start))) {
		bytes += address - start;
		*available = good_bytes(block->bad, (size_t)(address - start), BLOCK);
	} else {
		bytes = through_slot(reader, run, address, available);
	}
	uint64_t left = run->size - (address - run->start);
	if (*available > left)
		*available = (size_t)left;
	return *available ? bytes : NULL;
}

const uint8_t *graph_reader_at(void *context, uint64_t address, size_t *available)
{
	struct graph_reader *reader = context;
	const struct run *run = reader->last;
	if (!run || address - run->start >= run->size) {
		run = find_run(reader->memory, address);
		if (!run) {
			*available = 0;
			return NULL;
		}
		reader->last = run;
	}
	uint64_t offset = address - run->start;
	*available = (size_t)(run->size - offset);
	switch (run->kind) {
	case RUN_MAPPED:
		return run->bytes + offset;
	case RUN_ZERO:
		if (*available > ZEROS)
			*available = ZEROS;
		return zeros;
	case RUN_FETCHED:
		return fetched(reader, run, address, available);
	case RUN_MISSING:
		break;
	}
	*available = 0;
	return NULL;
}

void graph_reader_prefetch(struct graph_reader *reader, uint64_t address)
{
	const struct run *run = reader->last;
	if (!run || address - run->start >= run->size)
		run = find_run(reader->memory, address);
	if (run && run->kind == RUN_MAPPED)
		__builtin_prefetch(run->bytes + (address - run->start));
	if (run)
		reader->last = run;
}

bool graph_reader_word(struct graph_reader *reader, uint64_t address, uint64_t *ret)
{
	uint8_t word[8];
	for (size_t done = 0; done < sizeof(word);) {
		size_t available;
		const uint8_t *bytes = graph_reader_at(reader, address + done, &available);
		if (!bytes)
			return false;
		if (available > sizeof(word) - done)
			available = sizeof(word) - done;
		memcpy(word + done, bytes, available);
		done += available;
	}
	memcpy(ret, word, sizeof(*ret));
	return true;
}

struct graph_reader *graph_reader_new(struct graph_memory *memory)
{
	struct graph_reader *reader = calloc(1, sizeof(*reader));
	if (!reader)
		return NULL;
	reader->memory = memory;
	return reader;
}

struct graph_reader *graph_reader_free(struct graph_reader *reader)
{
	if (!reader)
		return NULL;
	pages_free(reader->slot_memory, SLOT * SLOT_COUNT);
	free(reader);
	return NULL;
}

struct lens_memory graph_reader_memory(struct graph_reader *reader)
{
	return (struct lens_memory){.at = graph_reader_at, .reader = reader};
}
