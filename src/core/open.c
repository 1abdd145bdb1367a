// SPDX-License-Identifier: Apache-2.0
#include "base/error.h"
#include "core/core.h"

static struct strobe_error *read_file(struct strobe_view *view)
{
	return minidump_is(view->source) ? minidump_read(view) : elf_core_read(view);
}

/** Who opens a file, and what for. */
struct purpose {
	const char *kind; // of an image that we made; NULL: a file on disk
	const struct process_files
		*files;			// of the process that holds an image's memory; may be NULL
	const struct core_chain *chain; // the file is the parent of another; NULL if not
};

/** A view of `file`, which becomes its own. */
static struct strobe_error *open_source(struct file *file, const struct purpose *purpose,
					const struct strobe_view_options *options,
					struct strobe_view **ret)
{
	struct strobe_view *view;
	if (file->size == 0) {
		struct strobe_error *error =
			error_new(STROBE_ERROR_FORMAT, "%s: empty file", file->path);
		file_close(file);
		return error;
	}
	struct strobe_error *error = view_new(options, &view);
	if (error) {
		file_close(file);
		return error;
	}
	view->source = file;
	view->info.source_path = file->path;
	view->info.time_ns = (int64_t)file->modified.tv_sec * 1000000000 + file->modified.tv_nsec;
	view->info.time_is_file_time = true;
	view->made_by_us = purpose->kind != NULL;
	view->process_files = purpose->files;
	error = packed_open(view);
	if (!error)
		error = read_file(view);
	if (!error && purpose->kind)
		view->info.source_kind = purpose->kind;
	if (!error && purpose->chain)
		error = parent_check(view, purpose->chain);
	if (!error)
		error = embedded_offer(view);
	if (!error)
		error = parent_open(view, purpose->chain, options);
	if (!error)
		error = view_finish(view);
	view->process_files = NULL;
	if (error)
		strobe_view_close(view);
	else
		*ret = view;
	return error;
}

struct strobe_error *core_open_file(const char *path, const struct strobe_view_options *options,
				    struct strobe_view **ret)
{
	const struct purpose purpose = {0};
	struct file *file;
	struct strobe_error *error = file_open(path, &file);
	if (!error)
		error = open_source(file, &purpose, options, ret);
	if (!error) // short of memory it is a view without a place for its writes
		(*ret)->overlay_path = arena_printf(&(*ret)->arena, "%s.overlay", path);
	return error;
}

struct strobe_error *core_open_link(const char *path, const struct core_chain *chain,
				    const struct strobe_view_options *options,
				    struct strobe_view **ret)
{
	const struct purpose purpose = {.chain = chain};
	struct file *file;
	struct strobe_error *error = file_open(path, &file);
	return error ? error : open_source(file, &purpose, options, ret);
}

struct strobe_error *core_open_frozen(int fd, const struct process_files *files, const char *label,
				      const struct strobe_view_options *options,
				      struct strobe_view **ret)
{
	const struct purpose purpose = {.kind = "frozen copy", .files = files};
	struct file *file;
	struct strobe_error *error = file_open_descriptor(fd, label, &file);
	return error ? error : open_source(file, &purpose, options, ret);
}

struct strobe_error *core_open_image(int fd, const char *label,
				     const struct strobe_view_options *options,
				     struct strobe_view **ret)
{
	return core_open_frozen(fd, NULL, label, options, ret);
}
