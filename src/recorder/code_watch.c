// SPDX-License-Identifier: Apache-2.0
#include "recorder/code_watch.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/error.h"
#include "base/file.h"
#include "base/hash_page.h"
#include "elf/elf_image.h"
#include "process/proc.h"
#include "process/tracing.h"
#include "trace/module_view.h"

enum { COPY_LIMIT = 64 << 20, PAGE = 4096, INSTRUCTION_LIMIT = 15 };

uint64_t record_clock(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static size_t read_code(void *context, uint64_t address, void *buffer, size_t size)
{
	const struct code_watch *watch = context;
	return tracing_read(watch->pid, address, buffer, size);
}

/** Stretches that were decoded are not those of the code any more. */
static struct strobe_error *forget(struct code_watch *watch)
{
	watch->stretches.count = 0;
	watch->map = code_map_free(watch->map);
	return code_map_new(NULL, read_code, watch, &watch->map);
}

static size_t read_build_id(const char *path, uint8_t *bytes, size_t limit)
{
	struct file *file;
	struct elf_image image;
	char text[ELF_BUILD_ID_TEXT];
	const char *why;
	size_t size = 0;
	struct strobe_error *error = file_open(path, &file);
	if (error) {
		strobe_error_free(error);
		return 0;
	}
	if (elf_image_init(&image, file->data, file->size, &why) &&
	    elf_image_build_id(&image, text))
		while (size < limit && sscanf(text + 2 * size, "%2hhx", &bytes[size]) == 1)
			size++;
	file_close(file);
	return size;
}

/** True if the file at that path, here, is the one that is mapped. */
static bool is_at_hand(const struct proc_mapping *mapping, const char *path)
{
	struct stat status;
	return *path == '/' && stat(path, &status) == 0 && S_ISREG(status.st_mode) &&
	       status.st_ino == mapping->inode;
}

static struct strobe_error *copy_code(struct code_watch *watch, uint64_t start, uint64_t size,
				      const char *name)
{
	struct recording_code code = {
		.clock = record_clock(), .pid = watch->pid, .start = start, .name = name};
	uint8_t *bytes = malloc(size);
	if (!bytes)
		return error_no_memory();
	code.bytes = bytes;
	code.size = tracing_read(watch->pid, start, bytes, size);
	struct strobe_error *error = code.size ? recording_add_code(watch->writer, &code) : NULL;
	free(bytes);
	return error;
}

static struct strobe_error *tell_mapping(struct code_watch *watch,
					 const struct watched_mapping *mapping)
{
	uint8_t id[64];
	struct recording_mapping added = {.clock = record_clock(),
					  .pid = watch->pid,
					  .start = mapping->start,
					  .size = mapping->end - mapping->start,
					  .offset = mapping->offset,
					  .path = mapping->path};
	if (!mapping->copied) {
		added.build_id = id;
		added.build_id_size = read_build_id(mapping->path, id, sizeof(id));
		return recording_add_mapping(watch->writer, &added);
	}
	// What is not read-only is copied when it is executed: it may not be written yet.
	if (!*mapping->path || added.size > COPY_LIMIT)
		return NULL;
	return copy_code(watch, mapping->start, added.size, mapping->path);
}

static bool same(const struct watched_mapping *a, const struct watched_mapping *b)
{
	return a->start == b->start && a->end == b->end && a->offset == b->offset &&
	       a->copied == b->copied && strcmp(a->path, b->path) == 0;
}

struct mapping_list {
	ARRAY(struct watched_mapping) list;
};

static void free_list(struct watched_mapping *items, size_t count)
{
	for (size_t i = 0; i < count; i++)
		free(items[i].path);
	free(items);
}

/** Memory that is written to while the program runs has no name that stands for its bytes. */
static bool is_made_at_run_time(const struct proc_mapping *mapping)
{
	static const char memfd[] = "/memfd:";
	bool vdso = proc_mapping_is(mapping, "[vdso]");
	return (mapping->path_size && *mapping->path == '[' && !vdso) ||
	       (mapping->path_size >= sizeof(memfd) - 1 &&
		memcmp(mapping->path, memfd, sizeof(memfd) - 1) == 0);
}

static struct strobe_error *read_mappings(pid_t pid, struct mapping_list *ret)
{
	struct text text = {0};
	struct proc_mapping mapping;
	char name[32];
	bool done = true;
	snprintf(name, sizeof(name), "%d/maps", (int)pid);
	int problem = proc_read(name, &text);
	const char *at = text_string(&text);
	while (!problem && done && proc_next_mapping(&at, &mapping)) {
		if (!mapping.executable || proc_mapping_is(&mapping, "[vsyscall]"))
			continue;
		struct watched_mapping added = {.start = mapping.start,
						.end = mapping.end,
						.offset = mapping.offset,
						.path = strndup(mapping.path, mapping.path_size)};
		if (added.path && is_made_at_run_time(&mapping))
			*added.path = '\0';
		done = added.path != NULL;
		added.copied = done && !is_at_hand(&mapping, added.path);
		done = done && array_push(&ret->list, added);
	}
	text_fini(&text);
	if (!done)
		return error_no_memory();
	if (problem)
		return error_new(STROBE_ERROR_NOT_FOUND, "process %d has ended", (int)pid);
	return NULL;
}

/** Tells of what went and of what came; both lists are sorted. */
static struct strobe_error *tell_changes(struct code_watch *watch, const struct mapping_list *now,
					 bool *ret_changed)
{
	struct strobe_error *error = NULL;
	size_t i = 0, k = 0;
	*ret_changed = false;
	while (!error && (i < watch->mappings.count || k < now->list.count)) {
		const struct watched_mapping *old =
			i < watch->mappings.count ? &watch->mappings.items[i] : NULL;
		const struct watched_mapping *added =
			k < now->list.count ? &now->list.items[k] : NULL;
		if (old && added && same(old, added)) {
			i++;
			k++;
			continue;
		}
		*ret_changed = true;
		if (old && (!added || old->start <= added->start)) {
			struct recording_mapping gone = {.clock = record_clock(),
							 .pid = watch->pid,
							 .start = old->start,
							 .size = old->end - old->start};
			error = recording_remove_mapping(watch->writer, &gone);
			i++;
		} else {
			k++; // told below: what went must not take it away again
		}
	}
	return error;
}

static bool contains(const struct code_watch *watch, const struct watched_mapping *mapping)
{
	for (size_t i = 0; i < watch->mappings.count; i++)
		if (same(&watch->mappings.items[i], mapping))
			return true;
	return false;
}

struct strobe_error *code_watch_scan(struct code_watch *watch)
{
	struct mapping_list now = {0};
	bool changed = false;
	struct strobe_error *error = read_mappings(watch->pid, &now);
	if (!error)
		error = tell_changes(watch, &now, &changed);
	for (size_t i = 0; !error && changed && i < now.list.count; i++)
		if (!contains(watch, &now.list.items[i]))
			error = tell_mapping(watch, &now.list.items[i]);
	if (error || !changed) {
		free_list(now.list.items, now.list.count);
		return error;
	}
	free_list(watch->mappings.items, watch->mappings.count);
	watch->mappings.items = now.list.items;
	watch->mappings.count = now.list.count;
	watch->mappings.capacity = now.list.capacity;
	return forget(watch);
}

struct strobe_error *code_watch_open(struct code_watch *watch, pid_t pid,
				     struct recording_writer *writer)
{
	*watch = (struct code_watch){.pid = pid, .writer = writer};
	struct strobe_error *error = forget(watch);
	return error ? error : code_watch_scan(watch);
}

void code_watch_close(struct code_watch *watch)
{
	free_list(watch->mappings.items, watch->mappings.count);
	array_fini(&watch->stretches);
	code_map_free(watch->map);
	*watch = (struct code_watch){0};
}

struct strobe_error *code_watch_exec(struct code_watch *watch)
{
	struct recording_mapping all = {
		.clock = record_clock(), .pid = watch->pid, .size = UINT64_MAX};
	struct strobe_error *error = recording_remove_mapping(watch->writer, &all);
	free_list(watch->mappings.items, watch->mappings.count);
	watch->mappings.items = NULL;
	watch->mappings.count = watch->mappings.capacity = 0;
	if (!error)
		error = forget(watch);
	return error ? error : code_watch_scan(watch);
}

static const struct watched_mapping *mapping_at(const struct code_watch *watch, uint64_t address)
{
	size_t low = 0, high = watch->mappings.count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (watch->mappings.items[middle].end <= address)
			low = middle + 1;
		else
			high = middle;
	}
	const struct watched_mapping *found = &watch->mappings.items[low];
	return low < watch->mappings.count && found->start <= address ? found : NULL;
}

enum code_flags code_flags(const uint8_t *bytes, size_t size)
{
	size_t at = 0;
	while (at < size && (bytes[at] & 0xf0) == 0x40)
		at++;
	if (at < size && bytes[at] == 0x9c)
		return CODE_PUSHES_FLAGS;
	return at < size && bytes[at] == 0x9d ? CODE_POPS_FLAGS : CODE_NO_FLAGS;
}

/** Looks at a stretch that was not executed before. */
static struct strobe_error *learn(struct code_watch *watch, uint32_t index,
				  struct watched_stretch *ret)
{
	uint8_t bytes[CODE_STRETCH_MAX * INSTRUCTION_LIMIT];
	const struct code_stretch *stretch = code_map_stretch(watch->map, index);
	size_t size = (size_t)(stretch->end - stretch->address), at = 0;
	const struct watched_mapping *mapping = mapping_at(watch, stretch->address);
	*ret = (struct watched_stretch){.stretch = stretch,
					.lengths = code_map_lengths(watch->map, stretch),
					.flags = FLAGS_NONE};
	size = tracing_read(watch->pid, stretch->address, bytes, size);
	for (unsigned i = 0; i < stretch->count && at < size; at += ret->lengths[i++])
		if (ret->flags == FLAGS_NONE && code_flags(bytes + at, size - at))
			ret->flags = (uint16_t)i;
	ret->system_call = stretch->flow == STROBE_FLOW_FAR_CALL && size >= 2 &&
			   bytes[size - 2] == 0x0f && bytes[size - 1] == 0x05;
	ret->copied = !mapping || (mapping->copied && !*mapping->path);
	if (!ret->copied)
		return NULL;
	ret->hash = page_hash(bytes, size);
	return copy_code(watch, stretch->address, size, "");
}

/** True if a copied stretch is as it was when it was decoded. */
static bool is_current(const struct code_watch *watch, const struct watched_stretch *known)
{
	uint8_t bytes[CODE_STRETCH_MAX * INSTRUCTION_LIMIT];
	uint64_t address = known->stretch->address;
	size_t size = (size_t)(known->stretch->end - address);
	return tracing_read(watch->pid, address, bytes, size) == size &&
	       page_hash(bytes, size) == known->hash;
}

static struct strobe_error *find(struct code_watch *watch, uint64_t address, uint32_t *ret_index,
				 struct watched_stretch *ret)
{
	struct strobe_error *error = code_map_find(watch->map, address, 64, ret_index);
	ret->stretch = NULL;
	if (error || *ret_index == CODE_NONE)
		return error;
	if (!array_reserve(&watch->stretches, (size_t)*ret_index + 1))
		return error_no_memory();
	while (watch->stretches.count <= *ret_index)
		watch->stretches.items[watch->stretches.count++] = (struct watched_stretch){0};
	struct watched_stretch *known = &watch->stretches.items[*ret_index];
	if (!known->stretch)
		error = learn(watch, *ret_index, known);
	*ret = *known;
	return error;
}

struct strobe_error *code_watch_find(struct code_watch *watch, uint64_t address,
				     struct watched_stretch *ret)
{
	uint32_t index;
	struct strobe_error *error = find(watch, address, &index, ret);
	if (error || (ret->stretch && !ret->copied))
		return error;
	// No code, or code that may have changed since: what is there now counts.
	if (ret->stretch && is_current(watch, ret))
		return NULL;
	error = code_watch_scan(watch);
	if (!error)
		error = forget(watch);
	return error ? error : find(watch, address, &index, ret);
}

struct strobe_error *code_watch_view(const struct code_watch *watch, struct strobe_view **ret)
{
	ARRAY(struct module_place) places = {0};
	bool done = true;
	for (size_t i = 0; done && i < watch->mappings.count; i++) {
		const struct watched_mapping *mapping = &watch->mappings.items[i];
		struct module_place place = {.path = mapping->path,
					     .start = mapping->start,
					     .size = mapping->end - mapping->start,
					     .offset = mapping->offset};
		done = mapping->copied || array_push(&places, place);
	}
	struct strobe_error *error =
		done ? module_view_new(watch->pid, places.items, places.count, NULL, 0, NULL, ret)
		     : error_no_memory();
	array_fini(&places);
	return error;
}
