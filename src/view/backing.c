// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "base/error.h"
#include "elf/elf_image.h"
#include "view/build.h"
#include "view/view.h"

enum { COMPARED_PAGES = 16, COMPARED_PAGE = 4096 };

static void fail(struct strobe_view *view, struct backing *backing, const char *problem)
{
	backing->problem = problem ? problem : "out of memory";
	backing->state = BACKING_FAILED;
	if (backing->module_index != SIZE_MAX) {
		view->modules.items[backing->module_index].file_problem = backing->problem;
		view_warn(view, "%s: %s", backing->path, backing->problem);
	}
}

/** Written to since the process was captured: what is in it now may not be what was mapped. */
static bool is_newer(const struct strobe_view *view, const struct file *file)
{
	// The source may be a copy that is younger than what it tells of.
	if (view->info.time_ns >= 0)
		return file->modified.tv_sec > view->info.time_ns / 1000000000;
	return view->source && file->modified.tv_sec > view->source->modified.tv_sec;
}

/** True if the read-only pages that the source holds of a module are those of `file`. */
static bool pages_agree(const struct strobe_view *view, size_t module_index,
			const struct file *file)
{
	const struct module_state *state = &view->module_states.items[module_index];
	uint64_t bias = view->modules.items[module_index].bias;
	unsigned compared = 0;
	for (size_t i = 0; i < state->segment_count && compared < COMPARED_PAGES; i++) {
		const Elf64_Phdr *segment = &state->segments[i];
		if (segment->p_flags & PF_W)
			continue;
		for (uint64_t at = 0; at < segment->p_filesz && compared < COMPARED_PAGES;
		     at += COMPARED_PAGE, compared++) {
			size_t available;
			const uint8_t *bytes =
				view_source_pointer(view, segment->p_vaddr + bias + at, &available);
			if (!bytes)
				break;
			uint64_t size = segment->p_filesz - at;
			if (size > COMPARED_PAGE)
				size = COMPARED_PAGE;
			if (size > available)
				size = available;
			uint64_t offset = segment->p_offset + at;
			if (offset > file->size || size > file->size - offset ||
			    memcmp(bytes, file->data + offset, size) != 0)
				return false;
		}
	}
	return true;
}

static void accept_module_file(struct strobe_view *view, struct backing *backing, struct file *file,
			       bool unchecked)
{
	if (unchecked && !pages_agree(view, backing->module_index, file)) {
		fail(view, backing,
		     arena_printf(&view->arena, "%s differs from the pages in memory", file->path));
		file_close(file);
		return;
	}
	if (unchecked && is_newer(view, file)) {
		fail(view, backing,
		     arena_printf(&view->arena,
				  "%s was modified after %s was written, and no build id is known "
				  "to check it by",
				  file->path, view->info.source_path));
		file_close(file);
		return;
	}
	struct strobe_module *module = &view->modules.items[backing->module_index];
	if (unchecked) {
		struct elf_image image;
		const char *why;
		char id[ELF_BUILD_ID_TEXT];
		view_warn(view, "%s: used as it is on disk: no build id is known to check it by",
			  backing->path);
		if (elf_image_init(&image, file->data, file->size, &why) &&
		    elf_image_build_id(&image, id))
			module->build_id = arena_strdup(&view->arena, id);
	}
	backing->file = file;
	backing->state = BACKING_OPEN;
	module->file = file->path;
	module->file_problem = NULL;
}

static void open_module_file(struct strobe_view *view, struct backing *backing, bool ask_servers)
{
	struct file *file = NULL;
	bool unchecked = false;
	char *problem = NULL;
	const char *path = backing->path;
	uint64_t entry;
	// A replacement for the program itself is still held against its build id.
	if (view->executable_option && view_auxv_value(view, AT_ENTRY, &entry) &&
	    strobe_view_module_at(view, entry) == backing->module_index)
		path = view->executable_option;
	ask_servers = ask_servers && files_ask_servers(view->files);
	struct strobe_error *error = (ask_servers ? files_find_executable : files_find_local)(
		view->files, path, backing->build_id, &file, &unchecked, &problem);
	if (error) {
		fail(view, backing, NULL);
		strobe_error_free(error);
	} else if (file) {
		accept_module_file(view, backing, file, unchecked);
	} else if (!ask_servers && files_ask_servers(view->files)) {
		backing->problem = "not asked for yet";
		backing->state = BACKING_NOT_LOCAL;
		view->modules.items[backing->module_index].file_problem = backing->problem;
	} else {
		fail(view, backing, arena_strdup(&view->arena, problem));
	}
	free(problem);
}

/** A mapped file that is no module has no id: its times must speak for it. */
static void open_data_file(struct strobe_view *view, struct backing *backing)
{
	struct file *file = NULL;
	if (*backing->path != '/') {
		fail(view, backing, "not a file");
		return;
	}
	struct strobe_error *error =
		files_find_companion(view->files, NULL, backing->path, NULL, &file);
	if (error || !file) {
		strobe_error_free(error);
		fail(view, backing,
		     arena_printf(&view->arena, "%s is not there or no plain file", backing->path));
		return;
	}
	if (is_newer(view, file)) {
		fail(view, backing,
		     arena_printf(&view->arena, "%s was modified after %s was written", file->path,
				  view->info.source_path));
		file_close(file);
		return;
	}
	backing->file = file;
	backing->state = BACKING_OPEN;
}

struct file *view_backing_file(struct strobe_view *view, size_t index, bool ask_servers)
{
	struct backing *backing = &view->backings.items[index];
	if (backing->state == BACKING_OPEN || backing->state == BACKING_FAILED ||
	    (backing->state == BACKING_NOT_LOCAL && !ask_servers))
		return backing->file;
	if (backing->module_index == SIZE_MAX)
		open_data_file(view, backing);
	else
		open_module_file(view, backing, ask_servers);
	return backing->file;
}

struct file *view_module_file(const struct strobe_view *view, size_t module_index)
{
	if (module_index >= view->modules.count)
		return NULL;
	size_t index = view->module_states.items[module_index].backing;
	// Opening a file at first use does not change what the view says.
	return index == SIZE_MAX ? NULL
				 : view_backing_file((struct strobe_view *)view, index, true);
}
