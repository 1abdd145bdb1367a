// SPDX-License-Identifier: Apache-2.0
#include "view/view.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "view/build.h"

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
	uint64_t key = hash_bytes(line, strlen(line));
	const char *known = hash_get(&log->warned, key);
	if ((known && strcmp(known, line) == 0) || !array_push(&log->warnings, line))
		free(line);
	else if (!known && !hash_put(&log->warned, key, line))
		return; // out of memory: what may come is a line twice
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
