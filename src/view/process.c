// SPDX-License-Identifier: Apache-2.0
// What a view tells of the process as a whole, besides memory and threads.
#include "view/build.h"

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
