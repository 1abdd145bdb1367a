// SPDX-License-Identifier: Apache-2.0
#include <strobe/source.h>

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "files/files.h"
#include "view/view.h"

// A named limit: what is larger is no source file.
enum { SOURCE_SIZE_LIMIT = 256 << 20 };

struct strobe_source {
	struct file *file;
	ARRAY(size_t) starts; // offset of each line
	bool newer;
};

struct strobe_source *strobe_source_close(struct strobe_source *source)
{
	if (!source)
		return NULL;
	file_close(source->file);
	array_fini(&source->starts);
	free(source);
	return NULL;
}

// The file at `path` if it can be opened; NULL otherwise: the next place is tried.
static struct file *try_open(const char *path)
{
	struct file *file = NULL;
	cleanup_error struct strobe_error *error = file_open(path, &file);
	return error ? NULL : file;
}

// Below `directory` with the leading components of `name` removed one by one.
static struct file *try_below(const char *directory, size_t size, const char *name)
{
	struct file *file = NULL;
	while (name && !file) {
		cleanup_text struct text path = {0};
		name += strspn(name, "/");
		if (!*name)
			break;
		text_append_bytes(&path, directory, size);
		text_append_char(&path, '/');
		text_append(&path, name);
		if (!path.failed)
			file = try_open(text_string(&path));
		name = strchr(name, '/');
	}
	return file;
}

static struct file *try_search_path(const char *search_path, const char *name)
{
	struct file *file = NULL;
	while (search_path && *search_path && !file) {
		const char *end = strchrnul(search_path, ':');
		if (end > search_path)
			file = try_below(search_path, (size_t)(end - search_path), name);
		search_path = *end ? end + 1 : NULL;
	}
	return file;
}

static struct strobe_error *find(struct strobe_symbols *symbols, const char *name,
				 size_t module_index, const char *search_path, struct file **ret)
{
	const struct strobe_view *view = strobe_symbols_view(symbols);
	struct files *files = view_files(view);
	*ret = NULL;
	if (name[0] == '/') {
		struct strobe_error *error = files_find_companion(files, NULL, name, NULL, ret);
		if (error || *ret)
			return error;
	}
	*ret = try_search_path(search_path, name);
	if (*ret || module_index >= strobe_view_module_count(view))
		return NULL;
	const char *build_id = strobe_view_module(view, module_index)->build_id;
	return build_id ? files_fetch_source(files, build_id, name, ret) : NULL;
}

static struct strobe_error *index_lines(struct strobe_source *source)
{
	const char *data = (const char *)source->file->data;
	uint64_t size = source->file->size;
	if (size > SOURCE_SIZE_LIMIT)
		return error_new(STROBE_ERROR_LIMIT, "%s: too large for a source file",
				 source->file->path);
	for (uint64_t at = 0; at < size;) {
		if (!array_push(&source->starts, (size_t)at))
			return error_no_memory();
		const char *newline = memchr(data + at, '\n', size - at);
		at = newline ? (uint64_t)(newline - data) + 1 : size;
	}
	return NULL;
}

// Newer than the program that was compiled from it?
static bool is_newer(const struct strobe_view *view, size_t module_index, const struct file *source)
{
	if (module_index >= strobe_view_module_count(view))
		return false;
	const struct file *module = view_module_file(view, module_index);
	if (!module)
		return false;
	if (source->modified.tv_sec != module->modified.tv_sec)
		return source->modified.tv_sec > module->modified.tv_sec;
	return source->modified.tv_nsec > module->modified.tv_nsec;
}

struct strobe_error *strobe_source_open(struct strobe_symbols *symbols, const char *file,
					size_t module_index, const char *search_path,
					struct strobe_source **ret)
{
	struct file *found = NULL;
	struct strobe_error *error = find(symbols, file, module_index, search_path, &found);
	if (error)
		return error;
	if (!found)
		return error_new(STROBE_ERROR_NOT_FOUND, "%s: source file not found%s%s", file,
				 search_path ? ", nor below " : "", search_path ? search_path : "");
	struct strobe_source *source = calloc(1, sizeof(*source));
	if (!source) {
		file_close(found);
		return error_no_memory();
	}
	source->file = found;
	source->newer = is_newer(strobe_symbols_view(symbols), module_index, found);
	error = index_lines(source);
	if (error) {
		strobe_source_close(source);
		return error;
	}
	*ret = source;
	return NULL;
}

const char *strobe_source_path(const struct strobe_source *source)
{
	return source->file->path;
}

size_t strobe_source_line_count(const struct strobe_source *source)
{
	return source->starts.count;
}

const char *strobe_source_line(const struct strobe_source *source, size_t line, size_t *size)
{
	if (line == 0 || line > source->starts.count)
		return NULL;
	size_t start = source->starts.items[line - 1];
	size_t end = line < source->starts.count ? source->starts.items[line]
						 : (size_t)source->file->size;
	const char *text = (const char *)source->file->data + start;
	*size = end - start;
	if (*size && text[*size - 1] == '\n')
		--*size;
	if (*size && text[*size - 1] == '\r')
		--*size;
	return text;
}

int strobe_source_is_newer(const struct strobe_source *source)
{
	return source->newer;
}
