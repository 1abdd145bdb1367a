// SPDX-License-Identifier: Apache-2.0
// A view of the process at a position of its trace.

#include <strobe/trace_state.h>

#include "base/error.h"
#include "trace/module_view.h"
#include "view/build.h"
#include "view/recorded.h"
#include "view/view.h"

/** What the new view is made of. */
struct parts {
	ARRAY(struct module_place) modules;
	ARRAY(struct memory_place) memory;
	ARRAY(struct recorded_frame) frames;
};

static void parts_fini(struct parts *parts)
{
	array_fini(&parts->modules);
	array_fini(&parts->memory);
	array_fini(&parts->frames);
}

static bool list_modules(const struct strobe_view *view, struct parts *parts)
{
	for (size_t i = 0; i < strobe_view_module_count(view); i++) {
		const struct strobe_module *module = strobe_view_module(view, i);
		struct module_place place = {.path = module->path,
					     .file = module->file,
					     .build_id = module->build_id,
					     .start = module->start};
		if (!array_push(&parts->modules, place))
			return false;
	}
	return true;
}

/** Code that no file has: borrowed from the trace's view, which stays open. */
static bool list_memory(const struct strobe_view *view, struct parts *parts)
{
	for (size_t i = 0; i < strobe_view_mapping_count(view); i++) {
		const struct strobe_mapping *mapping = strobe_view_mapping(view, i);
		struct memory_place place = {.start = mapping->start, .name = mapping->path};
		size_t available = 0;
		bool is_file = mapping->path && mapping->path[0] != '[';
		if (is_file || !(mapping->permissions & STROBE_PERMISSION_EXECUTE))
			continue;
		place.data = view_pointer(view, mapping->start, &available);
		if (!place.data)
			continue;
		place.size = mapping->end - mapping->start;
		if (available < place.size)
			place.size = available;
		if (!array_push(&parts->memory, place))
			return false;
	}
	return true;
}

static struct strobe_error *list_frames(const struct strobe_cursor *cursor, struct parts *parts)
{
	struct strobe_trace *trace = strobe_cursor_trace(cursor);
	struct strobe_symbols *symbols = NULL;
	struct strobe_trace_stacks *stacks = NULL;
	const struct strobe_trace_frame *frames = NULL;
	size_t count = 0;
	struct strobe_error *error = strobe_symbols_open(strobe_trace_view(trace), &symbols);
	if (!error)
		error = strobe_trace_stacks_open(trace, strobe_cursor_thread_index(cursor), symbols,
						 &stacks);
	if (!error)
		error = strobe_trace_stacks_at(stacks, strobe_cursor_id(cursor), &frames, &count);
	for (size_t i = 0; !error && i < count; i++) {
		struct recorded_frame frame = {.pc = frames[i].pc,
					       .exact = i == 0 || frames[i].interrupted ||
							frames[i].uncertain};
		if (!array_push(&parts->frames, frame))
			error = error_no_memory();
	}
	strobe_trace_stacks_close(stacks);
	strobe_symbols_close(symbols);
	return error;
}

static struct strobe_error *make_view(const struct strobe_cursor *cursor,
				      const struct strobe_view_options *options,
				      const struct parts *parts, struct strobe_view **ret)
{
	const struct strobe_trace_thread *thread = strobe_trace_thread(
		strobe_cursor_trace(cursor), strobe_cursor_thread_index(cursor));
	struct strobe_view *view = NULL;
	struct recorded_stack stack = {.frames = parts->frames.items,
				       .count = parts->frames.count,
				       .end = "the trace does not show who called it"};
	struct strobe_error *error =
		module_view_new(thread->pid, parts->modules.items, parts->modules.count,
				parts->memory.items, parts->memory.count, options, &view);
	if (error)
		return error;
	error = view_add_recorded(view, thread->tid, thread->name, &stack);
	if (error)
		strobe_view_close(view);
	else
		*ret = view;
	return error;
}

struct strobe_error *strobe_trace_view_at(const struct strobe_cursor *cursor,
					  const struct strobe_trace_state_options *options,
					  struct strobe_view **ret)
{
	struct parts parts = {0};
	if (options && options->size != sizeof(*options))
		return error_new(STROBE_ERROR_INVALID, "options are of another version");
	if (!strobe_cursor_has_value(cursor))
		return error_new(STROBE_ERROR_INVALID, "the cursor is at no item");
	const struct strobe_view *from = strobe_trace_view(strobe_cursor_trace(cursor));
	struct strobe_error *error = list_frames(cursor, &parts);
	if (!error && !parts.frames.count)
		error = error_new(STROBE_ERROR_INVALID, "no instruction stands before this item");
	if (!error && (!list_modules(from, &parts) || !list_memory(from, &parts)))
		error = error_no_memory();
	if (!error)
		error = make_view(cursor, options ? options->view : NULL, &parts, ret);
	parts_fini(&parts);
	return error;
}
