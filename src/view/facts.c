// SPDX-License-Identifier: Apache-2.0
#include "view/facts.h"

#include <string.h>

#include "view/build.h"

void view_facts_fini(struct view_facts *facts)
{
	array_fini(&facts->extents);
	array_fini(&facts->embedded);
	array_fini(&facts->proc_files);
	array_fini(&facts->not_atomic);
	array_fini(&facts->queued_signals);
	array_fini(&facts->limits);
	array_fini(&facts->namespaces);
	array_fini(&facts->arguments);
	array_fini(&facts->environment);
}

const struct proc_file *view_facts_proc_file(const struct view_facts *facts, const char *name)
{
	for (size_t i = 0; i < facts->proc_files.count; i++)
		if (strcmp(facts->proc_files.items[i].name, name) == 0)
			return &facts->proc_files.items[i];
	return NULL;
}

const struct strobe_note_extent *view_facts_extent(const struct view_facts *facts, uint64_t address)
{
	const struct strobe_note_extent *items = facts->extents.items;
	size_t low = 0, high = facts->extents.count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (items[middle].end <= address)
			low = middle + 1;
		else
			high = middle;
	}
	return low < facts->extents.count && items[low].start <= address ? &items[low] : NULL;
}

const char *strobe_view_proc_file(const struct strobe_view *view, const char *name, size_t *size)
{
	const struct proc_file *file = view_facts_proc_file(&view->facts, name);
	if (size)
		*size = file ? file->size : 0;
	return file ? file->bytes : NULL;
}

const char *strobe_view_proc_file_name(const struct strobe_view *view, size_t index)
{
	return index < view->facts.proc_files.count ? view->facts.proc_files.items[index].name
						    : NULL;
}

const struct strobe_capture *strobe_view_capture(const struct strobe_view *view)
{
	return view->facts.captured ? &view->facts.capture : NULL;
}

size_t strobe_view_not_atomic_count(const struct strobe_view *view)
{
	return view->facts.not_atomic.count;
}

const struct strobe_not_atomic *strobe_view_not_atomic(const struct strobe_view *view, size_t index)
{
	return index < view->facts.not_atomic.count ? &view->facts.not_atomic.items[index] : NULL;
}

size_t strobe_view_queued_signal_count(const struct strobe_view *view)
{
	return view->facts.queued_signals.count;
}

const struct strobe_queued_signal *strobe_view_queued_signal(const struct strobe_view *view,
							     size_t index)
{
	return index < view->facts.queued_signals.count ? &view->facts.queued_signals.items[index]
							: NULL;
}

const struct strobe_credentials *strobe_view_credentials(const struct strobe_view *view)
{
	return view->facts.credentials_known ? &view->facts.credentials : NULL;
}

const struct strobe_signal_actions *strobe_view_signal_actions(const struct strobe_view *view)
{
	return view->facts.signal_actions_known ? &view->facts.signal_actions : NULL;
}

size_t strobe_view_limit_count(const struct strobe_view *view)
{
	return view->facts.limits.count;
}

const struct strobe_limit *strobe_view_limit(const struct strobe_view *view, size_t index)
{
	return index < view->facts.limits.count ? &view->facts.limits.items[index] : NULL;
}

size_t strobe_view_namespace_count(const struct strobe_view *view)
{
	return view->facts.namespaces.count;
}

const struct strobe_namespace *strobe_view_namespace(const struct strobe_view *view, size_t index)
{
	return index < view->facts.namespaces.count ? &view->facts.namespaces.items[index] : NULL;
}

const char *strobe_view_argument(const struct strobe_view *view, size_t index)
{
	return index < view->facts.arguments.count ? view->facts.arguments.items[index] : NULL;
}

const char *strobe_view_environment(const struct strobe_view *view, size_t index)
{
	return index < view->facts.environment.count ? view->facts.environment.items[index] : NULL;
}
