// SPDX-License-Identifier: Apache-2.0
#include "view/build.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

struct strobe_error *view_new(const struct strobe_view_options *options, struct strobe_view **ret)
{
	struct strobe_view *view = calloc(1, sizeof(*view));
	if (!view)
		return error_no_memory();
	struct files_options files = {0};
	if (options) {
		files.sysroot = options->sysroot;
		files.debug_directories = options->debug_directories;
		files.no_debuginfod = options->no_debuginfod;
		view->executable_option = arena_strdup(&view->arena, options->executable);
	}
	view->word_bytes = 8;
	view->info = (struct strobe_process_info){
		.pid = -1,
		.ppid = -1,
		.pgid = -1,
		.sid = -1,
		.uid = -1,
		.gid = -1,
		.signal = {.sender_uid = -1},
		.signal_tid = -1,
		.time_ns = -1,
		.page_size_bytes = 4096,
	};
	struct strobe_error *error = files_new(&files, &view->files);
	if (!error && options && options->executable && !view->executable_option)
		error = error_no_memory();
	if (error)
		strobe_view_close(view);
	else
		*ret = view;
	return error;
}

struct strobe_view *strobe_view_close(struct strobe_view *view)
{
	if (!view)
		return NULL;
	for (size_t i = 0; i < view->warnings.count; i++)
		free((char *)view->warnings.items[i]);
	for (size_t i = 0; i < view->backings.count; i++)
		file_close(view->backings.items[i].file);
	array_fini(&view->areas);
	array_fini(&view->ranges);
	array_fini(&view->segments);
	array_fini(&view->mappings);
	array_fini(&view->mapping_states);
	array_fini(&view->backings);
	array_fini(&view->modules);
	array_fini(&view->module_states);
	array_fini(&view->threads);
	array_fini(&view->registers);
	array_fini(&view->auxv);
	array_fini(&view->warnings);
	array_fini(&view->descriptors);
	hash_fini(&view->tids);
	files_free(view->files);
	file_close(view->source);
	arena_fini(&view->arena);
	free(view);
	return NULL;
}

void view_warn(const struct strobe_view *view, const char *format, ...)
{
	struct strobe_view *log = (struct strobe_view *)view; // the one mutable part
	char *line = NULL;
	va_list args;
	if (log->warnings.count >= VIEW_MAX_WARNINGS)
		return;
	va_start(args, format);
	if (vasprintf(&line, format, args) < 0)
		line = NULL;
	va_end(args);
	if (!line)
		return;
	for (char *c = line; *c; c++) // names in damaged files hold anything
		if ((unsigned char)*c < ' ' || *c == 127)
			*c = '?';
	for (size_t i = 0; i < log->warnings.count; i++) {
		if (strcmp(log->warnings.items[i], line) == 0) {
			free(line);
			return;
		}
	}
	if (!array_push(&log->warnings, line))
		free(line);
}

static bool index_threads(struct strobe_view *view)
{
	// Backwards: of two threads with one id, the first is found.
	for (size_t i = view->threads.count; i-- > 0;)
		if (!hash_put(&view->tids, (uint32_t)view->threads.items[i].tid,
			      (void *)(uintptr_t)(i + 1)))
			return false;
	return true;
}

static void find_executable(struct strobe_view *view)
{
	uint64_t address;
	if (!view_auxv_value(view, AT_ENTRY, &address) && !view_auxv_value(view, AT_PHDR, &address))
		return;
	size_t index = strobe_view_module_at(view, address);
	if (index != SIZE_MAX && *view->modules.items[index].path == '/')
		view->info.executable = view->modules.items[index].path;
}

/** Are changed private pages in the source? Then any writable memory without a file is. */
static bool holds_anonymous(const struct strobe_view *view)
{
	for (size_t i = 0; i < view->mappings.count; i++) {
		const struct strobe_mapping *mapping = &view->mappings.items[i];
		if (mapping->permissions & STROBE_PERMISSION_WRITE && mapping->present_bytes &&
		    (!mapping->path || *mapping->path == '['))
			return true;
	}
	return false;
}

struct strobe_error *view_finish(struct strobe_view *view)
{
	struct strobe_error *error = view_build_mappings(view);
	if (error)
		return error;
	view->anonymous_dumped = holds_anonymous(view);
	if (!index_threads(view))
		return error_no_memory();
	error = view_find_modules(view);
	if (!error)
		error = view_follow_links(view);
	if (!error)
		error = view_settle_modules(view);
	if (error)
		return error;
	view_label_mappings(view);
	find_executable(view);
	return NULL;
}

struct files *view_files(const struct strobe_view *view)
{
	return view->files;
}

size_t strobe_view_warning_count(const struct strobe_view *view)
{
	return view->warnings.count;
}

const char *strobe_view_warning(const struct strobe_view *view, size_t index)
{
	return index < view->warnings.count ? view->warnings.items[index] : NULL;
}

const struct strobe_process_info *strobe_view_process_info(const struct strobe_view *view)
{
	// The sums need the mapped files: counted when first asked for, not at every open.
	if (!view->totals_known)
		view_count_totals((struct strobe_view *)view);
	return &view->info;
}

size_t strobe_view_thread_count(const struct strobe_view *view)
{
	return view->threads.count;
}

const struct strobe_thread *strobe_view_thread(const struct strobe_view *view, size_t index)
{
	return index < view->threads.count ? &view->threads.items[index] : NULL;
}

size_t strobe_view_thread_index(const struct strobe_view *view, int tid)
{
	return (size_t)(uintptr_t)hash_get(&view->tids, (uint32_t)tid) - 1;
}

size_t strobe_view_mapping_count(const struct strobe_view *view)
{
	return view->mappings.count;
}

const struct strobe_mapping *strobe_view_mapping(const struct strobe_view *view, size_t index)
{
	return index < view->mappings.count ? &view->mappings.items[index] : NULL;
}

const struct strobe_mapping *strobe_view_mapping_at(const struct strobe_view *view,
						    uint64_t address)
{
	size_t index = view_mapping_index(view, address);
	return index == SIZE_MAX ? NULL : &view->mappings.items[index];
}

size_t strobe_view_module_count(const struct strobe_view *view)
{
	return view->modules.count;
}

const struct strobe_module *strobe_view_module(const struct strobe_view *view, size_t index)
{
	if (index >= view->modules.count)
		return NULL;
	// `file` says which local file is used: found when first asked for.
	size_t backing = view->module_states.items[index].backing;
	if (backing != SIZE_MAX)
		view_backing_file((struct strobe_view *)view, backing, false);
	return &view->modules.items[index];
}

size_t strobe_view_module_at(const struct strobe_view *view, uint64_t address)
{
	size_t index = view_mapping_index(view, address);
	return index == SIZE_MAX ? SIZE_MAX : view->mappings.items[index].module_index;
}

size_t strobe_view_descriptor_count(const struct strobe_view *view, bool *known)
{
	if (known)
		*known = view->descriptors_known;
	return view->descriptors.count;
}

const struct strobe_descriptor *strobe_view_descriptor(const struct strobe_view *view, size_t index)
{
	return index < view->descriptors.count ? &view->descriptors.items[index] : NULL;
}

bool strobe_view_auxv(const struct strobe_view *view, size_t index, uint64_t *type, uint64_t *value)
{
	if (index >= view->auxv.count)
		return false;
	*type = view->auxv.items[index].type;
	*value = view->auxv.items[index].value;
	return true;
}

bool view_auxv_value(const struct strobe_view *view, uint64_t type, uint64_t *ret)
{
	for (size_t i = 0; i < view->auxv.count; i++) {
		if (view->auxv.items[i].type == type) {
			*ret = view->auxv.items[i].value;
			return true;
		}
	}
	return false;
}
