// SPDX-License-Identifier: Apache-2.0
#include "view/overlay.h"

#include <inttypes.h>
#include <string.h>

#include "base/error.h"
#include "elf/elf_image.h"
#include "view/build.h"
#include "view/view.h"

struct strobe_error *overlay_get(struct strobe_view *view, struct overlay **ret)
{
	if (!view->overlay) {
		view->overlay = calloc(1, sizeof(*view->overlay));
		if (!view->overlay)
			return error_no_memory();
		view->overlay->file = -1;
	}
	*ret = view->overlay;
	return NULL;
}

void overlay_free(struct strobe_view *view)
{
	struct overlay *overlay = view->overlay;
	if (!overlay)
		return;
	overlay_file_close(view);
	for (size_t i = 0; i < overlay->entries.count; i++)
		free(overlay->entries.items[i].bytes);
	for (size_t i = 0; i < view->threads.count && overlay->threads; i++)
		register_copy_fini(&overlay->threads[i].copy);
	free(overlay->threads);
	array_fini(&overlay->entries);
	overlay_pages_fini(&overlay->pages);
	free(overlay);
	view->overlay = NULL;
}

static uint8_t *new_bytes(const struct overlay_entry *entry)
{
	return entry->bytes;
}

static uint8_t *old_bytes(const struct overlay_entry *entry)
{
	return entry->bytes + entry->size;
}

static uint8_t *old_known(const struct overlay_entry *entry)
{
	return entry->bytes + 2 * entry->size;
}

/** Is all of it mapped? Also sums up what the mappings allow. */
static struct strobe_error *check_range(const struct strobe_view *view, struct overlay_entry *entry)
{
	uint64_t last = entry->address + (entry->size - 1), end;
	for (uint64_t at = entry->address;; at = end) {
		const struct strobe_mapping *mapping = strobe_view_mapping_at(view, at);
		end = mapping ? mapping->end : 0;
		if (!mapping) { // the source may hold more than it lists
			if (!view_is_mapped(view, at, &end))
				return error_address(STROBE_ERROR_UNREADABLE, at,
						     "0x%" PRIx64 ": not mapped", at);
		} else {
			if (!(mapping->permissions & STROBE_PERMISSION_WRITE))
				entry->read_only = true;
			if (mapping->permissions & STROBE_PERMISSION_EXECUTE)
				entry->executable = true;
		}
		if (end == 0 || end - 1 >= last)
			return NULL;
	}
}

/** What was there, and whether it was known. */
static void read_old(const struct strobe_view *view, struct overlay_entry *entry)
{
	uint8_t *old = old_bytes(entry), *known = old_known(entry);
	entry->all_known = true;
	for (size_t done = 0; done < entry->size;) {
		uint64_t at = entry->address + done, end;
		size_t size = strobe_memory_read(view, at, old + done, entry->size - done);
		memset(known + done, 1, size);
		done += size;
		if (done == entry->size)
			break;
		struct strobe_memory_extent extent; // of what cannot be read
		strobe_memory_extent(view, entry->address + done, &extent);
		end = extent.end - (entry->address + done);
		size = end < entry->size - done ? (size_t)end : entry->size - done;
		memset(old + done, 0, size);
		memset(known + done, 0, size);
		done += size;
		entry->all_known = false;
	}
}

/** What the view's own memory gives for a new page. */
static void fill_page(const struct strobe_view *view, struct overlay_page *page)
{
	for (size_t offset = 0; offset < OVERLAY_PAGE_SIZE;) {
		uint64_t at = page->address + offset, end;
		size_t left = OVERLAY_PAGE_SIZE - offset;
		size_t size = view_own_read(view, at, page->bytes + offset, left);
		if (size) {
			overlay_page_mark(page, offset, size, true);
		} else {
			(void)view_is_mapped(view, at, &end);
			size = end - at < left ? (size_t)(end - at) : left;
		}
		offset += size;
	}
}

/** Calls for the part of each page that an entry touches. */
struct page_part {
	uint64_t page;	     // its address
	size_t offset, size; // in it
	size_t done;	     // bytes of the entry before it
};
static bool next_part(const struct overlay_entry *entry, struct page_part *part)
{
	part->done += part->size;
	if (part->done >= entry->size)
		return false;
	uint64_t address = entry->address + part->done;
	part->offset = (size_t)(address % OVERLAY_PAGE_SIZE);
	part->page = address - part->offset;
	part->size = OVERLAY_PAGE_SIZE - part->offset;
	if (part->size > entry->size - part->done)
		part->size = entry->size - part->done;
	return true;
}

static void drop_unused_pages(struct overlay *overlay, const struct overlay_entry *entry)
{
	for (struct page_part part = {0}; next_part(entry, &part);) {
		struct overlay_page *page = overlay_pages_from(&overlay->pages, part.page);
		if (page && page->address == part.page && page->writes == 0)
			overlay_pages_remove(&overlay->pages, part.page);
	}
}

/** Pages for all of the entry. On failure the overlay is as it was. */
static struct strobe_error *make_pages(const struct strobe_view *view, struct overlay *overlay,
				       const struct overlay_entry *entry)
{
	for (struct page_part part = {0}; next_part(entry, &part);) {
		struct overlay_page *page = overlay_pages_get(&overlay->pages, part.page);
		if (page && page->writes == 0)
			fill_page(view, page);
		if (page && overlay->pages.count <= OVERLAY_MAX_PAGES)
			continue;
		drop_unused_pages(overlay, entry);
		return page ? error_new(STROBE_ERROR_LIMIT,
					"writes to more than %d pages of one view",
					OVERLAY_MAX_PAGES)
			    : error_no_memory();
	}
	return NULL;
}

static void apply_memory(struct overlay *overlay, const struct overlay_entry *entry)
{
	for (struct page_part part = {0}; next_part(entry, &part);) {
		struct overlay_page *page = overlay_pages_from(&overlay->pages, part.page);
		memcpy(page->bytes + part.offset, new_bytes(entry) + part.done, part.size);
		overlay_page_mark(page, part.offset, part.size, true);
		page->writes++;
	}
}

static void undo_memory(struct overlay *overlay, const struct overlay_entry *entry)
{
	for (struct page_part part = {0}; next_part(entry, &part);) {
		struct overlay_page *page = overlay_pages_from(&overlay->pages, part.page);
		memcpy(page->bytes + part.offset, old_bytes(entry) + part.done, part.size);
		for (size_t i = 0; i < part.size && !entry->all_known; i++)
			if (!old_known(entry)[part.done + i])
				overlay_page_mark(page, part.offset + i, 1, false);
		if (--page->writes == 0)
			overlay_pages_remove(&overlay->pages, part.page);
	}
}

/** Puts an entry on the journal, and in the file; it is the overlay's then. */
static struct strobe_error *push(struct strobe_view *view, struct overlay_entry *entry)
{
	struct overlay *overlay = view->overlay;
	if (!array_reserve(&overlay->entries, overlay->entries.count + 1))
		return error_no_memory();
	struct strobe_error *error = overlay->file >= 0 ? overlay_file_append(view, entry) : NULL;
	if (!error)
		(void)array_push(&overlay->entries, *entry);
	return error;
}

static struct strobe_error *write_entry(struct strobe_view *view, struct overlay_entry *entry,
					const void *bytes)
{
	struct overlay *overlay = NULL;
	struct strobe_error *error = check_range(view, entry);
	if (!error)
		error = overlay_get(view, &overlay);
	if (error)
		return error;
	entry->bytes = malloc(3 * entry->size);
	if (!entry->bytes)
		return error_no_memory();
	memcpy(new_bytes(entry), bytes, entry->size);
	read_old(view, entry);
	if (entry->all_known) { // the usual case does without the third part
		uint8_t *smaller = realloc(entry->bytes, 2 * entry->size);
		entry->bytes = smaller ? smaller : entry->bytes;
	}
	error = make_pages(view, overlay, entry);
	if (error)
		return error;
	error = push(view, entry);
	if (error)
		drop_unused_pages(overlay, entry);
	else
		apply_memory(overlay, entry);
	return error;
}

struct strobe_error *strobe_overlay_write(struct strobe_view *view, uint64_t address,
					  const void *bytes, size_t size)
{
	struct overlay_entry entry = {
		.kind = STROBE_OVERLAY_MEMORY, .address = address, .size = size};
	if (size == 0)
		return error_new(STROBE_ERROR_INVALID, "nothing to write");
	if (size - 1 > UINT64_MAX - address)
		return error_new(STROBE_ERROR_INVALID, "0x%" PRIx64 ": past the top of memory",
				 address);
	if (size > OVERLAY_MAX_WRITE)
		return error_new(STROBE_ERROR_LIMIT, "more than %d MiB in one write",
				 OVERLAY_MAX_WRITE >> 20);
	struct strobe_error *error = write_entry(view, &entry, bytes);
	if (error)
		free(entry.bytes);
	return error;
}

/** What strobe_thread tells of the registers. */
static void refresh_thread(struct strobe_view *view, size_t thread_index)
{
	struct strobe_thread *thread = &view->threads.items[thread_index];
	const uint8_t *general = view->registers.items[thread_index].general;
	if (!thread->has_registers || !general)
		return;
	thread->pc = elf_number(general + USER_RIP, 8);
	thread->sp = elf_number(general + USER_RSP, 8);
}

static struct strobe_error *own_registers(struct strobe_view *view, size_t thread_index)
{
	struct overlay *overlay = view->overlay;
	if (!overlay->threads) {
		overlay->threads = calloc(view->threads.count, sizeof(*overlay->threads));
		if (!overlay->threads)
			return error_no_memory();
	}
	struct overlay_thread *thread = &overlay->threads[thread_index];
	if (thread->writes)
		return NULL;
	register_copy_fini(&thread->copy);
	thread->original = view->registers.items[thread_index];
	return register_copy_init(&thread->copy, &thread->original) ? NULL : error_no_memory();
}

static struct strobe_error *set_entry(struct strobe_view *view, struct overlay_entry *entry,
				      const void *bytes)
{
	struct overlay *overlay = NULL;
	struct strobe_error *error = overlay_get(view, &overlay);
	if (!error)
		error = own_registers(view, entry->thread_index);
	if (error)
		return error;
	struct overlay_thread *thread = &overlay->threads[entry->thread_index];
	const uint8_t *old = register_fetch(&thread->copy.blocks, entry->spec, view->scratch);
	if (!old)
		return error_new(STROBE_ERROR_NOT_FOUND, "thread %d: %s was not recorded",
				 view->threads.items[entry->thread_index].tid, entry->spec->name);
	entry->bytes = malloc(2 * entry->size);
	if (!entry->bytes)
		return error_no_memory();
	memcpy(new_bytes(entry), bytes, entry->size);
	memcpy(old_bytes(entry), old, entry->size);
	entry->present = register_present(&thread->copy);
	error = push(view, entry);
	if (error)
		return error;
	register_store(&thread->copy, entry->spec, bytes);
	if (thread->writes++ == 0)
		view->registers.items[entry->thread_index] = thread->copy.blocks;
	refresh_thread(view, entry->thread_index);
	return NULL;
}

struct strobe_error *strobe_overlay_set_register(struct strobe_view *view, size_t thread_index,
						 const char *name, const void *bytes, size_t size)
{
	const struct register_spec *spec = register_find(name);
	if (thread_index >= view->threads.count)
		return error_new(STROBE_ERROR_NOT_FOUND, "no such thread");
	if (!spec)
		return error_new(STROBE_ERROR_NOT_FOUND, "no register '%s'", name);
	if (size != spec->size)
		return error_new(STROBE_ERROR_INVALID, "%s has %u bytes, not %zu", name, spec->size,
				 size);
	if (!register_fits(spec, bytes))
		return error_new(STROBE_ERROR_INVALID, "%s cannot hold this value", name);
	struct overlay_entry entry = {.kind = STROBE_OVERLAY_REGISTER,
				      .all_known = true,
				      .size = size,
				      .thread_index = thread_index,
				      .spec = spec};
	struct strobe_error *error = set_entry(view, &entry, bytes);
	if (error)
		free(entry.bytes);
	return error;
}

static void undo_register(struct strobe_view *view, const struct overlay_entry *entry)
{
	struct overlay_thread *thread = &view->overlay->threads[entry->thread_index];
	register_store(&thread->copy, entry->spec, old_bytes(entry));
	register_set_present(&thread->copy, entry->present);
	if (--thread->writes == 0) {
		view->registers.items[entry->thread_index] = thread->original;
		register_copy_fini(&thread->copy);
	}
	refresh_thread(view, entry->thread_index);
}

size_t strobe_overlay_count(const struct strobe_view *view)
{
	return view->overlay ? view->overlay->entries.count : 0;
}

bool strobe_overlay_entry(const struct strobe_view *view, size_t index,
			  struct strobe_overlay_entry *ret)
{
	if (index >= strobe_overlay_count(view))
		return false;
	const struct overlay_entry *entry = &view->overlay->entries.items[index];
	bool memory = entry->kind == STROBE_OVERLAY_MEMORY;
	*ret = (struct strobe_overlay_entry){
		.kind = entry->kind,
		.address = entry->address,
		.size_bytes = entry->size,
		.old_bytes = old_bytes(entry),
		.new_bytes = new_bytes(entry),
		.old_known = entry->all_known ? NULL : old_known(entry),
		.read_only = entry->read_only,
		.executable = entry->executable,
		.tid = memory ? 0 : view->threads.items[entry->thread_index].tid,
		.register_name = memory ? NULL : entry->spec->name,
	};
	return true;
}

struct strobe_error *strobe_overlay_undo(struct strobe_view *view, size_t count)
{
	struct overlay *overlay = view->overlay;
	if (!overlay)
		return NULL;
	size_t all = overlay->entries.count, left = count < all ? all - count : 0;
	if (overlay->file >= 0) {
		struct strobe_error *error = overlay_file_cut(view, left);
		if (error)
			return error;
	}
	while (overlay->entries.count > left) {
		struct overlay_entry *entry = &overlay->entries.items[--overlay->entries.count];
		if (entry->kind == STROBE_OVERLAY_MEMORY)
			undo_memory(overlay, entry);
		else
			undo_register(view, entry);
		free(entry->bytes);
	}
	return NULL;
}

const uint8_t *overlay_run(const struct strobe_view *view, uint64_t address, uint64_t *end)
{
	return overlay_pages_run(&view->overlay->pages, address, end);
}

bool view_is_written(const struct strobe_view *view, uint64_t address, uint64_t *end)
{
	const struct overlay_page *page =
		view->overlay ? overlay_pages_from(&view->overlay->pages, address) : NULL;
	bool written = page && page->address <= address;
	*end = page ? page->address + (written ? OVERLAY_PAGE_SIZE : 0) : 0;
	return written;
}

bool view_overlay_registers(const struct strobe_view *view, size_t thread_index,
			    struct register_blocks *ret)
{
	const struct overlay *overlay = view->overlay;
	*ret = (struct register_blocks){0};
	if (thread_index >= view->registers.count)
		return false;
	*ret = view->registers.items[thread_index];
	return overlay && overlay->threads && overlay->threads[thread_index].writes > 0;
}
