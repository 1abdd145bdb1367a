// SPDX-License-Identifier: Apache-2.0
#include "symbols/file_view.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strobe/memory.h>

#include "base/error.h"
#include "base/file.h"
#include "files/files.h"
#include "view/view.h"

struct strobe_view {
	struct strobe_module module;
	struct file *file;
};

struct strobe_view *file_view_close(struct strobe_view *view)
{
	if (view) {
		file_close(view->file);
		free((char *)view->module.path);
		free(view);
	}
	return NULL;
}

struct strobe_view *file_view_open(const char *path, uint64_t bias)
{
	struct strobe_view *view = calloc(1, sizeof(*view));
	if (!view)
		return NULL;
	struct strobe_error *error = file_open(path, &view->file);
	if (error) {
		strobe_error_free(error);
		free(view);
		return NULL;
	}
	view->module = (struct strobe_module){.name = "program",
					      .path = strdup(path),
					      .start = bias,
					      .end = UINT64_MAX,
					      .bias = bias};
	return view;
}

size_t strobe_view_module_count(const struct strobe_view *view)
{
	return 1;
}

const struct strobe_module *strobe_view_module(const struct strobe_view *view, size_t index)
{
	return &view->module;
}

size_t strobe_view_module_at(const struct strobe_view *view, uint64_t address)
{
	return address >= view->module.start ? 0 : SIZE_MAX;
}

struct file *view_module_file(const struct strobe_view *view, size_t module_index)
{
	return view->file;
}

struct files *view_files(const struct strobe_view *view)
{
	return NULL;
}

void view_warn(const struct strobe_view *view, const char *format, ...)
{
}

size_t strobe_memory_read(const struct strobe_view *view, uint64_t address, void *buffer,
			  size_t size)
{
	return 0;
}

/** Debug files are named by the test: DEBUG_FILE in the environment. */
struct strobe_error *files_find_debug(struct files *files, const char *path, const char *build_id,
				      const char *debuglink, uint32_t crc, struct file **ret,
				      char **problem)
{
	const char *name = getenv("TEST_DEBUG_FILE");
	*ret = NULL;
	*problem = strdup("no debug file in this test");
	struct strobe_error *error = name ? file_open(name, ret) : NULL;
	strobe_error_free(error);
	return NULL;
}

/** Beside the program or as named. */
static void open_beside(const char *beside, const char *name, struct file **ret)
{
	char path[4096];
	const char *slash = beside ? strrchr(beside, '/') : NULL;
	const char *last = strrchr(name, '/');
	struct strobe_error *error = *name == '/' ? file_open(name, ret) : NULL;
	strobe_error_free(error);
	if (*ret || !slash)
		return;
	snprintf(path, sizeof(path), "%.*s/%s", (int)(slash - beside), beside,
		 last ? last + 1 : name);
	strobe_error_free(file_open(path, ret));
}

struct strobe_error *files_find_alternate(struct files *files, const char *referrer,
					  const char *name, const char *build_id, struct file **ret,
					  char **problem)
{
	*ret = NULL;
	open_beside(referrer, name, ret);
	*problem = *ret ? NULL : strdup("no such file");
	return NULL;
}

struct strobe_error *files_find_companion(struct files *files, const char *directory,
					  const char *name, const char *beside, struct file **ret)
{
	*ret = NULL;
	open_beside(beside, name, ret);
	return NULL;
}
