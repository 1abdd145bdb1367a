// SPDX-License-Identifier: Apache-2.0
// The snapshots that a snapshot builds on (--since): opened with it, read through it.
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "core/core.h"

enum { CHAIN_LIMIT = 1000 }; // named limit: snapshots in a row

static size_t read_parent(void *context, uint64_t position, void *buffer, size_t size)
{
	return view_read_through(context, position, buffer, size);
}

static void run_of_parent(void *context, uint64_t position, uint64_t limit, struct view_run *ret)
{
	view_run_at(context, position, limit, ret);
}

static void close_parent(void *context)
{
	strobe_view_close(context);
}

/** NULL if `chain` may go on with the snapshot `id`, else why not. */
static const char *refusal(const struct core_chain *chain, const uint8_t *id)
{
	unsigned length = 0;
	for (const struct core_chain *link = chain; link; link = link->child) {
		if (memcmp(link->id, id, STROBE_ID_SIZE) == 0)
			return "it builds on itself";
		if (++length == CHAIN_LIMIT)
			return "more than 1000 snapshots build on each other";
	}
	return NULL;
}

static void id_text(const uint8_t *id, char text[2 * STROBE_ID_SIZE + 1])
{
	for (size_t i = 0; i < STROBE_ID_SIZE; i++)
		snprintf(text + 2 * i, 3, "%02x", id[i]);
}

struct strobe_error *parent_check(const struct strobe_view *view, const struct core_chain *chain)
{
	char is[2 * STROBE_ID_SIZE + 1], wanted[2 * STROBE_ID_SIZE + 1];
	const uint8_t *id = view->facts.id;
	if (view->facts.captured && memcmp(id, chain->parent_id, STROBE_ID_SIZE) == 0)
		return NULL;
	id_text(id, is);
	id_text(chain->parent_id, wanted);
	if (!view->facts.captured)
		return error_new(STROBE_ERROR_FORMAT, "%s: has no id of a snapshot, not %s",
				 view->info.source_path, wanted);
	return error_new(STROBE_ERROR_FORMAT, "%s: is the snapshot %s, not %s",
			 view->info.source_path, is, wanted);
}

/** The path as recorded, or (`beside`) its last component in the folder of `child`. */
static char *parent_path(const char *recorded, const char *child, bool beside)
{
	const char *last = strrchr(recorded, '/');
	const char *slash = strrchr(child, '/');
	char *path = NULL;
	last = last ? last + 1 : recorded;
	if (!beside)
		return strdup(recorded);
	if (!slash)
		return strdup(last);
	return asprintf(&path, "%.*s/%s", (int)(slash - child), child, last) < 0 ? NULL : path;
}

/** Tries both places. `*ret` = NULL and `*problem` (to be freed) if it is in neither. */
static struct strobe_error *find_parent(const struct strobe_view *view,
					const struct core_chain *chain,
					const struct strobe_view_options *options,
					struct strobe_view **ret, struct strobe_error **problem)
{
	const char *recorded = view->facts.parent.path;
	*ret = NULL;
	*problem = NULL;
	if (!*recorded) {
		*problem = error_new(STROBE_ERROR_NOT_FOUND, "its path is not recorded");
		return NULL;
	}
	for (int beside = 0; beside < 2 && !*ret; beside++) {
		char *path = parent_path(recorded, view->info.source_path, beside);
		struct strobe_error *error =
			path ? core_open_link(path, chain, options, ret) : error_no_memory();
		free(path);
		if (!error)
			break;
		if (strobe_error_code(error) == STROBE_ERROR_NO_MEMORY) {
			*problem = strobe_error_free(*problem);
			return error;
		}
		// A wrong file says more than one that is not there.
		bool better = !*problem || strobe_error_code(error) != STROBE_ERROR_SYSTEM;
		strobe_error_free(better ? *problem : error);
		*problem = better ? error : *problem;
	}
	if (*ret)
		*problem = strobe_error_free(*problem);
	return NULL;
}

/** All AS_PARENT ranges: from `source`, or lost for `why` if it is NULL. */
static struct strobe_error *add_ranges(struct strobe_view *view, const struct lazy_source *source,
				       const char *why)
{
	struct strobe_error *error = NULL;
	for (size_t i = 0; !error && i < view->facts.extents.count; i++) {
		const struct strobe_note_extent *extent = &view->facts.extents.items[i];
		struct segment lost = {extent->start, extent->end, NULL, why, NULL};
		if (extent->kind != STROBE_EXTENT_AS_PARENT)
			continue;
		if (source)
			error = view_add_lazy(view, extent->start, extent->end, source,
					      extent->start);
		else if (!array_push(&view->segments, lost))
			error = error_no_memory();
	}
	return error;
}

static struct strobe_error *lose_ranges(struct strobe_view *view, const char *problem)
{
	char id[2 * STROBE_ID_SIZE + 1];
	const struct snapshot_parent *parent = &view->facts.parent;
	const char *path = *parent->path ? parent->path : "(not recorded)";
	id_text(parent->id, id);
	view_warn(view, "%s: the snapshot that it builds on is missing: %s, id %s: %s",
		  view->info.source_path, path, id, problem);
	const char *why =
		arena_printf(&view->arena, "in the snapshot %s, id %s, which is missing", path, id);
	return why ? add_ranges(view, NULL, why) : error_no_memory();
}

struct strobe_error *parent_open(struct strobe_view *view, const struct core_chain *child,
				 const struct strobe_view_options *options)
{
	const struct snapshot_parent *wanted = &view->facts.parent;
	struct core_chain chain = {.child = child, .id = view->facts.id, .parent_id = wanted->id};
	struct strobe_view *parent;
	struct strobe_error *problem;
	const struct lazy_source *source;
	if (!wanted->known)
		return add_ranges(view, NULL, "in another snapshot, which is not named");
	const char *refused = refusal(&chain, wanted->id);
	if (refused)
		return lose_ranges(view, refused);
	struct strobe_error *error = find_parent(view, &chain, options, &parent, &problem);
	if (error)
		return error;
	if (!parent) {
		error = lose_ranges(view, strobe_error_message(problem));
		strobe_error_free(problem);
		return error;
	}
	// What is wrong with the chain is wrong with this snapshot.
	for (size_t i = 0; i < strobe_view_warning_count(parent); i++)
		view_warn(view, "%s", strobe_view_warning(parent, i));
	struct lazy_source made = {read_parent, run_of_parent, close_parent, parent};
	error = view_own_source(view, &made, &source);
	return error ? error : add_ranges(view, source, NULL);
}
