// SPDX-License-Identifier: Apache-2.0
#include "base/error.h"
#include "core/core.h"

static struct strobe_error *read_file(struct strobe_view *view)
{
	return minidump_is(view->source) ? minidump_read(view) : elf_core_read(view);
}

/** A view of `file`, which becomes its own. */
static struct strobe_error *open_source(struct file *file, const char *kind,
					const struct process_files *files,
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
	view->made_by_us = kind != NULL;
	view->process_files = files;
	error = packed_open(view);
	if (!error)
		error = read_file(view);
	if (!error && kind)
		view->info.source_kind = kind;
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
	struct file *file;
	struct strobe_error *error = file_open(path, &file);
	return error ? error : open_source(file, NULL, NULL, options, ret);
}

struct strobe_error *core_open_frozen(int fd, const struct process_files *files, const char *label,
				      const struct strobe_view_options *options,
				      struct strobe_view **ret)
{
	struct file *file;
	struct strobe_error *error = file_open_descriptor(fd, label, &file);
	return error ? error : open_source(file, "frozen copy", files, options, ret);
}

struct strobe_error *core_open_image(int fd, const char *label,
				     const struct strobe_view_options *options,
				     struct strobe_view **ret)
{
	return core_open_frozen(fd, NULL, label, options, ret);
}
