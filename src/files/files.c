// SPDX-License-Identifier: Apache-2.0
#include "files/files.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/text.h"
#include "elf/elf_image.h"
#include "files/crc.h"
#include "files/server.h"

struct files {
	char *sysroot; // without a trailing slash; NULL = none
	char *debug_directories;
	bool no_debuginfod;
	struct server *server; // made at first use
	const struct files_embedded *embedded;
	size_t embedded_count;
	files_open_embedded open_embedded;
	void *embedded_context;
};

static const char deleted_suffix[] = " (deleted)";

struct strobe_error *files_new(const struct files_options *options, struct files **ret)
{
	struct files *files = calloc(1, sizeof(*files));
	if (!files)
		return error_no_memory();
	const char *directories = options ? options->debug_directories : NULL;
	files->debug_directories = strdup(directories ? directories : "/usr/lib/debug");
	files->no_debuginfod = options && options->no_debuginfod;
	bool rooted = options && options->sysroot && *options->sysroot;
	if (rooted)
		files->sysroot = strdup(options->sysroot);
	if (!files->debug_directories || (rooted && !files->sysroot)) {
		files_free(files);
		return error_no_memory();
	}
	if (rooted) {
		size_t length = strlen(files->sysroot);
		while (length && files->sysroot[length - 1] == '/')
			files->sysroot[--length] = '\0';
	}
	*ret = files;
	return NULL;
}

struct files *files_free(struct files *files)
{
	if (!files)
		return NULL;
	server_free(files->server);
	free(files->sysroot);
	free(files->debug_directories);
	free(files);
	return NULL;
}

void files_set_embedded(struct files *files, const struct files_embedded *list, size_t count,
			files_open_embedded open, void *context)
{
	files->embedded = list;
	files->embedded_count = count;
	files->open_embedded = open;
	files->embedded_context = context;
}

/** A search for one file: what must be true of it, and what was tried. */
struct quest {
	struct files *files;
	const char *build_id; // NULL = unknown
	bool by_crc;	      // check `crc` where there is no build id to compare
	uint32_t crc;
	struct file *found;
	bool unchecked;
	bool failed;	   // out of memory
	struct text wrong; // files that were there, but not the right ones
	struct text tried; // names that were not there
};

static void remember(struct text *list, const char *format, const char *path, const char *detail)
{
	if (list->size)
		text_append(list, "; ");
	text_printf(list, format, path, detail);
}

/** Takes `file` if it is the right one, else closes it. */
static void consider(struct quest *quest, struct file *file)
{
	struct elf_image image;
	const char *why;
	char id[ELF_BUILD_ID_TEXT];
	if (!elf_image_init(&image, file->data, file->size, &why)) {
		remember(&quest->wrong, "%s is %s", file->path, why);
	} else if (!quest->build_id && !quest->by_crc) {
		quest->found = file;
		quest->unchecked = true;
		return;
	} else if (quest->build_id && elf_image_build_id(&image, id)) {
		if (strcmp(id, quest->build_id) == 0) {
			quest->found = file;
			return;
		}
		remember(&quest->wrong, "%s has build id %s", file->path, id);
	} else if (quest->by_crc) {
		if (crc_debuglink(file->data, file->size) == quest->crc) {
			quest->found = file;
			return;
		}
		remember(&quest->wrong, "%s has another CRC%s", file->path, "");
	} else {
		remember(&quest->wrong, "%s has no build id%s", file->path, "");
	}
	file_close(file);
}

static const char *last_component(const char *path)
{
	const char *slash = strrchr(path, '/');
	return slash ? slash + 1 : path;
}

/** By build id where both have one, else by name: all of it, or (`loose`) its last component. */
static bool is_embedded(const struct files_embedded *file, enum files_kind kind,
			const char *build_id, const char *path, bool loose)
{
	if (file->kind != kind)
		return false;
	if (build_id && file->build_id)
		return strcmp(build_id, file->build_id) == 0;
	if (!path)
		return false;
	return loose ? strcmp(last_component(path), last_component(file->path)) == 0
		     : strcmp(path, file->path) == 0;
}

static void attempt_embedded(struct quest *quest, enum files_kind kind, const char *path,
			     bool loose)
{
	struct files *files = quest->files;
	for (size_t i = 0; i < files->embedded_count && !quest->found && !quest->failed; i++) {
		struct file *file = NULL;
		if (!is_embedded(&files->embedded[i], kind, quest->build_id, path, loose))
			continue;
		struct strobe_error *error =
			files->open_embedded(files->embedded_context, i, &file);
		if (!error)
			consider(quest, file);
		else if (strobe_error_code(error) == STROBE_ERROR_NO_MEMORY)
			quest->failed = true;
		else
			remember(&quest->wrong, "%s%s", strobe_error_message(error), "");
		strobe_error_free(error);
	}
}

/** Looks at `path` (malloc'ed, or NULL when memory was short; freed here). */
static void attempt(struct quest *quest, char *path)
{
	if (!path) {
		quest->failed = true;
		return;
	}
	if (!quest->found && !quest->failed) {
		struct file *file = NULL;
		struct strobe_error *error = file_open(path, &file);
		if (!error)
			consider(quest, file);
		else if (strobe_error_code(error) == STROBE_ERROR_NO_MEMORY)
			quest->failed = true;
		else if (strobe_error_errno(error) == ENOENT ||
			 strobe_error_errno(error) == ENOTDIR)
			remember(&quest->tried, "%s%s", path, "");
		else
			remember(&quest->wrong, "%s%s", strobe_error_message(error), "");
		strobe_error_free(error);
	}
	free(path);
}

static void attempt_format(struct quest *quest, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
static void attempt_format(struct quest *quest, const char *format, ...)
{
	if (quest->found || quest->failed)
		return;
	char *path = NULL;
	va_list args;
	va_start(args, format);
	if (vasprintf(&path, format, args) < 0)
		path = NULL;
	va_end(args);
	attempt(quest, path);
}

/** `path` below the sysroot, then as it is. */
static void attempt_rooted(struct quest *quest, const char *path)
{
	if (quest->files->sysroot)
		attempt_format(quest, "%s%s%s", quest->files->sysroot, *path == '/' ? "" : "/",
			       path);
	attempt_format(quest, "%s", path);
}

/** Calls attempts for each debug directory; `below` begins with '/'. */
static void attempt_debug_directories(struct quest *quest, const char *below)
{
	const char *directory = quest->files->debug_directories;
	while (*directory) {
		size_t length = strcspn(directory, ":");
		if (length) {
			char *path = NULL;
			if (asprintf(&path, "%.*s%s", (int)length, directory, below) < 0) {
				quest->failed = true;
				return;
			}
			attempt_rooted(quest, path);
			free(path);
		}
		directory += length + (directory[length] == ':');
	}
}

static void attempt_build_id(struct quest *quest, const char *suffix)
{
	if (!quest->build_id || strlen(quest->build_id) < 3 || quest->found)
		return;
	char *below = NULL;
	if (asprintf(&below, "/.build-id/%.2s/%s%s", quest->build_id, quest->build_id + 2, suffix) <
	    0) {
		quest->failed = true;
		return;
	}
	attempt_debug_directories(quest, below);
	free(below);
}

static void attempt_server(struct quest *quest, enum server_kind kind)
{
	struct files *files = quest->files;
	if (quest->found || quest->failed || files->no_debuginfod || !quest->build_id ||
	    !server_configured())
		return;
	if (!files->server)
		files->server = server_new();
	char *path =
		files->server ? server_fetch(files->server, kind, quest->build_id, NULL) : NULL;
	const char *problem = files->server ? server_problem(files->server) : NULL;
	if (path)
		attempt(quest, path);
	else if (problem)
		remember(&quest->tried, "debuginfod (%s) for %s", problem, quest->build_id);
	else
		remember(&quest->tried, "debuginfod for %s%s", quest->build_id, "");
}

/** Hands over what was found; builds the problem line if nothing was. */
static struct strobe_error *finish(struct quest *quest, struct file **ret, char **problem)
{
	struct strobe_error *error = NULL;
	char *line = NULL;
	if (!quest->found && !quest->failed && problem) {
		struct text text = {0};
		if (quest->wrong.size) {
			text_append(&text, text_string(&quest->wrong));
			if (quest->build_id)
				text_printf(&text, ", not the %s wanted", quest->build_id);
		} else if (quest->tried.size) {
			text_printf(&text, "not found: %s", text_string(&quest->tried));
		} else {
			text_append(&text, "not found: nothing to look for");
		}
		line = text_steal(&text);
		quest->failed = !line;
	}
	if (quest->failed) {
		file_close(quest->found);
		error = error_no_memory();
	} else {
		*ret = quest->found;
		if (problem)
			*problem = line;
	}
	text_fini(&quest->wrong);
	text_fini(&quest->tried);
	return error;
}

static struct strobe_error *find_executable(struct files *files, const char *path,
					    const char *build_id, bool local, struct file **ret,
					    bool *unchecked, char **problem)
{
	struct quest quest = {.files = files, .build_id = build_id};
	size_t length = path ? strlen(path) : 0;
	size_t suffix = sizeof(deleted_suffix) - 1;
	if (length > suffix && strcmp(path + length - suffix, deleted_suffix) == 0)
		length -= suffix;
	char *plain = length ? strndup(path, length) : NULL;
	quest.failed = length && !plain;
	if (plain)
		attempt_embedded(&quest, FILES_EXECUTABLE, plain, false);
	// A relative or special name ("[vdso]", "socket:[1]") has no place on this machine.
	if (plain && *plain == '/')
		attempt_rooted(&quest, plain);
	free(plain);
	attempt_build_id(&quest, "");
	if (!local)
		attempt_server(&quest, SERVER_EXECUTABLE);
	*unchecked = quest.unchecked;
	return finish(&quest, ret, problem);
}

struct strobe_error *files_find_executable(struct files *files, const char *path,
					   const char *build_id, struct file **ret, bool *unchecked,
					   char **problem)
{
	return find_executable(files, path, build_id, false, ret, unchecked, problem);
}

struct strobe_error *files_find_local(struct files *files, const char *path, const char *build_id,
				      struct file **ret, bool *unchecked, char **problem)
{
	return find_executable(files, path, build_id, true, ret, unchecked, problem);
}

bool files_ask_servers(const struct files *files)
{
	return !files->no_debuginfod && server_configured();
}

/** A debuglink's name: beside the module, in .debug, and below the debug directories. */
static void attempt_debuglink(struct quest *quest, const char *path, const char *debuglink)
{
	const char *slash = path ? strrchr(path, '/') : NULL;
	if (!slash || quest->found)
		return;
	static const char *const places[] = {"/", "/.debug/"};
	int length = (int)(slash - path);
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		char *name = NULL;
		if (asprintf(&name, "%.*s%s%s", length, path, places[i], debuglink) < 0) {
			quest->failed = true;
			return;
		}
		// A stripped file that links to its own name must not find itself.
		if (strcmp(name, path) != 0)
			attempt_rooted(quest, name);
		free(name);
	}
	char *below = NULL;
	if (asprintf(&below, "%.*s/%s", length, path, debuglink) < 0) {
		quest->failed = true;
		return;
	}
	attempt_debug_directories(quest, below);
	free(below);
}

struct strobe_error *files_find_debug(struct files *files, const char *path, const char *build_id,
				      const char *debuglink, uint32_t crc, struct file **ret,
				      char **problem)
{
	struct quest quest = {.files = files, .build_id = build_id};
	attempt_embedded(&quest, FILES_DEBUG, debuglink, true);
	attempt_build_id(&quest, ".debug");
	if (debuglink && *debuglink && !strchr(debuglink, '/')) {
		quest.by_crc = true;
		quest.crc = crc;
		attempt_debuglink(&quest, path, debuglink);
	}
	attempt_server(&quest, SERVER_DEBUG);
	return finish(&quest, ret, problem);
}

struct strobe_error *files_find_alternate(struct files *files, const char *referrer,
					  const char *name, const char *build_id, struct file **ret,
					  char **problem)
{
	struct quest quest = {.files = files, .build_id = build_id};
	const char *slash = referrer ? strrchr(referrer, '/') : NULL;
	attempt_embedded(&quest, FILES_ALTERNATE, name, true);
	if (name && *name == '/')
		attempt_rooted(&quest, name);
	else if (name && *name && slash)
		attempt_format(&quest, "%.*s/%s", (int)(slash - referrer), referrer, name);
	attempt_build_id(&quest, ".debug");
	attempt_server(&quest, SERVER_DEBUG);
	return finish(&quest, ret, problem);
}

/** Opens `path` if it is there: companions are checked by whoever reads them. */
static struct strobe_error *open_plain(char *path, struct file **ret)
{
	if (!path)
		return error_no_memory();
	struct strobe_error *error = *ret ? NULL : file_open(path, ret);
	free(path);
	if (error && strobe_error_code(error) != STROBE_ERROR_NO_MEMORY)
		error = strobe_error_free(error);
	return error;
}

static char *join(const char *a, const char *separator, const char *b)
{
	char *path = NULL;
	return asprintf(&path, "%s%s%s", a, separator, b) < 0 ? NULL : path;
}

/** A companion is known by its whole name, or by the last part of it, as long as no other file
 *  beside it is called so. */
static struct strobe_error *find_embedded_companion(struct files *files, const char *path,
						    struct file **ret)
{
	for (int loose = 0; loose < 2; loose++) {
		size_t count = 0, index = 0;
		for (size_t i = 0; i < files->embedded_count; i++) {
			if (is_embedded(&files->embedded[i], FILES_COMPANION, NULL, path, loose)) {
				index = i;
				count++;
			}
		}
		if (count == 1)
			return files->open_embedded(files->embedded_context, index, ret);
	}
	return NULL;
}

struct strobe_error *files_find_companion(struct files *files, const char *directory,
					  const char *name, const char *beside, struct file **ret)
{
	struct file *found = NULL;
	struct strobe_error *error = NULL;
	bool absolute = *name == '/';
	char *path = absolute || !directory ? strdup(name) : join(directory, "/", name);
	if (!path)
		return error_no_memory();
	error = find_embedded_companion(files, path, &found);
	if (!error && !found && files->sysroot && *path == '/')
		error = open_plain(join(files->sysroot, "", path), &found);
	if (!error && !found)
		error = open_plain(strdup(path), &found);
	free(path);
	const char *slash = beside ? strrchr(beside, '/') : NULL;
	if (!error && !found && slash) {
		const char *last = strrchr(name, '/');
		char *beside_path = NULL;
		if (asprintf(&beside_path, "%.*s/%s", (int)(slash - beside), beside,
			     last ? last + 1 : name) < 0)
			beside_path = NULL;
		error = open_plain(beside_path, &found);
	}
	if (error) {
		file_close(found);
		return error;
	}
	*ret = found;
	return NULL;
}

struct strobe_error *files_fetch_source(struct files *files, const char *build_id, const char *path,
					struct file **ret)
{
	*ret = NULL;
	if (!build_id || *path != '/' || !files_ask_servers(files))
		return NULL;
	if (!files->server)
		files->server = server_new();
	char *local =
		files->server ? server_fetch(files->server, SERVER_SOURCE, build_id, path) : NULL;
	return local ? open_plain(local, ret) : NULL;
}
