// SPDX-License-Identifier: Apache-2.0
#include "snapshot/write_select.h"

#include <elf.h>
#include <stdlib.h>
#include <string.h>
#include <linux/magic.h>
#include <sys/vfs.h>

#include "base/error.h"
#include "base/hash_page.h"
#include "snapshot/write_pages.h"
#include "snapshot/write_runs.h"
#include "snapshot/write_stacks.h"
#include "view/build.h"

enum { PIECE_SIZE = 1 << 20 };

/** What a mapping's pages are, for all of them. */
struct place {
	uint32_t index;
	const struct strobe_mapping *mapping;
	bool kernels;	     // vvar, vsyscall: not the process's
	bool on_disk;	     // its file can be had, and stays
	bool is_elf;	     // begins with an ELF header
	uint64_t start, end; // whole pages
};

struct work {
	const struct selection *selection;
	struct layout *layout;
	const struct stacks *stacks; // NULL unless these alone are wanted
	uint8_t *buffer;	     // PIECE_SIZE bytes, for looking at memory
	uint64_t compared, to_compare;
};

static bool starts_with(const char *text, const char *start)
{
	return strncmp(text, start, strlen(start)) == 0;
}

static bool ends_with(const char *text, const char *end)
{
	size_t size = strlen(text), wanted = strlen(end);
	return size >= wanted && strcmp(text + size - wanted, end) == 0;
}

/** Will the mapped file still be there for who reads the snapshot, on this machine? */
static bool is_on_disk(const struct strobe_view *view, size_t index)
{
	const struct strobe_mapping *mapping = &view->mappings.items[index];
	size_t backing = view->mapping_states.items[index].backing;
	struct statfs system;
	if (!mapping->path || *mapping->path != '/' || backing == SIZE_MAX ||
	    starts_with(mapping->path, "/memfd:") || ends_with(mapping->path, " (deleted)"))
		return false;
	// Opening a file at first use does not change what the view says.
	const struct file *file = view_backing_file((struct strobe_view *)view, backing, false);
	if (!file)
		return false;
	// Shared memory has a name below /dev/shm, but no file that lasts.
	return !(mapping->permissions & STROBE_PERMISSION_SHARED) ||
	       fstatfs(file->fd, &system) != 0 || system.f_type != TMPFS_MAGIC;
}

static void look_at(const struct strobe_view *view, size_t index, struct place *place)
{
	const struct strobe_mapping *mapping = &view->mappings.items[index];
	const char *path = mapping->path ? mapping->path : "";
	uint8_t magic[SELFMAG];
	*place = (struct place){.index = (uint32_t)index, .mapping = mapping};
	place->start = (mapping->start + PAGE_SIZE_BYTES - 1) & ~(uint64_t)(PAGE_SIZE_BYTES - 1);
	place->end = mapping->end & ~(uint64_t)(PAGE_SIZE_BYTES - 1);
	place->kernels = starts_with(path, "[vvar") || starts_with(path, "[vsyscall");
	place->on_disk = is_on_disk(view, index);
	place->is_elf = place->on_disk && mapping->offset_bytes == 0 &&
			strobe_memory_read(view, mapping->start, magic, SELFMAG) == SELFMAG &&
			memcmp(magic, ELFMAG, SELFMAG) == 0;
}

/** Why the source itself does not have what `run` begins with. */
static uint32_t missing_kind(const struct work *work, uint64_t address, struct view_run *run)
{
	unsigned kind = view_facts_extent_kind(&work->selection->view->facts, address, &run->end);
	// A damaged file's extents may end anywhere.
	run->end = (run->end + PAGE_SIZE_BYTES - 1) & ~(uint64_t)(PAGE_SIZE_BYTES - 1);
	return kind == STROBE_EXTENT_LEFT_OUT ? STROBE_EXTENT_LEFT_OUT : STROBE_EXTENT_UNREADABLE;
}

/** What becomes of [at, run->end): a kind of the layout. May shorten the run. */
static uint32_t judge(const struct work *work, const struct place *place, uint64_t at,
		      struct view_run *run)
{
	enum strobe_contents contents = work->selection->contents;
	bool first = place->is_elf && at == place->start;
	bool wanted = !work->stacks || stacks_want(work->stacks, at, &run->end);
	uint64_t change;
	if (view_is_written(work->selection->view, at, &change))
		return LAYOUT_STORED;
	if (run->kind == VIEW_RUN_MISSING)
		return missing_kind(work, at, run);
	if (run->kind == VIEW_RUN_ZERO && run->end - at >= work->selection->zero_limit)
		return STROBE_EXTENT_ZERO;
	if (place->kernels && contents != STROBE_CONTENTS_FULL)
		return STROBE_EXTENT_LEFT_OUT;
	if (first && run->end - at > PAGE_SIZE_BYTES && (!wanted || run->kind == VIEW_RUN_FILE))
		run->end = at + PAGE_SIZE_BYTES;
	if (first) // its build id tells which file the rest is in
		return LAYOUT_STORED;
	bool as_file = run->kind == VIEW_RUN_FILE && place->on_disk;
	if (as_file && contents != STROBE_CONTENTS_FULL)
		return STROBE_EXTENT_AS_FILE;
	return wanted ? LAYOUT_STORED : STROBE_EXTENT_LEFT_OUT;
}

/** Is no page of it readable by the process, or ever touched? Reserved address space. */
static bool is_reserve(const struct place *place, uint64_t at, const struct view_run *run)
{
	return run->kind == VIEW_RUN_ZERO && at == place->start && run->end == place->end &&
	       !(place->mapping->permissions & STROBE_PERMISSION_READ);
}

static struct strobe_error *tell(struct work *work, uint64_t size)
{
	const struct selection *selection = work->selection;
	work->compared += size;
	if (selection->progress &&
	    !selection->progress(selection->context, work->compared, work->to_compare))
		return pages_cancelled();
	return NULL;
}

/** Splits [start, end), which would be stored, into what the earlier snapshot has and the rest. */
static struct strobe_error *compare(struct work *work, const struct place *place, uint64_t start,
				    uint64_t end, bool zero)
{
	struct strobe_error *error = NULL;
	struct since *since = work->selection->since;
	for (uint64_t at = start; !error && at < end;) {
		size_t size = (size_t)(end - at < PIECE_SIZE ? end - at : PIECE_SIZE);
		if (!zero && read_of_pages(work->selection->view, at, work->buffer, size) != size)
			return layout_add(work->layout, place->index, at, end, LAYOUT_STORED);
		for (size_t i = 0; !error && i < size; i += PAGE_SIZE_BYTES) {
			const uint8_t *page = work->buffer + i;
			uint64_t hash =
				zero || page_is_zero(page) ? 0 : page_hash(page, PAGE_SIZE_BYTES);
			bool equal = since_is_equal(since, at + i, hash);
			error = layout_add(work->layout, place->index, at + i,
					   at + i + PAGE_SIZE_BYTES,
					   equal ? STROBE_EXTENT_AS_PARENT : LAYOUT_STORED);
		}
		at += size;
		if (!error && !zero)
			error = tell(work, size);
	}
	return error;
}

/** May pages turn out unreadable that are not missing? Those behind a file's end may. */
static bool is_doubtful(const struct work *work, const struct place *place,
			const struct view_run *run)
{
	const struct strobe_mapping *mapping = place->mapping;
	if (run->kind == VIEW_RUN_FILE)
		return true;
	return run->kind == VIEW_RUN_DATA && work->selection->view->lazy_areas.count &&
	       ((mapping->path && *mapping->path == '/') ||
		mapping->permissions & STROBE_PERMISSION_SHARED);
}

/** Cuts a run to be stored before the first page that cannot be read; false if that is its first
 *  page, which it is cut to. */
static bool probe(struct work *work, uint64_t start, struct view_run *run)
{
	for (uint64_t at = start; at < run->end;) {
		size_t size = (size_t)(run->end - at < PIECE_SIZE ? run->end - at : PIECE_SIZE);
		size_t done = read_of_pages(work->selection->view, at, work->buffer, size);
		at += done & ~(size_t)(PAGE_SIZE_BYTES - 1);
		if (done < size) {
			run->end = at > start ? at : start + PAGE_SIZE_BYTES;
			return at > start;
		}
	}
	return true;
}

static struct strobe_error *select_place(struct work *work, const struct place *place,
					 bool only_count)
{
	struct strobe_error *error = NULL;
	struct view_run run;
	for (uint64_t at = place->start; !error && at < place->end; at = run.end) {
		// Asking on to the mapping's end at each of many pieces would be quadratic.
		uint64_t limit = place->end;
		if (work->stacks)
			stacks_want(work->stacks, at, &limit);
		run_of_pages(work->selection->view, at, limit, &run);
		uint32_t kind = is_reserve(place, at, &run) ? STROBE_EXTENT_ZERO
							    : judge(work, place, at, &run);
		if (kind == LAYOUT_STORED && is_doubtful(work, place, &run) &&
		    !probe(work, at, &run))
			kind = STROBE_EXTENT_UNREADABLE;
		bool store = kind == LAYOUT_STORED;
		if (only_count && store && run.kind != VIEW_RUN_ZERO)
			work->to_compare += run.end - at;
		if (only_count)
			continue;
		if (store && work->selection->since)
			error = compare(work, place, at, run.end, run.kind == VIEW_RUN_ZERO);
		else
			error = layout_add(work->layout, place->index, at, run.end, kind);
	}
	return error;
}

static struct strobe_error *select_all(struct work *work, bool only_count)
{
	const struct strobe_view *view = work->selection->view;
	struct strobe_error *error = NULL;
	for (size_t i = 0; !error && i < view->mappings.count; i++) {
		struct place place;
		look_at(view, i, &place);
		error = select_place(work, &place, only_count);
	}
	return error;
}

struct strobe_error *select_pages(const struct selection *selection, struct layout *layout)
{
	struct work work = {
		.selection = selection,
		.layout = layout,
	};
	struct stacks *stacks = NULL;
	struct strobe_error *error = NULL;
	if (selection->contents == STROBE_CONTENTS_STACKS ||
	    selection->contents == STROBE_CONTENTS_REACHABLE)
		error = stacks_find(selection->view, &stacks);
	if (!error && selection->contents == STROBE_CONTENTS_REACHABLE)
		error = reachable_find(selection->view, &selection->limits, stacks);
	work.stacks = stacks;
	if (!error && !(work.buffer = malloc(PIECE_SIZE)))
		error = error_no_memory();
	if (!error && selection->since)
		error = select_all(&work, true);
	if (!error)
		error = select_all(&work, false);
	free(work.buffer);
	stacks_free(stacks);
	return error;
}
