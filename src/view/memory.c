// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "elf/elf_image.h"
#include "view/build.h"
#include "view/view.h"

enum { HOST_PAGE = 4096 };

/** A stretch in one piece: one state, and where its bytes are. */
struct piece {
	uint64_t end; // 0 = 2^64
	enum strobe_memory_state state;
	const uint8_t *bytes;
	const char *why;
};

/** Index of the first mapping that ends after `address`. */
static size_t mapping_from(const struct strobe_view *view, uint64_t address)
{
	const struct strobe_mapping *items = view->mappings.items;
	size_t count = view->mappings.count, last = view->last_mapping;
	if (last < count && items[last].start <= address && address < items[last].end)
		return last;
	size_t low = 0, high = count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (items[middle].end <= address)
			low = middle + 1;
		else
			high = middle;
	}
	((struct strobe_view *)view)->last_mapping = low; // a cache
	return low;
}

size_t view_mapping_index(const struct strobe_view *view, uint64_t address)
{
	size_t index = mapping_from(view, address);
	if (index < view->mappings.count && view->mappings.items[index].start <= address)
		return index;
	return SIZE_MAX;
}

/** The segment that holds `address`; NULL if none. */
static const struct segment *segment_at(const struct strobe_view *view, uint64_t address)
{
	size_t index = view_segment_before(view, address);
	const struct segment *segment = index == SIZE_MAX ? NULL : &view->segments.items[index];
	return segment && address < segment->end ? segment : NULL;
}

static const uint8_t *source_pointer(const struct strobe_view *view, uint64_t address, bool keep,
				     size_t *available)
{
	const struct segment *segment = segment_at(view, address);
	const uint8_t *bytes;
	*available = 0;
	if (!segment || (!segment->data && !segment->lazy))
		return NULL;
	if (segment->lazy) {
		bytes = lazy_pointer(segment->lazy, address, keep, available);
		if (*available > segment->end - address)
			*available = segment->end - address;
		return bytes;
	}
	*available = segment->end - address;
	bytes = segment->data + (address - segment->start);
	// Which pages are mapped is no part of what the view says.
	view_touched((struct strobe_view *)view, bytes, 1);
	return bytes;
}

const uint8_t *view_source_pointer(const struct strobe_view *view, uint64_t address,
				   size_t *available)
{
	return source_pointer(view, address, true, available);
}

/**
 * Private writable pages that the source leaves out are as in the file only if changed ones would
 * have been written; else nobody knows. `*end` is cut where the answer changes.
 */
static bool may_have_changed(const struct strobe_view *view, size_t mapping_index, uint64_t address,
			     uint64_t *end)
{
	const struct strobe_mapping *mapping = &view->mappings.items[mapping_index];
	if (view->anonymous_dumped)
		return false;
	if (mapping->permissions & STROBE_PERMISSION_WRITE)
		return true;
	if (mapping->module_index == SIZE_MAX)
		return false;
	// Read-only after relocation: mapped without write permission now, but written to before.
	const struct module_state *state = &view->module_states.items[mapping->module_index];
	uint64_t bias = view->modules.items[mapping->module_index].bias;
	for (size_t i = 0; i < state->segment_count; i++) {
		if (!(state->segments[i].p_flags & PF_W))
			continue;
		uint64_t from = (state->segments[i].p_vaddr + bias) & ~(uint64_t)(HOST_PAGE - 1);
		uint64_t to = state->segments[i].p_vaddr + state->segments[i].p_memsz + bias;
		if (from <= address && address < to) {
			if (to < *end)
				*end = to;
			return true;
		}
		if (address < from && from < *end)
			*end = from;
	}
	return false;
}

/** Why the source does not have it, beginning with what is not in a file. */
static const char *reason(const struct strobe_view *view, unsigned extent, bool has_file)
{
	if (view->not_held)
		return view->not_held;
	if (extent == STROBE_EXTENT_LEFT_OUT)
		return has_file ? "left out of the snapshot, and may differ from its file"
				: "left out of the snapshot";
	return has_file ? "not captured, and may differ from its file" : "not captured";
}

/** What the mapped file gives for [address, piece->end) of a mapping. */
static void look_into_file(const struct strobe_view *view, size_t mapping_index, uint64_t address,
			   bool ask_servers, struct piece *piece)
{
	const struct strobe_mapping *mapping = &view->mappings.items[mapping_index];
	size_t index = view->mapping_states.items[mapping_index].backing;
	unsigned extent = view_facts_extent_kind(&view->facts, address, &piece->end);
	piece->state = STROBE_MEMORY_MISSING;
	if (index == SIZE_MAX) {
		piece->why = reason(view, extent, false);
		return;
	}
	if (extent != STROBE_EXTENT_AS_FILE &&
	    may_have_changed(view, mapping_index, address, &piece->end)) {
		piece->why = reason(view, extent, true);
		return;
	}
	// Opening a file at first use does not change what the view says.
	struct file *file = view_backing_file((struct strobe_view *)view, index, ask_servers);
	if (!file) {
		piece->why = view->backings.items[index].problem;
		return;
	}
	// A page that the file ends in is filled up with zeros, in the process as in our mapping.
	uint64_t limit = (file->size + HOST_PAGE - 1) & ~(uint64_t)(HOST_PAGE - 1);
	uint64_t offset = mapping->offset_bytes + (address - mapping->start);
	if (offset < mapping->offset_bytes || offset >= limit || !file->data) {
		piece->why = "beyond the end of its file";
		return;
	}
	if (piece->end - address > limit - offset)
		piece->end = address + (limit - offset);
	piece->state = STROBE_MEMORY_FILE;
	piece->bytes = file->data + offset;
}

/** Memory that is fetched counts as there until fetching it failed. */
static void look_into_area(const struct segment *segment, uint64_t address, struct piece *piece)
{
	uint64_t change;
	bool bad = lazy_is_bad(segment->lazy, address, &change);
	if (change < piece->end)
		piece->end = change;
	piece->state = bad ? STROBE_MEMORY_MISSING : STROBE_MEMORY_PRESENT;
	piece->why = bad ? "could not be read" : NULL;
}

/** piece_at() without what was written on top. */
static void own_piece_at(const struct strobe_view *view, uint64_t address, bool ask_servers,
			 struct piece *piece)
{
	size_t index = view_segment_before(view, address);
	*piece = (struct piece){.state = STROBE_MEMORY_UNMAPPED, .why = "not mapped"};
	if (view->not_held)
		*piece = (struct piece){.state = STROBE_MEMORY_MISSING, .why = view->not_held};
	if (index != SIZE_MAX && address < view->segments.items[index].end) {
		const struct segment *segment = &view->segments.items[index];
		piece->end = segment->end;
		if (segment->lazy) {
			look_into_area(segment, address, piece);
			return;
		}
		piece->state = segment->data ? STROBE_MEMORY_PRESENT : STROBE_MEMORY_MISSING;
		piece->bytes = segment->data ? segment->data + (address - segment->start) : NULL;
		piece->why = segment->data ? NULL : segment->why;
		return;
	}
	size_t next = index == SIZE_MAX ? 0 : index + 1;
	uint64_t limit = next < view->segments.count ? view->segments.items[next].start : 0;
	size_t mapping = mapping_from(view, address);
	if (mapping == view->mappings.count)
		return;
	if (view->mappings.items[mapping].start > address) {
		piece->end = view->mappings.items[mapping].start;
		return;
	}
	piece->end = view->mappings.items[mapping].end;
	if (limit && limit < piece->end)
		piece->end = limit;
	look_into_file(view, mapping, address, ask_servers, piece);
	if (piece->state == STROBE_MEMORY_MISSING && !piece->why)
		piece->why = "not captured";
}

/** What was written on top at `address`, NULL where the view's own holds; up to `*end` at least
 *  (0 = 2^64). */
static const uint8_t *written_at(const struct strobe_view *view, uint64_t address, uint64_t *end)
{
	*end = 0;
	return view->overlay ? overlay_run(view, address, end) : NULL;
}

static void piece_at(const struct strobe_view *view, uint64_t address, bool ask_servers,
		     struct piece *piece)
{
	uint64_t end;
	const uint8_t *written = written_at(view, address, &end);
	if (written) {
		*piece = (struct piece){end, STROBE_MEMORY_PRESENT, written, NULL};
		return;
	}
	own_piece_at(view, address, ask_servers, piece);
	if (piece->end - 1 > end - 1) // 0 is 2^64
		piece->end = end;
}

bool view_is_mapped(const struct strobe_view *view, uint64_t address, uint64_t *end)
{
	struct piece piece;
	own_piece_at(view, address, true, &piece);
	*end = piece.end;
	return piece.state != STROBE_MEMORY_UNMAPPED;
}

static const uint8_t *own_pointer(const struct strobe_view *view, uint64_t address, bool keep,
				  size_t *available)
{
	const uint8_t *bytes = source_pointer(view, address, keep, available);
	if (bytes)
		return bytes;
	struct piece piece;
	own_piece_at(view, address, true, &piece);
	*available = piece.bytes ? piece.end - address : 0;
	return piece.bytes;
}

const uint8_t *view_pointer(const struct strobe_view *view, uint64_t address, size_t *available)
{
	uint64_t end;
	const uint8_t *bytes = written_at(view, address, &end);
	*available = (size_t)(end - address);
	if (!bytes)
		bytes = own_pointer(view, address, true, available);
	if (*available > end - address)
		*available = (size_t)(end - address);
	return bytes;
}

/** Reads that need not, or cannot, go through the area's own memory. False: not such a one. */
static bool read_directly(const struct strobe_view *view, uint64_t address, void *buffer,
			  size_t size, size_t smallest, size_t *ret)
{
	const struct segment *segment = segment_at(view, address);
	if (!segment || !segment->lazy)
		return false;
	if (size < smallest && !segment->lazy->unreservable)
		return false;
	if (size > segment->end - address)
		size = segment->end - address;
	*ret = lazy_read(segment->lazy, address, buffer, size);
	return true;
}

const uint8_t *view_stream(const struct strobe_view *view, uint64_t address, void *buffer,
			   size_t size, size_t *available)
{
	uint64_t end;
	const uint8_t *bytes = written_at(view, address, &end);
	*available = (size_t)(end - address);
	if (bytes)
		return bytes;
	if (!read_directly(view, address, buffer, size, 0, available))
		bytes = own_pointer(view, address, false, available);
	else if (*available)
		bytes = buffer;
	if (*available > end - address)
		*available = (size_t)(end - address);
	return bytes;
}

static size_t own_read(const struct strobe_view *view, uint64_t address, void *buffer, size_t size,
		       size_t smallest)
{
	size_t available;
	if (read_directly(view, address, buffer, size, smallest, &available))
		return available;
	const uint8_t *bytes = own_pointer(view, address, false, &available);
	if (available > size)
		available = size;
	if (bytes)
		memcpy(buffer, bytes, available);
	view_touched((struct strobe_view *)view, bytes, available);
	return available;
}

size_t view_own_read(const struct strobe_view *view, uint64_t address, void *buffer, size_t size)
{
	return own_read(view, address, buffer, size, LAZY_DIRECT);
}

/** Fetched memory goes straight to the caller from `smallest` bytes on. */
static size_t read_memory(const struct strobe_view *view, uint64_t address, void *buffer,
			  size_t size, size_t smallest)
{
	size_t done = 0;
	while (done < size) {
		uint64_t end, at = address + done;
		size_t part = size - done;
		char *to = (char *)buffer + done;
		const uint8_t *written = written_at(view, at, &end);
		if (part > end - at)
			part = (size_t)(end - at);
		if (written)
			memcpy(to, written, part);
		else
			part = own_read(view, at, to, part, smallest);
		if (!part)
			break;
		done += part;
		if (address + done == 0) // the top of the address space
			break;
	}
	return done;
}

size_t strobe_memory_read(const struct strobe_view *view, uint64_t address, void *buffer,
			  size_t size)
{
	return read_memory(view, address, buffer, size, LAZY_DIRECT);
}

size_t view_read_through(const struct strobe_view *view, uint64_t address, void *buffer,
			 size_t size)
{
	return read_memory(view, address, buffer, size, 0);
}

bool view_read_unsigned(const struct strobe_view *view, uint64_t address, unsigned size_bytes,
			uint64_t *ret)
{
	uint8_t bytes[8];
	if (size_bytes > sizeof(bytes) ||
	    strobe_memory_read(view, address, bytes, size_bytes) != size_bytes)
		return false;
	*ret = elf_number(bytes, size_bytes);
	return true;
}

const char *view_read_string(struct strobe_view *view, uint64_t address, size_t limit)
{
	char buffer[4096];
	if (limit > sizeof(buffer))
		limit = sizeof(buffer);
	size_t size = strobe_memory_read(view, address, buffer, limit);
	size_t length = strnlen(buffer, size);
	return length < size ? arena_copy_string(&view->arena, buffer, length) : NULL;
}

void strobe_memory_extent(const struct strobe_view *view, uint64_t address,
			  struct strobe_memory_extent *ret)
{
	struct piece piece;
	// The first byte at least is as it is said to be.
	const struct segment *segment = segment_at(view, address);
	if (segment && segment->lazy)
		(void)lazy_probe(segment->lazy, address);
	piece_at(view, address, true, &piece);
	*ret = (struct strobe_memory_extent){
		.start = address,
		.end = piece.end,
		.state = piece.state,
		.why = piece.state == STROBE_MEMORY_MISSING || piece.state == STROBE_MEMORY_UNMAPPED
			       ? piece.why
			       : NULL,
	};
	while (ret->end) {
		piece_at(view, ret->end, true, &piece);
		bool same_reason = !ret->why || (piece.why && strcmp(piece.why, ret->why) == 0);
		if (piece.state != ret->state || !same_reason)
			break;
		ret->end = piece.end;
	}
}

void view_count_totals(struct strobe_view *view)
{
	struct strobe_process_info *info = &view->info;
	info->mapped_bytes = info->present_bytes = info->file_bytes = info->missing_bytes = 0;
	for (size_t i = 0; i < view->mappings.count; i++) {
		const struct strobe_mapping *mapping = &view->mappings.items[i];
		info->mapped_bytes += mapping->end - mapping->start;
		struct piece piece;
		for (uint64_t at = mapping->start; at < mapping->end; at = piece.end) {
			own_piece_at(view, at, false, &piece);
			if (piece.end > mapping->end || piece.end == 0)
				piece.end = mapping->end;
			uint64_t size = piece.end - at;
			if (piece.state == STROBE_MEMORY_PRESENT)
				info->present_bytes += size;
			else if (piece.state == STROBE_MEMORY_FILE)
				info->file_bytes += size;
			else
				info->missing_bytes += size;
		}
	}
	view->totals_known = true;
}

/** Where holes of the source's file begin and end: `bytes` stand for [address, limit). */
static void run_in_file(const struct strobe_view *view, const uint8_t *bytes, uint64_t address,
			uint64_t limit, struct view_run *ret)
{
	const struct file *source = view->source;
	uintptr_t start = source ? (uintptr_t)source->data : 0, at = (uintptr_t)bytes;
	*ret = (struct view_run){.end = limit, .kind = VIEW_RUN_DATA};
	if (!source || !source->data || at < start || at - start >= source->size)
		return;
	// The descriptor's position is nobody's: the file is mapped.
	uint64_t offset = at - start;
	off_t hole = lseek(source->fd, (off_t)offset, SEEK_HOLE);
	if (hole < 0)
		return; // a file system that cannot tell
	uint64_t end = (uint64_t)hole;
	if (end == offset) {
		off_t data = lseek(source->fd, hole, SEEK_DATA);
		if (data < 0 && errno != ENXIO)
			return;
		end = data < 0 ? source->size : (uint64_t)data;
		ret->kind = VIEW_RUN_ZERO;
	}
	if (end - offset < limit - address)
		ret->end = address + (end - offset);
}

/** What no segment holds: left out because the file has it, or not there. */
static void run_outside(const struct strobe_view *view, uint64_t address, uint64_t limit,
			struct view_run *ret)
{
	size_t mapping = mapping_from(view, address);
	*ret = (struct view_run){.end = view_next_segment(view, address, limit),
				 .kind = VIEW_RUN_MISSING};
	if (mapping == view->mappings.count)
		return;
	const struct strobe_mapping *found = &view->mappings.items[mapping];
	uint64_t change = found->start > address ? found->start : found->end;
	if (change < ret->end)
		ret->end = change;
	if (found->start > address || view->mapping_states.items[mapping].backing == SIZE_MAX)
		return;
	unsigned extent = view_facts_extent_kind(&view->facts, address, &ret->end);
	if (extent == STROBE_EXTENT_AS_FILE || !may_have_changed(view, mapping, address, &ret->end))
		ret->kind = VIEW_RUN_FILE;
}

void view_run_at(const struct strobe_view *view, uint64_t address, uint64_t limit,
		 struct view_run *ret)
{
	uint64_t end;
	bool written = written_at(view, address, &end) != NULL;
	if (limit - 1 > end - 1) // 0 is 2^64
		limit = end;
	if (written) {
		*ret = (struct view_run){.end = limit, .kind = VIEW_RUN_DATA};
		return;
	}
	const struct segment *segment = segment_at(view, address);
	if (!segment) {
		run_outside(view, address, limit, ret);
		return;
	}
	if (segment->end < limit)
		limit = segment->end;
	if (segment->lazy)
		lazy_run(segment->lazy, address, limit, ret);
	else if (segment->data)
		run_in_file(view, segment->data + (address - segment->start), address, limit, ret);
	else
		*ret = (struct view_run){.end = limit, .kind = VIEW_RUN_MISSING};
}
