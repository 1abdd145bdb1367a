// SPDX-License-Identifier: Apache-2.0
#include "core/proc.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"

bool proc_next_line(const char **at, const char *end, char line[PROC_LINE_SIZE])
{
	if (*at >= end)
		return false;
	const char *newline = memchr(*at, '\n', (size_t)(end - *at));
	size_t length = (size_t)((newline ? newline : end) - *at);
	size_t kept = length < PROC_LINE_SIZE - 1 ? length : PROC_LINE_SIZE - 1;
	memcpy(line, *at, kept);
	line[kept] = '\0';
	*at += length + (newline != NULL);
	return true;
}

static unsigned permissions_of(const char *text)
{
	return (text[0] == 'r' ? STROBE_PERMISSION_READ : 0) |
	       (text[1] == 'w' ? STROBE_PERMISSION_WRITE : 0) |
	       (text[2] == 'x' ? STROBE_PERMISSION_EXECUTE : 0) |
	       (text[3] == 's' ? STROBE_PERMISSION_SHARED : 0);
}

/** The kernel writes a newline in a path as \\012, and nothing else so. */
static void unescape(char *path)
{
	char *to = path;
	for (const char *from = path; *from; to++) {
		bool newline = strncmp(from, "\\012", 4) == 0;
		*to = newline ? '\n' : *from;
		from += newline ? 4 : 1;
	}
	*to = '\0';
}

struct strobe_error *proc_read_maps(struct strobe_view *view, const char *text, size_t size)
{
	const char *at = text;
	char line[PROC_LINE_SIZE];
	while (proc_next_line(&at, text + size, line)) {
		struct area area = {0};
		char permissions[5] = "";
		int path_at = 0;
		if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %4s %" SCNx64 " %x:%x %" SCNu64 " %n",
			   &area.start, &area.end, permissions, &area.offset_bytes,
			   &area.device_major, &area.device_minor, &area.inode, &path_at) < 4 ||
		    strlen(permissions) != 4 || area.start >= area.end) {
			view_warn(view, "%s: damaged: a line of its memory map: %s",
				  view->info.source_path, line);
			continue;
		}
		area.permissions = permissions_of(permissions);
		if (path_at && line[path_at]) {
			unescape(line + path_at);
			area.path = arena_strdup(&view->arena, line + path_at);
			if (!area.path)
				return error_no_memory();
		}
		if (!array_push(&view->areas, area))
			return error_no_memory();
		view->files_listed = true;
	}
	return NULL;
}

void proc_read_command(struct strobe_view *view, const char *text, size_t size)
{
	while (size && !text[size - 1])
		size--;
	char *command = size ? arena_copy_string(&view->arena, text, size) : NULL;
	for (size_t i = 0; command && i < size; i++)
		if (!command[i])
			command[i] = ' ';
	view->info.command = command;
}
