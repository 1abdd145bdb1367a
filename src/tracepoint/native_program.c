// SPDX-License-Identifier: Apache-2.0
// The view in which hits are looked at: the process's mappings, code from its files, one thread, memory as it is now.
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strobe/memory.h>
#include <sys/user.h>
#include <unistd.h>

#include "base/error.h"
#include "base/hash.h"
#include "base/text.h"
#include "code/code_map.h"
#include "tracepoint/native.h"
#include "view/build.h"

/** The whole of a file in /proc. */
static bool read_proc(int pid, const char *name, struct text *ret)
{
	char path[64], bytes[4096];
	ssize_t got;
	snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	while ((got = read(fd, bytes, sizeof(bytes))) > 0)
		text_append_bytes(ret, bytes, (size_t)got);
	close(fd);
	return got == 0 && !ret->failed;
}

static size_t read_memory(void *context, uint64_t position, void *buffer, size_t size)
{
	size_t done = 0;
	while (done < size) {
		ssize_t got = pread(*(int *)context, (char *)buffer + done, size - done,
				    (off_t)(position + done));
		if (got <= 0)
			break;
		done += (size_t)got;
	}
	return done;
}

/** A line of /proc/PID/maps; false if it is none. The path is a part of the line. */
static bool read_line(char *line, struct area *area)
{
	char permissions[5] = "";
	int path = 0;
	unsigned long inode = 0;
	*area = (struct area){0};
	if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %4s %" SCNx64 " %x:%x %lu %n", &area->start,
		   &area->end, permissions, &area->offset_bytes, &area->device_major,
		   &area->device_minor, &inode, &path) < 7 ||
	    area->start >= area->end)
		return false;
	area->inode = inode;
	area->permissions = (permissions[0] == 'r' ? STROBE_PERMISSION_READ : 0u) |
			    (permissions[1] == 'w' ? STROBE_PERMISSION_WRITE : 0u) |
			    (permissions[2] == 'x' ? STROBE_PERMISSION_EXECUTE : 0u) |
			    (permissions[3] == 's' ? STROBE_PERMISSION_SHARED : 0u);
	if (path && line[path])
		area->path = line + path;
	return true;
}

/** Is the area, that nobody may write to now, what the dynamic linker wrote to: the beginning of a segment of data (RELRO)? */
static bool is_relocated(const struct area *area, const char *next)
{
	const char *end = strchr(next, '\n');
	struct area behind;
	char line[4400];
	if (!area->path || !*next)
		return false;
	snprintf(line, sizeof(line), "%.*s", (int)(end ? end - next : (ptrdiff_t)strlen(next)),
		 next);
	return read_line(line, &behind) && behind.start == area->end &&
	       behind.start - area->start == behind.offset_bytes - area->offset_bytes &&
	       behind.path && strcmp(behind.path, area->path) == 0 &&
	       behind.permissions & STROBE_PERMISSION_WRITE &&
	       !(area->permissions & STROBE_PERMISSION_EXECUTE);
}

/** One line of /proc/PID/maps, and those behind it. Code and constants come from files, all else from the process. */
static struct strobe_error *add_area(struct strobe_view *view, char *line, const char *next,
				     const struct lazy_source *memory)
{
	struct area area;
	if (!read_line(line, &area))
		return NULL;
	bool relocated = is_relocated(&area, next);
	area.path = arena_strdup(&view->arena, area.path);
	if (!array_push(&view->areas, area))
		return error_no_memory();
	bool from_file = area.path && area.path[0] == '/' &&
			 !(area.permissions & STROBE_PERMISSION_WRITE) && !relocated;
	if (from_file || !(area.permissions & STROBE_PERMISSION_READ) ||
	    (area.path && strcmp(area.path, "[vsyscall]") == 0))
		return NULL;
	return view_add_lazy(view, area.start, area.end, memory, area.start);
}

static struct strobe_error *add_auxv(struct strobe_view *view, int pid)
{
	struct text text cleanup_text = {0};
	if (!read_proc(pid, "auxv", &text))
		return NULL;
	for (size_t at = 0; at + 16 <= text.size; at += 16) {
		struct auxv_entry entry;
		memcpy(&entry.type, text.data + at, 8);
		memcpy(&entry.value, text.data + at + 8, 8);
		if (!array_push(&view->auxv, entry))
			return error_no_memory();
	}
	return NULL;
}

static struct strobe_error *fill_view(struct native_program *program, struct strobe_view *view,
				      char *maps)
{
	const struct lazy_source *memory = NULL;
	struct lazy_source source = {.read = read_memory, .context = &program->memory};
	struct strobe_error *error = view_own_source(view, &source, &memory);
	program->source = memory;
	for (char *line = maps, *end; !error && *line; line = end) {
		end = strchr(line, '\n');
		end = end ? end : line + strlen(line);
		if (*end)
			*end++ = 0;
		error = add_area(view, line, end, memory);
	}
	if (!error)
		error = add_auxv(view, program->pid);
	if (error)
		return error;
	struct strobe_thread thread = view_thread(program->pid);
	struct register_blocks blocks = {.general = program->registers};
	char path[64], *executable = arena_alloc(&view->arena, 4096);
	snprintf(path, sizeof(path), "/proc/%d/exe", program->pid);
	if (executable && readlink(path, executable, 4095) > 0)
		view->info.executable = executable;
	thread.has_registers = true;
	view->info.pid = program->pid;
	view->info.source_kind = "process";
	view->info.machine = "x86_64";
	view->info.page_size_bytes = 4096;
	view->is_x86_64 = true;
	view->word_bytes = 8;
	view->files_listed = true;
	if (!array_push(&view->threads, thread) || !array_push(&view->registers, blocks))
		return error_no_memory();
	return view_finish(view);
}

/** What files have is there also when the process has ended, and its last hits are looked at. */
static void open_files(const struct strobe_view *view)
{
	uint8_t byte;
	for (size_t i = 0; i < view->mappings.count; i++)
		if (view->mappings.items[i].path && view->mappings.items[i].path[0] == '/' &&
		    !(view->mappings.items[i].permissions & STROBE_PERMISSION_WRITE))
			strobe_memory_read(view, view->mappings.items[i].start, &byte, 1);
}

/** Opens view and symbols anew. */
static struct strobe_error *look(struct native_program *program, struct text *maps)
{
	struct strobe_view *view = NULL;
	struct strobe_symbols *symbols = NULL;
	char root[64];
	// Of another mount namespace files are found below its root.
	snprintf(root, sizeof(root), "/proc/%d/root", program->pid);
	struct strobe_view_options options = {.size = sizeof(options), .sysroot = root};
	struct strobe_error *error = view_new(&options, &view);
	if (!error)
		error = fill_view(program, view, maps->data);
	if (!error)
		error = strobe_symbols_open(view, &symbols);
	if (error) {
		strobe_view_close(view);
		return error;
	}
	program->code = code_map_free(program->code);
	strobe_symbols_close(program->symbols);
	strobe_view_close(program->view);
	program->personalities.known = program->raisers.known = false;
	program->view = view;
	program->symbols = symbols;
	open_files(view);
	return NULL;
}

struct strobe_error *native_program_refresh(struct native_program *program, bool *changed)
{
	struct text maps cleanup_text = {0};
	*changed = false;
	if (!read_proc(program->pid, "maps", &maps) || maps.size == 0)
		return maps.failed ? error_no_memory()
				   : error_new(STROBE_ERROR_NOT_FOUND, "process %d has ended",
					       program->pid);
	// What matters is files: heaps and stacks grow all the time.
	uint64_t hash = 0;
	for (const char *line = maps.data; line && *line;) {
		const char *end = strchr(line, '\n'), *path = strchr(line, '/');
		if (path && (!end || path < end)) {
			uint64_t parts[2] = {
				hash, hash_bytes(line, end ? (size_t)(end - line) : strlen(line))};
			hash = hash_bytes(parts, sizeof(parts));
		}
		line = end ? end + 1 : NULL;
	}
	if (program->view && hash == program->maps_hash)
		return native_program_extend(program);
	struct strobe_error *error = look(program, &maps);
	if (!error) {
		program->maps_hash = hash;
		*changed = true;
	}
	return error;
}

/** Takes [start, end) in, which nothing covers. */
static struct strobe_error *insert(struct native_program *program, const struct area *area,
				   uint64_t start, uint64_t end)
{
	struct strobe_view *view = program->view;
	struct strobe_mapping mapping = {.start = start,
					 .end = end,
					 .permissions = area->permissions,
					 .module_index = SIZE_MAX};
	struct mapping_state state = {.backing = SIZE_MAX};
	size_t at = 0;
	while (at < view->mappings.count && view->mappings.items[at].start < start)
		at++;
	if (!array_push(&view->mappings, mapping))
		return error_no_memory();
	if (!array_push(&view->mapping_states, state)) {
		view->mappings.count--;
		return error_no_memory();
	}
	size_t behind = view->mappings.count - 1 - at;
	memmove(&view->mappings.items[at + 1], &view->mappings.items[at], behind * sizeof(mapping));
	memmove(&view->mapping_states.items[at + 1], &view->mapping_states.items[at],
		behind * sizeof(state));
	view->mappings.items[at] = mapping;
	view->mapping_states.items[at] = state;
	struct strobe_error *error = view_add_lazy(view, start, end, program->source, start);
	view_sort_segments(view);
	view->last_segment = view->last_mapping = 0;
	return error;
}

/** What of an area is not in the view yet. */
static struct strobe_error *insert_rest(struct native_program *program, const struct area *area)
{
	struct strobe_error *error = NULL;
	for (uint64_t at = area->start; at < area->end && !error;) {
		const struct strobe_mapping *mapping = strobe_view_mapping_at(program->view, at);
		if (mapping) {
			at = mapping->end;
			continue;
		}
		uint64_t end = area->end;
		for (size_t i = 0; i < program->view->mappings.count; i++) {
			uint64_t start = program->view->mappings.items[i].start;
			if (start > at && start < end)
				end = start;
		}
		error = insert(program, area, at, end);
		at = end;
	}
	return error;
}

struct strobe_error *native_program_extend(struct native_program *program)
{
	struct text maps cleanup_text = {0};
	struct strobe_error *error = NULL;
	if (!read_proc(program->pid, "maps", &maps) || !maps.data)
		return maps.failed ? error_no_memory() : NULL;
	for (char *line = maps.data, *end; !error && *line; line = end) {
		struct area area;
		end = strchr(line, '\n');
		end = end ? end : line + strlen(line);
		if (*end)
			*end++ = 0;
		// Files make a view of their own: native_program_refresh().
		if (read_line(line, &area) && (!area.path || area.path[0] != '/') &&
		    (area.permissions & STROBE_PERMISSION_READ))
			error = insert_rest(program, &area);
	}
	return error;
}

/** The directory that the main program was compiled in: by its first file with a whole name. */
static void find_root(struct native_program *program, const struct strobe_watch_options *options)
{
	struct strobe_function main_function;
	if (options && options->application_root) {
		program->root = strdup(options->application_root);
		return;
	}
	struct strobe_error *error = strobe_function_find(program->symbols, "main", &main_function);
	if (error || !main_function.file || main_function.file[0] != '/') {
		strobe_error_free(error);
		return;
	}
	program->root = strdup(main_function.file);
	if (program->root)
		*strrchr(program->root, '/') = 0;
}

struct strobe_error *native_program_new(int pid, const struct strobe_watch_options *options,
					struct native_program **ret)
{
	struct native_program *program = calloc(1, sizeof(*program));
	char path[64];
	bool changed;
	if (!program)
		return error_no_memory();
	program->pid = pid;
	snprintf(path, sizeof(path), "/proc/%d/mem", pid);
	program->memory = open(path, O_RDONLY | O_CLOEXEC);
	struct strobe_error *error = NULL;
	if (program->memory < 0)
		error = errno == ENOENT ? error_new(STROBE_ERROR_NOT_FOUND, "no process %d", pid)
					: error_errno(errno, "memory of process %d", pid);
	if (!error)
		error = native_program_refresh(program, &changed);
	if (error) {
		native_program_free(program);
		return error;
	}
	if (options) {
		program->include = options->in_app_include;
		program->exclude = options->in_app_exclude;
	}
	find_root(program, options);
	*ret = program;
	return NULL;
}

struct native_program *native_program_free(struct native_program *program)
{
	if (!program)
		return NULL;
	code_map_free(program->code);
	hash_fini(&program->with_text);
	free(program->personalities.items);
	free(program->raisers.items);
	strobe_symbols_close(program->symbols);
	strobe_view_close(program->view);
	if (program->memory >= 0)
		close(program->memory);
	arena_fini(&program->places_arena);
	free(program->places);
	free(program->root);
	free(program);
	return NULL;
}

struct strobe_symbols *native_program_symbols(struct native_program *program)
{
	return program->symbols;
}

static bool begins(const char *const *beginnings, const char *text)
{
	for (; text && beginnings && *beginnings; beginnings++)
		if (strncmp(*beginnings, text, strlen(*beginnings)) == 0)
			return true;
	return false;
}

bool native_is_app_frame(const struct native_program *program, const char *file,
			 size_t module_index)
{
	const struct strobe_module *module =
		module_index < strobe_view_module_count(program->view)
			? strobe_view_module(program->view, module_index)
			: NULL;
	if (begins(program->exclude, file) || (module && begins(program->exclude, module->name)))
		return false;
	if (begins(program->include, file) || (module && begins(program->include, module->name)))
		return true;
	return file && program->root && strncmp(file, program->root, strlen(program->root)) == 0;
}

const char *native_short_path(const struct native_program *program, const char *file)
{
	size_t size = program->root ? strlen(program->root) : 0;
	if (!file || !size || strncmp(file, program->root, size) != 0 || file[size] != '/')
		return file;
	return file + size + 1;
}
