// SPDX-License-Identifier: Apache-2.0
#include "snapshot/store.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/error.h"
#include "view/process_memory.h"
#include "view/view.h"

enum { PIECE = 4 << 20 };

struct strobe_error *store_init(struct store *store)
{
	*store = (struct store){.size = STORE_PAGE}; // the first page is the ELF header's
	store->fd = memfd_create("strobe", MFD_CLOEXEC);
	if (store->fd < 0)
		return error_errno(errno, "memfd_create");
	return ftruncate(store->fd, STORE_PAGE) ? error_errno(errno, "memfd") : NULL;
}

static bool note_extent(struct store *store, uint64_t start, uint64_t end, uint32_t kind)
{
	struct strobe_note_extent extent = {start, end, kind, 0};
	return start >= end || array_push(&store->extents, extent);
}

static bool note_run(struct store *store, uint64_t start, uint64_t end, uint64_t offset)
{
	struct store_run run = {start, end, offset};
	return start >= end || array_push(&store->runs, run);
}

/** Copies data; pages that cannot be read are noted. */
static struct strobe_error *copy_data(struct store *store, const struct lazy_source *source,
				      uint64_t start, uint64_t end)
{
	while (start < end) {
		size_t want = end - start < PIECE ? end - start : PIECE;
		if (ftruncate(store->fd, (off_t)(store->size + want)))
			return error_errno(errno, "room to copy the process's memory");
		uint8_t *piece = mmap(NULL, want, PROT_READ | PROT_WRITE, MAP_SHARED, store->fd,
				      (off_t)store->size);
		if (piece == MAP_FAILED)
			return error_errno(errno, "room to copy the process's memory");
		size_t done = source->read(source->context, start, piece, want);
		munmap(piece, want);
		done &= ~(size_t)(STORE_PAGE - 1);
		bool noted = note_run(store, start, start + done, store->size);
		store->size += done;
		start += done;
		if (done < want) {
			noted = noted && note_extent(store, start, start + STORE_PAGE,
						     STROBE_EXTENT_UNREADABLE);
			start += STORE_PAGE;
		}
		if (!noted)
			return error_no_memory();
	}
	return NULL;
}

struct strobe_error *store_copy(struct store *store, pid_t pid, uint64_t start, uint64_t end,
				bool sparse)
{
	struct strobe_error *error = NULL;
	if (store->memory_pid != pid) {
		store->memory = process_memory_close(store->memory);
		error = process_memory_open(pid, NULL, false, &store->memory);
		store->memory_pid = error ? 0 : pid;
	}
	if (error)
		return error;
	struct lazy_source source = process_memory_source(store->memory);
	while (!error && start < end) {
		const char *why;
		uint64_t limit = process_memory_check(store->memory, start, end, &why);
		struct view_run run = {.end = limit, .kind = VIEW_RUN_DATA};
		if (why)
			run.kind = VIEW_RUN_MISSING;
		else if (sparse && source.run)
			source.run(source.context, start, limit, &run);
		if (run.end <= start || run.end > limit)
			run.end = limit;
		if (run.kind == VIEW_RUN_DATA)
			error = copy_data(store, &source, start, run.end);
		else if (!note_extent(store, start, run.end,
				      run.kind == VIEW_RUN_ZERO	  ? STROBE_EXTENT_ZERO
				      : run.kind == VIEW_RUN_FILE ? STROBE_EXTENT_AS_FILE
								  : STROBE_EXTENT_UNREADABLE))
			error = error_no_memory();
		start = run.end;
	}
	return error;
}

static int order_runs(const void *a, const void *b)
{
	const struct store_run *x = a, *y = b;
	return (x->start > y->start) - (x->start < y->start);
}

static int order_extents(const void *a, const void *b)
{
	const struct strobe_note_extent *x = a, *y = b;
	return (x->start > y->start) - (x->start < y->start);
}

void store_settle(struct store *store)
{
	if (store->runs.count)
		qsort(store->runs.items, store->runs.count, sizeof(struct store_run), order_runs);
	if (store->extents.count)
		qsort(store->extents.items, store->extents.count, sizeof(struct strobe_note_extent),
		      order_extents);
	store->memory = process_memory_close(store->memory);
	store->memory_pid = 0;
}

void store_fini(struct store *store)
{
	process_memory_close(store->memory);
	array_fini(&store->runs);
	array_fini(&store->extents);
	if (store->fd >= 0)
		close(store->fd);
	store->fd = -1;
}
