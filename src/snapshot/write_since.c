// SPDX-License-Identifier: Apache-2.0
#include "snapshot/write_since.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/error.h"
#include "base/file.h"
#include "elf/elf_image.h"
#include "snapshot/write_layout.h"
#include "view/build.h"

enum { CHAIN_LIMIT = 10000, PATH_LIMIT = 4096 };

/** A stretch of one snapshot: where its first page's hash is, or why it is not there. */
struct stretch {
	uint64_t start, end;
	uint64_t first; // index in the table
	uint32_t kind;	// LAYOUT_STORED or enum strobe_extent_kind
};

/** One snapshot of the chain. */
struct link {
	struct file *file;
	char *path;
	const uint8_t *table; // of page_count entries
	uint64_t page_count, data_offset;
	uint8_t id[STROBE_ID_SIZE];
	bool has_parent;
	uint8_t parent_id[STROBE_ID_SIZE];
	char *parent;			 // path as it is written
	ARRAY(struct stretch) stretches; // sorted
	size_t last;			 // where the last look-up ended
	int pid;
	uint64_t start_time; // clock ticks after boot; 0 = not told
};

struct since {
	ARRAY(struct link *) links; // the newest first
};

static void link_free(struct link *link)
{
	if (!link)
		return;
	array_fini(&link->stretches);
	free(link->path);
	free(link->parent);
	file_close(link->file);
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

static struct strobe_error *damaged(const struct link *link, const char *what)
{
	return error_new(STROBE_ERROR_FORMAT, "%s: %s", link->path, what);
}

/** The 22nd field of /proc/PID/stat, behind a name that may hold anything. */
static uint64_t start_time_of(const uint8_t *text, size_t size)
{
	const uint8_t *at = memrchr(text, ')', size);
	unsigned field = 2;
	uint64_t value = 0;
	for (size_t i = at ? (size_t)(at - text) : size; i < size; i++) {
		if (text[i] == ' ')
			field++;
		else if (field == 22 && text[i] >= '0' && text[i] <= '9')
			value = value * 10 + (uint64_t)(text[i] - '0');
	}
	return value;
}

/** The contents of a copied file of /proc, if the note is that of `name`. */
static bool is_proc_file(const uint8_t *data, size_t size, const char *name, size_t *start)
{
	*start = strlen(name) + 1;
	return size >= *start && memcmp(data, name, *start) == 0;
}

static struct strobe_error *read_strobe_note(struct link *link, const struct elf_note *note)
{
	struct strobe_note_capture capture;
	struct strobe_note_page_hashes hashes;
	struct strobe_note_extent extent;
	size_t start;
	switch (note->type) {
	case NT_STROBE_CAPTURE:
		if (note->size < sizeof(capture))
			return damaged(link, "its capture note is too short");
		memcpy(&capture, note->data, sizeof(capture));
		memcpy(link->id, capture.id, sizeof(link->id));
		break;
	case NT_STROBE_PROC_FILE:
		if (is_proc_file(note->data, note->size, "stat", &start))
			link->start_time = start_time_of(note->data + start, note->size - start);
		break;
	case NT_STROBE_EXTENTS:
		for (size_t at = 0; at + sizeof(extent) <= note->size; at += sizeof(extent)) {
			memcpy(&extent, note->data + at, sizeof(extent));
			struct stretch stretch = {extent.start, extent.end, 0, extent.kind};
			if (extent.kind != LAYOUT_STORED && extent.start < extent.end &&
			    !array_push(&link->stretches, stretch))
				return error_no_memory();
		}
		break;
	case NT_STROBE_PARENT:
		if (note->size <= STROBE_ID_SIZE || note->data[note->size - 1])
			return damaged(link, "its parent note is too short");
		link->has_parent = true;
		memcpy(link->parent_id, note->data, STROBE_ID_SIZE);
		link->parent = strdup((const char *)note->data + STROBE_ID_SIZE);
		return link->parent ? NULL : error_no_memory();
	case NT_STROBE_PAGE_HASHES:
		if (note->size < sizeof(hashes))
			return damaged(link, "its note on page hashes is too short");
		memcpy(&hashes, note->data, sizeof(hashes));
		if (hashes.page_size != PAGE_SIZE_BYTES || hashes.kind != 1)
			return damaged(link, "its page hashes are of an unknown kind");
		if (hashes.table_offset > link->file->size ||
		    hashes.page_count > (link->file->size - hashes.table_offset) / 8)
			return damaged(link, "its page hashes are cut off");
		link->table = link->file->data + hashes.table_offset;
		link->page_count = hashes.page_count;
		link->data_offset = hashes.data_offset;
		break;
	default:
		break;
	}
	return NULL;
}

static struct strobe_error *read_notes(struct link *link, const Elf64_Phdr *segment)
{
	struct elf_note note;
	struct strobe_error *error = NULL;
	if (segment->p_offset > link->file->size ||
	    segment->p_filesz > link->file->size - segment->p_offset)
		return damaged(link, "its notes are cut off");
	struct elf_note_walk walk = {.data = link->file->data + segment->p_offset,
				     .size = segment->p_filesz,
				     .align = segment->p_align};
	while (!error && elf_note_next(&walk, &note)) {
		if (elf_note_is(&note, STROBE_NOTE_NAME))
			error = read_strobe_note(link, &note);
		else if (elf_note_is(&note, "CORE") && note.type == NT_PRPSINFO && note.size >= 28)
			link->pid = (int)elf_number(note.data + 24, 4);
	}
	return error;
}

static int order(const void *a, const void *b)
{
	const struct stretch *x = a, *y = b;
	return x->start < y->start ? -1 : x->start > y->start;
}

static struct strobe_error *read_link(struct link *link)
{
	struct elf_image image;
	Elf64_Phdr segment;
	const char *why;
	struct strobe_error *error = NULL;
	if (!elf_image_init(&image, link->file->data, link->file->size, &why) ||
	    image.header.e_type != ET_CORE)
		return damaged(link, "not a snapshot");
	for (uint32_t i = 0; !error && elf_image_segment(&image, i, &segment); i++)
		if (segment.p_type == PT_NOTE)
			error = read_notes(link, &segment);
	if (error)
		return error;
	if (!link->table)
		return error_new(STROBE_ERROR_NOT_FOUND,
				 "%s: holds no page hashes: not a snapshot of Strobe's",
				 link->path);
	for (uint32_t i = 0; elf_image_segment(&image, i, &segment); i++) {
		uint64_t first = (segment.p_offset - link->data_offset) / PAGE_SIZE_BYTES;
		uint64_t count = segment.p_filesz / PAGE_SIZE_BYTES;
		if (segment.p_type != PT_LOAD || !count)
			continue;
		if (segment.p_offset < link->data_offset || first > link->page_count ||
		    count > link->page_count - first)
			return damaged(link, "its page hashes are of other pages");
		struct stretch stretch = {segment.p_vaddr, segment.p_vaddr + segment.p_filesz,
					  first, LAYOUT_STORED};
		if (!array_push(&link->stretches, stretch))
			return error_no_memory();
	}
	if (link->stretches.count)
		qsort(link->stretches.items, link->stretches.count, sizeof(struct stretch), order);
	return NULL;
}

static struct strobe_error *link_open(const char *path, struct link **ret)
{
	struct link *link = calloc(1, sizeof(*link));
	struct strobe_error *error = NULL;
	if (!link || !(link->path = strdup(path)))
		error = error_no_memory();
	if (!error)
		error = file_open(path, &link->file);
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
	const char *slash = strrchr(link->path, '/');
	if (*link->parent == '/' || !slash)
		return strdup(link->parent);
	if (asprintf(&path, "%.*s/%s", (int)(slash - link->path), link->path, link->parent) < 0)
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
		if (child && memcmp(child->parent_id, link->id, STROBE_ID_SIZE) != 0)
			return error_new(STROBE_ERROR_FORMAT,
					 "%s: not the snapshot that %s was made relative to",
					 link->path, child->path);
		if (!link->has_parent)
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
	uint64_t start_time = 0;
	size_t start;
	for (size_t i = 0; i < view->notes.count; i++) {
		const struct raw_note *note = &view->notes.items[i];
		if (note->type == NT_STROBE_PROC_FILE && note->name_size &&
		    strncmp(note->name, STROBE_NOTE_NAME, note->name_size) == 0 &&
		    is_proc_file(note->data, note->size, "stat", &start))
			start_time = start_time_of(note->data + start, note->size - start);
	}
	if (link->pid && view->info.pid > 0 && link->pid != view->info.pid)
		return error_new(STROBE_ERROR_INVALID, "%s: is of process %d, this is process %d",
				 link->path, link->pid, view->info.pid);
	if (link->start_time && start_time && link->start_time != start_time)
		return error_new(STROBE_ERROR_INVALID,
				 "%s: is of an earlier process %d, started %" PRIu64
				 " clock ticks after boot, not %" PRIu64,
				 link->path, link->pid, link->start_time, start_time);
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

bool since_is_equal(struct since *since, uint64_t address, uint64_t hash)
{
	for (size_t i = 0; i < since->links.count; i++) {
		struct link *link = since->links.items[i];
		const struct stretch *stretch = find_stretch(link, address);
		if (!stretch)
			return false;
		if (stretch->kind == STROBE_EXTENT_AS_PARENT)
			continue;
		if (stretch->kind == STROBE_EXTENT_ZERO)
			return hash == 0;
		if (stretch->kind != LAYOUT_STORED)
			return false;
		uint64_t index = stretch->first + (address - stretch->start) / PAGE_SIZE_BYTES;
		return index < link->page_count && elf_number(link->table + index * 8, 8) == hash;
	}
	return false;
}

const uint8_t *since_id(const struct since *since)
{
	return since->links.items[0]->id;
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
