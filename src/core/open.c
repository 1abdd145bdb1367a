// SPDX-License-Identifier: Apache-2.0
#include <ctype.h>
#include <string.h>

#include "base/error.h"
#include "core/core.h"

static bool is_number(const char *text)
{
	for (const char *c = text; *c; c++)
		if (!isdigit((unsigned char)*c))
			return false;
	return *text;
}

static struct strobe_error *open_file(const char *target, struct file **ret)
{
	if (*target == '@')
		return error_new(STROBE_ERROR_UNSUPPORTED,
				 "%s: frozen copies are not supported by this version yet", target);
	struct strobe_error *error = file_open(target, ret);
	if (error && is_number(target) && strobe_error_code(error) == STROBE_ERROR_SYSTEM) {
		strobe_error_free(error);
		return error_new(STROBE_ERROR_UNSUPPORTED,
				 "%s: live processes are not supported by this version yet: "
				 "give a core file",
				 target);
	}
	if (error)
		return error;
	if ((*ret)->size == 0) {
		*ret = file_close(*ret);
		return error_new(STROBE_ERROR_FORMAT, "%s: empty file", target);
	}
	return NULL;
}

static struct strobe_error *read_file(struct strobe_view *view)
{
	return minidump_is(view->source) ? minidump_read(view) : elf_core_read(view);
}

struct strobe_error *strobe_view_open(const char *target, const struct strobe_view_options *options,
				      struct strobe_view **ret)
{
	struct strobe_view *view;
	struct file *file;
	if (!target || !*target)
		return error_new(STROBE_ERROR_INVALID, "no core file given");
	struct strobe_error *error = open_file(target, &file);
	if (error)
		return error;
	error = view_new(options, &view);
	if (error) {
		file_close(file);
		return error;
	}
	view->source = file;
	view->info.source_path = file->path;
	view->info.time_ns = (int64_t)file->modified.tv_sec * 1000000000 + file->modified.tv_nsec;
	view->info.time_is_file_time = true;
	error = read_file(view);
	if (!error)
		error = view_finish(view);
	if (error)
		strobe_view_close(view);
	else
		*ret = view;
	return error;
}
