// SPDX-License-Identifier: Apache-2.0
#include "snapshot/write_since.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/error.h"
#include "base/hash_page.h"
#include "core/core.h"
#include "snapshot/write_layout.h"
#include "snapshot/write_pages.h"

enum { CHAIN_LIMIT = 10000, WINDOW_SIZE = 64 << 10, START_TIME_FIELD = 22 };

/** A stretch of one snapshot: where its first page's hash is, or why it is not there. */
struct stretch {
	uint64_t start, end;
	uint64_t first; // index in the table
	uint32_t kind;	// LAYOUT_STORED or enum strobe_extent_kind
};

/** One snapshot of the chain. */
struct link {
	struct strobe_view *view;
	char *path;
	ARRAY(struct stretch) stretches; // sorted
	size_t last;			 // where the last look-up ended
	uint64_t window;		 // read last, of the table or of memory: first byte
	size_t window_size;
	uint8_t bytes[WINDOW_SIZE];
};

struct since {
	ARRAY(struct link *) links; // the newest first
};

static void link_free(struct link *link)
{
	if (!link)
		return;
	array_fini(&link->stretches);
	strobe_view_close(link->view);
	free(link->path);
	free(link);
}

struct since *since_free(struct since *since)
{
	if (!since)
		return NULL;
	for (size_t i = 0; i < since->links.count; i++)
		link_free(since->links.items[i]);
	array_fini(&since->links);
	free(since);
	return NULL;
}

/** When the process started, in clock ticks after boot: the 22nd field of /proc/PID/stat, behind a
 *  name that may hold anything. 0 = not told. */
static uint64_t start_time_of(const struct strobe_view *view)
{
	const struct proc_file *file = view_facts_proc_file(&view->facts, "stat");
	const char *at = file ? memrchr(file->bytes, ')', file->size) : NULL;
	unsigned field = 2;
	uint64_t value = 0;
	for (; at && at < file->bytes + file->size; at++) {
		if (*at == ' ')
			field++;
		else if (field == START_TIME_FIELD && *at >= '0' && *at <= '9')
			value = value * 10 + (uint64_t)(*at - '0');
	}
	return value;
}

static int order(const void *a, const void *b)
{
	const struct stretch *x = a, *y = b;
	return x->start < y->start ? -1 : x->start > y->start;
}

/** The pages that the file holds, by its program headers. */
static struct strobe_error *read_stored(struct link *link, const struct elf_image *image)
{
	const struct strobe_note_page_hashes *hashes = &link->view->facts.page_hashes;
	bool hashed = hashes->page_count;
	Elf64_Phdr segment;
	for (uint32_t i = 0; elf_image_segment(image, i, &segment); i++) {
		uint64_t first = (segment.p_offset - hashes->data_offset) / PAGE_SIZE_BYTES;
		uint64_t count = segment.p_filesz / PAGE_SIZE_BYTES;
		if (segment.p_type != PT_LOAD || !count)
			continue;
		if (hashed && (segment.p_offset < hashes->data_offset ||
			       first > hashes->page_count || count > hashes->page_count - first))
			return error_new(STROBE_ERROR_FORMAT,
					 "%s: its page hashes are of other pages", link->path);
		struct stretch stretch = {segment.p_vaddr, segment.p_vaddr + segment.p_filesz,
					  first, LAYOUT_STORED};
		if (!array_push(&link->stretches, stretch))
			return error_no_memory();
	}
	return NULL;
}

static struct strobe_error *read_link(struct link *link)
{
	const struct view_facts *facts = &link->view->facts;
	struct elf_image image;
	const char *why;
	uint8_t *storage;
	bool hashed = facts->page_hashes.page_count;
	// Compressed ones have none: their pages are read.
	if (!facts->captured || (!hashed && !link->view->packed))
		return error_new(STROBE_ERROR_NOT_FOUND,
				 "%s: holds no page hashes: not a snapshot of Strobe's",
				 link->path);
	if (hashed &&
	    (facts->page_hashes.page_size != PAGE_SIZE_BYTES || facts->page_hashes.kind != 1))
		return error_new(STROBE_ERROR_FORMAT, "%s: its page hashes are of an unknown kind",
				 link->path);
	struct strobe_error *error = source_headers(link->view, &image, &why, &storage);
	if (!error && !why)
		error = read_stored(link, &image);
	free(storage);
	for (size_t i = 0; !error && i < facts->extents.count; i++) {
		const struct strobe_note_extent *extent = &facts->extents.items[i];
		struct stretch stretch = {extent->start, extent->end, 0, extent->kind};
		if (!array_push(&link->stretches, stretch))
			error = error_no_memory();
	}
	if (!error && link->stretches.count)
		qsort(link->stretches.items, link->stretches.count, sizeof(struct stretch), order);
	return error;
}

static struct strobe_error *link_open(const char *path, struct link **ret)
{
	struct strobe_view_options options = {.size = sizeof(options), .no_debuginfod = true};
	struct link *link = calloc(1, sizeof(*link));
	struct strobe_error *error = NULL;
	if (!link || !(link->path = strdup(path)))
		error = error_no_memory();
	if (!error)
		error = core_open_file(path, &options, &link->view);
	if (error && strobe_error_errno(error) == ENOENT) {
		strobe_error_free(error);
		error = error_new(STROBE_ERROR_NOT_FOUND, "%s: there is no such snapshot", path);
	}
	if (!error)
		error = read_link(link);
	if (error)
		link_free(link);
	else
		*ret = link;
	return error;
}

/** A parent's path is relative to its child's folder. */
static char *path_of_parent(const struct link *link)
{
	char *path = NULL;
	const char *slash = strrchr(link->path, '/'), *parent = link->view->facts.parent.path;
	if (*parent == '/' || !slash)
		return strdup(parent);
	if (asprintf(&path, "%.*s/%s", (int)(slash - link->path), link->path, parent) < 0)
		return NULL;
	return path;
}

static struct strobe_error *open_chain(struct since *since, const char *path)
{
	struct link *link, *child = NULL;
	struct strobe_error *error = link_open(path, &link);
	while (!error) {
		if (!array_push(&since->links, link)) {
			link_free(link);
			return error_no_memory();
		}
		if (child &&
		    memcmp(child->view->facts.parent.id, link->view->facts.id, STROBE_ID_SIZE) != 0)
			return error_new(STROBE_ERROR_FORMAT,
					 "%s: not the snapshot that %s was made relative to",
					 link->path, child->path);
		if (!link->view->facts.parent.known)
			return NULL;
		if (since->links.count >= CHAIN_LIMIT)
			return error_new(STROBE_ERROR_LIMIT, "%s: more than %d snapshots in a row",
					 link->path, CHAIN_LIMIT);
		child = link;
		char *parent = path_of_parent(child);
		if (!parent)
			return error_no_memory();
		error = link_open(parent, &link);
		free(parent);
	}
	return child ? error_wrap(error, "%s: a snapshot that it needs", child->path) : error;
}

/** Pages of another process are at the same addresses by chance alone. */
static struct strobe_error *check_process(const struct link *link, const struct strobe_view *view)
{
	const struct strobe_process_info *old = &link->view->info, *now = &view->info;
	uint64_t old_start = start_time_of(link->view), start = start_time_of(view);
	if (old->pid > 0 && now->pid > 0 && old->pid != now->pid)
		return error_new(STROBE_ERROR_INVALID, "%s: is of process %d, this is process %d",
				 link->path, old->pid, now->pid);
	if (old_start && start && old_start != start)
		return error_new(STROBE_ERROR_INVALID,
				 "%s: is of an earlier process %d, started %" PRIu64
				 " clock ticks after boot, not %" PRIu64,
				 link->path, old->pid, old_start, start);
	if (old->executable && now->executable && strcmp(old->executable, now->executable) != 0)
		return error_new(STROBE_ERROR_INVALID, "%s: is of %s, this is %s", link->path,
				 old->executable, now->executable);
	return NULL;
}

struct strobe_error *since_open(const char *path, const struct strobe_view *view,
				struct since **ret)
{
	struct since *since = calloc(1, sizeof(*since));
	if (!since)
		return error_no_memory();
	struct strobe_error *error = open_chain(since, path);
	if (!error)
		error = check_process(since->links.items[0], view);
	if (error)
		since_free(since);
	else
		*ret = since;
	return error;
}

static const struct stretch *find_stretch(struct link *link, uint64_t address)
{
	const struct stretch *items = link->stretches.items;
	size_t count = link->stretches.count, last = link->last;
	for (size_t i = last; i < count && i < last + 2; i++)
		if (address >= items[i].start && address < items[i].end)
			return &items[link->last = i];
	size_t low = 0, high = count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (items[middle].end <= address)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == count || items[low].start > address)
		return NULL;
	return &items[link->last = low];
}

/** An entry of the table of hashes; false if it cannot be read. */
static bool read_hash(struct link *link, uint64_t index, uint64_t *ret)
{
	struct strobe_view *view = link->view;
	uint64_t at = view->facts.page_hashes.table_offset + index * sizeof(uint64_t);
	if (index >= view->facts.page_hashes.page_count)
		return false;
	if (!view->packed) {
		*ret = elf_number(view->source->data + at, sizeof(uint64_t));
		view_touched(view, view->source->data + at, sizeof(uint64_t));
		return true;
	}
	if (at < link->window || at + sizeof(uint64_t) > link->window + link->window_size) {
		link->window = at;
		link->window_size =
			view->packed->read(view->packed->context, at, link->bytes, WINDOW_SIZE);
	}
	if (link->window_size < sizeof(uint64_t))
		return false;
	*ret = elf_number(link->bytes + (at - link->window), sizeof(uint64_t));
	return true;
}

/** The hash of a page that a compressed file holds; false if it is damaged. */
static bool read_page(struct link *link, uint64_t address, uint64_t *ret)
{
	if (address < link->window || address >= link->window + link->window_size) {
		link->window = address;
		link->window_size =
			strobe_memory_read(link->view, address, link->bytes, WINDOW_SIZE);
	}
	const uint8_t *page = link->bytes + (address - link->window);
	if (address - link->window + PAGE_SIZE_BYTES > link->window_size)
		return false;
	*ret = page_is_zero(page) ? 0 : page_hash(page, PAGE_SIZE_BYTES);
	return true;
}

bool since_is_equal(struct since *since, uint64_t address, uint64_t hash)
{
	for (size_t i = 0; i < since->links.count; i++) {
		struct link *link = since->links.items[i];
		const struct stretch *stretch = find_stretch(link, address);
		uint64_t there;
		if (!stretch)
			return false;
		if (stretch->kind == STROBE_EXTENT_AS_PARENT)
			continue;
		if (stretch->kind == STROBE_EXTENT_ZERO)
			return hash == 0;
		if (stretch->kind != LAYOUT_STORED)
			return false;
		uint64_t index = stretch->first + (address - stretch->start) / PAGE_SIZE_BYTES;
		if (!link->view->facts.page_hashes.page_count)
			return read_page(link, address, &there) && there == hash;
		return read_hash(link, index, &there) && there == hash;
	}
	return false;
}

const uint8_t *since_id(const struct since *since)
{
	return since->links.items[0]->view->facts.id;
}

/** The real path of the folder that `path` stands or will stand in, with a '/' at its end. */
static char *folder_of(const char *path)
{
	char *whole = realpath(path, NULL), *folder = NULL, *ret = NULL;
	const char *slash = strrchr(whole ? whole : path, '/');
	const char *from = whole ? whole : path;
	if (!slash)
		folder = strdup(".");
	else
		folder = slash == from ? strdup("/") : strndup(from, (size_t)(slash - from));
	char *real = folder ? realpath(folder, NULL) : NULL;
	if (real && asprintf(&ret, "%s%s", real, strcmp(real, "/") == 0 ? "" : "/") < 0)
		ret = NULL;
	free(real);
	free(folder);
	free(whole);
	return ret;
}

char *since_path(const struct since *since, const char *child)
{
	char *path = realpath(since->links.items[0]->path, NULL);
	char *folder = path && child ? folder_of(child) : NULL;
	size_t size = folder ? strlen(folder) : 0;
	char *ret = path;
	if (!path)
		return strdup(since->links.items[0]->path);
	if (size && strncmp(path, folder, size) == 0) {
		ret = strdup(path + size);
		free(path);
	}
	free(folder);
	return ret;
}
