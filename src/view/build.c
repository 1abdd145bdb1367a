// SPDX-License-Identifier: Apache-2.0
#include "view/build.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"

struct strobe_thread view_thread(int tid)
{
	return (struct strobe_thread){
		.tid = tid,
		.signal = {.sender_uid = -1},
		.cpu = -1,
		.in_system_call = -1,
		.system_call = -1,
		.realtime_priority = -1,
		.nice = STROBE_NOT_KNOWN,
		.start_time_ns = -1,
		.user_ns = -1,
		.system_ns = -1,
		.voluntary_switches = -1,
		.involuntary_switches = -1,
	};
}

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
		char *whole = options->executable ? realpath(options->executable, NULL) : NULL;
		view->executable_option =
			arena_strdup(&view->arena, whole ? whole : options->executable);
		free(whole);
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
		.start_time_ns = -1,
		.user_ns = -1,
		.system_ns = -1,
		.resident_bytes = -1,
		.resident_peak_bytes = -1,
		.swapped_bytes = -1,
		.nice = STROBE_NOT_KNOWN,
		.oom_score_adjustment = STROBE_NOT_KNOWN,
		.umask = -1,
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
	overlay_free(view);
	for (size_t i = 0; i < view->warnings.count; i++)
		free((char *)view->warnings.items[i]);
	for (size_t i = 0; i < view->backings.count; i++)
		file_close(view->backings.items[i].file);
	for (size_t i = 0; i < view->lazy_areas.count; i++)
		lazy_fini(view->lazy_areas.items[i]);
	for (size_t i = 0; i < view->lazy_sources.count; i++)
		if (view->lazy_sources.items[i]->close)
			view->lazy_sources.items[i]->close(view->lazy_sources.items[i]->context);
	array_fini(&view->lazy_areas);
	array_fini(&view->lazy_sources);
	array_fini(&view->areas);
	array_fini(&view->ranges);
	array_fini(&view->hints);
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
	view_facts_fini(&view->facts);
	array_fini(&view->notes);
	hash_fini(&view->tids);
	hash_fini(&view->warned);
	files_free(view->files);
	file_close(view->source);
	arena_fini(&view->arena);
	struct view_owner owner = view->owner;
	free(view);
	if (owner.close)
		owner.close(owner.context);
	return NULL;
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
	if (view->info.executable)
		return; // the source says so itself
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
	view->anonymous_dumped = !view->parts_dumped && holds_anonymous(view);
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
