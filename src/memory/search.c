// SPDX-License-Identifier: Apache-2.0
#include <strobe/memory.h>

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/error.h"
#include "memory/scan.h"
#include "memory/scan_regex.h"
#include "view/view.h"

// Named limits: how much is looked through between two calls of the progress function, how much is
// fetched at once from what is not mapped, and the longest pattern.
enum { STEP_SIZE = 8 << 20, FETCH_SIZE = 1 << 20, PATTERN_SIZE_LIMIT = 65536 };

// From this size on zeros that nobody ever wrote are passed over, but for the bytes at their edges
// that a match may reach.
enum { HOLE_SIZE = 1 << 20, HOLE_EDGE = REGEX_SPAN };

/**
 * A search under way. Invariant: `tail` holds the last bytes, one less than the pattern at most,
 * of the run of touching pieces that ends at `run_end`; matches that lie in it wholly cannot be.
 */
struct walk {
	const struct strobe_view *view;
	const struct strobe_search *search;
	strobe_search_hit hit;
	strobe_search_progress progress;
	void *context;
	uint64_t hits, done, total;
	bool stopped;

	struct scan scan;
	uint8_t *tail; // room for two patterns: the seam is put together behind it
	size_t tail_size;
	uint64_t run_end;
	bool in_run;

	struct scan_regex regex;
	bool finds_zeros; // a match may consist of zeros alone: holes cannot be passed over
	uint8_t *fetched; // FETCH_SIZE bytes
};

// Passes one hit on; false when the search ends with it.
static bool report(struct walk *walk, uint64_t address, uint64_t size)
{
	walk->hits++;
	if (!walk->hit(walk->context, address, size) ||
	    (walk->search->limit && walk->hits >= walk->search->limit))
		walk->stopped = true;
	return !walk->stopped;
}

static bool regex_hit(void *context, uint64_t address, uint64_t size)
{
	struct walk *walk = context;
	uint64_t alignment = walk->search->alignment;
	if (alignment > 1 && address % alignment)
		return true;
	return report(walk, address, size);
}

// Matches that begin before `address` and reach into the piece that begins there.
static bool scan_seam(struct walk *walk, const uint8_t *bytes, size_t size, uint64_t address)
{
	size_t length = walk->scan.size - 1;
	size_t head = size < length ? size : length;
	size_t seam = walk->tail_size + head;
	uint64_t start = address - walk->tail_size;
	if (walk->tail_size == 0)
		return true;
	memcpy(walk->tail + walk->tail_size, bytes, head);
	for (size_t at = 0; (at = scan_find(&walk->scan, walk->tail, seam, at, start)) != SIZE_MAX;
	     at++)
		if (!report(walk, start + at, walk->scan.size))
			return false;
	return true;
}

static void keep_tail(struct walk *walk, const uint8_t *bytes, size_t size)
{
	size_t length = walk->scan.size - 1;
	if (size >= length) {
		memcpy(walk->tail, bytes + size - length, length);
		walk->tail_size = length;
		return;
	}
	size_t kept = walk->tail_size < length - size ? walk->tail_size : length - size;
	memmove(walk->tail, walk->tail + walk->tail_size - kept, kept);
	memcpy(walk->tail + kept, bytes, size);
	walk->tail_size = kept + size;
}

static bool scan_piece(struct walk *walk, const uint8_t *bytes, size_t size, uint64_t address)
{
	if (!scan_seam(walk, bytes, size, address))
		return false;
	size_t at = 0;
	while ((at = scan_find(&walk->scan, bytes, size, at, address)) != SIZE_MAX) {
		if (!report(walk, address + at, walk->scan.size))
			return false;
		at++;
	}
	keep_tail(walk, bytes, size);
	return true;
}

static bool end_run(struct walk *walk)
{
	walk->in_run = false;
	walk->tail_size = 0;
	return walk->search->kind != STROBE_SEARCH_REGEX || scan_regex_end_run(&walk->regex);
}

// Asks the kernel to map the pages at once: a fault each costs more than looking through them.
static void populate(const uint8_t *bytes, size_t size)
{
#ifdef MADV_POPULATE_READ
	uintptr_t start = (uintptr_t)bytes & ~(uintptr_t)4095;
	if (size >= 65536)
		(void)madvise((void *)start, (uintptr_t)bytes + size - start, MADV_POPULATE_READ);
#else
	(void)bytes;
	(void)size;
#endif
}

// `size` bytes at `address` that touch what came before or begin a run; in steps.
static bool visit_data(struct walk *walk, const uint8_t *bytes, size_t size, uint64_t address)
{
	if (walk->in_run && walk->run_end != address && !end_run(walk))
		return false;
	walk->in_run = true;
	while (size > 0) {
		size_t step = size < STEP_SIZE ? size : STEP_SIZE;
		if (bytes != walk->fetched)
			populate(bytes, step);
		bool more = walk->search->kind == STROBE_SEARCH_REGEX
				    ? scan_regex_feed(&walk->regex, bytes, step, address)
				    : scan_piece(walk, bytes, step, address);
		walk->done += step;
		if (bytes != walk->fetched)
			view_release(walk->view, bytes, step);
		if (more && walk->progress &&
		    !walk->progress(walk->context, walk->done, walk->total))
			more = false;
		if (!more)
			return false;
		bytes += step;
		address += step;
		size -= step;
	}
	walk->run_end = address;
	return true;
}

// The next hole that is worth passing over from `address` on: its size, and in `*before` how many
// bytes to look through before it (all of them, or fewer when there are many small runs).
static uint64_t next_hole(const struct walk *walk, uint64_t address, uint64_t size,
			  uint64_t *before)
{
	uint64_t at = 0, limit = address + size ? address + size : UINT64_MAX;
	*before = size;
	while (!walk->finds_zeros && address + at < limit && at < STEP_SIZE) {
		struct view_run run;
		view_run_at(walk->view, address + at, limit, &run);
		uint64_t hole = run.end - (address + at);
		if (run.kind == VIEW_RUN_ZERO && hole >= HOLE_SIZE) {
			*before = at;
			return hole;
		}
		at = run.end - address;
	}
	if (address + at < limit && at)
		*before = at;
	return 0;
}

// Looks through `size` bytes of which some may turn out not to be there.
static bool visit_bytes(struct walk *walk, uint64_t address, uint64_t size)
{
	while (size > 0) {
		size_t available = 0;
		const uint8_t *bytes =
			view_stream(walk->view, address, walk->fetched, FETCH_SIZE, &available);
		if (!bytes || available == 0)
			available = 4096 - (address & 4095);
		if (available > size)
			available = (size_t)size;
		if (bytes && !visit_data(walk, bytes, available, address))
			return false;
		address += available;
		size -= available;
	}
	return true;
}

// visit_bytes() for all but the inside of large holes. What is wanted is never all of the
// address space: its size fits.
static bool visit_stretch(struct walk *walk, uint64_t address, uint64_t last)
{
	uint64_t size = last - address + 1;
	while (size > 0) {
		uint64_t step, hole = next_hole(walk, address, size, &step);
		uint64_t inside = hole ? hole - 2 * HOLE_EDGE : 0;
		if (hole)
			step += HOLE_EDGE;
		if (!visit_bytes(walk, address, step))
			return false;
		walk->done += inside;
		step += inside;
		address += step;
		size -= step;
	}
	return true;
}

static bool wanted(const struct walk *walk, const struct strobe_memory_extent *extent,
		   const struct strobe_mapping *mapping)
{
	unsigned permissions = walk->search->permissions;
	if (extent->state != STROBE_MEMORY_PRESENT &&
	    !(extent->state == STROBE_MEMORY_FILE && walk->search->file_backed))
		return false;
	return permissions == 0 || (mapping && (mapping->permissions & permissions) == permissions);
}

// Last address of the stretch at `address` that is wanted or not as a whole.
static uint64_t stretch_last(const struct walk *walk, uint64_t address, uint64_t last,
			     const struct strobe_memory_extent *extent,
			     const struct strobe_mapping *mapping)
{
	if (extent->end - 1 < last && extent->end - 1 >= address)
		last = extent->end - 1;
	if (walk->search->permissions && mapping && mapping->end - 1 < last)
		last = mapping->end - 1;
	return last;
}

static void visit_all(struct walk *walk, uint64_t start, uint64_t last)
{
	for (uint64_t address = start;;) {
		struct strobe_memory_extent extent;
		strobe_memory_extent(walk->view, address, &extent);
		const struct strobe_mapping *mapping = NULL;
		if (walk->search->permissions)
			mapping = strobe_view_mapping_at(walk->view, address);
		uint64_t end = stretch_last(walk, address, last, &extent, mapping);
		if (wanted(walk, &extent, mapping) && !visit_stretch(walk, address, end))
			return;
		if (end >= last)
			break;
		address = end + 1;
	}
	if (walk->in_run)
		(void)end_run(walk);
}

// What will be looked through, for the progress; mappings that are partly in range count whole.
static uint64_t total_bytes(const struct walk *walk, uint64_t start, uint64_t last)
{
	uint64_t total = 0;
	for (size_t i = 0; i < strobe_view_mapping_count(walk->view); i++) {
		const struct strobe_mapping *mapping = strobe_view_mapping(walk->view, i);
		unsigned permissions = walk->search->permissions;
		if (mapping->start <= last && mapping->end - 1 >= start &&
		    (mapping->permissions & permissions) == permissions)
			total += walk->search->file_backed ? mapping->end - mapping->start
							   : mapping->present_bytes;
	}
	return total;
}

static struct strobe_error *check(const struct strobe_search *search)
{
	if (!search->pattern || search->pattern_size == 0)
		return error_new(STROBE_ERROR_INVALID, "the pattern is empty");
	if (search->pattern_size > PATTERN_SIZE_LIMIT)
		return error_new(STROBE_ERROR_INVALID, "the pattern is longer than %d bytes",
				 PATTERN_SIZE_LIMIT);
	if (search->kind != STROBE_SEARCH_BYTES && search->kind != STROBE_SEARCH_REGEX)
		return error_new(STROBE_ERROR_INVALID, "no such kind of search");
	if (search->kind == STROBE_SEARCH_REGEX && search->mask)
		return error_new(STROBE_ERROR_INVALID, "a regular expression takes no mask");
	if (search->end && search->end <= search->start)
		return error_new(STROBE_ERROR_INVALID, "the range is empty");
	return NULL;
}

static bool count_hit(void *context, uint64_t address, uint64_t size)
{
	*(bool *)context = true;
	return false;
}

// Would the search find something where there is nothing but zeros?
static struct strobe_error *try_zeros(struct walk *walk)
{
	static const uint8_t zeros[HOLE_EDGE];
	struct scan_regex regex;
	if (walk->search->kind != STROBE_SEARCH_REGEX) {
		walk->finds_zeros = memcmp(walk->scan.pattern, zeros, walk->scan.size) == 0;
		return NULL;
	}
	struct strobe_error *error =
		scan_regex_init(&regex, walk->search, count_hit, &walk->finds_zeros);
	if (error)
		return error;
	if (scan_regex_feed(&regex, zeros, sizeof(zeros), 0))
		(void)scan_regex_end_run(&regex);
	scan_regex_fini(&regex);
	return NULL;
}

static struct strobe_error *walk_init(struct walk *walk)
{
	const struct strobe_search *search = walk->search;
	walk->fetched = malloc(FETCH_SIZE);
	if (!walk->fetched)
		return error_no_memory();
	if (search->kind == STROBE_SEARCH_REGEX)
		return scan_regex_init(&walk->regex, search, regex_hit, walk);
	walk->tail = malloc(2 * search->pattern_size);
	if (!walk->tail || !scan_init(&walk->scan, search->pattern, search->mask,
				      search->pattern_size, search->ignore_case, search->alignment))
		return error_no_memory();
	return NULL;
}

static void walk_fini(struct walk *walk)
{
	scan_fini(&walk->scan);
	scan_regex_fini(&walk->regex);
	free(walk->tail);
	free(walk->fetched);
}

struct strobe_error *strobe_memory_search(const struct strobe_view *view,
					  const struct strobe_search *search, strobe_search_hit hit,
					  strobe_search_progress progress, void *context)
{
	struct strobe_error *error = check(search);
	if (error)
		return error;
	struct walk walk = {.view = view,
			    .search = search,
			    .hit = hit,
			    .progress = progress,
			    .context = context};
	uint64_t last = search->end ? search->end - 1 : UINT64_MAX;
	error = walk_init(&walk);
	if (!error)
		error = try_zeros(&walk);
	if (!error) {
		walk.total = total_bytes(&walk, search->start, last);
		visit_all(&walk, search->start, last);
		if (walk.regex.gave_up)
			view_warn(view, "search: the regular expression is too costly in places; "
					"hits may be missing");
	}
	walk_fini(&walk);
	return error;
}
