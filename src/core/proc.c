// SPDX-License-Identifier: Apache-2.0
// Text of files in /proc, as minidumps carry it along.
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "core/core.h"

enum { MAX_LINE = 8192 };

/** The next line (without newline, cut at MAX_LINE) of [*at, end) into `line`; false at the end. */
static bool next_line(const char **at, const char *end, char line[MAX_LINE])
{
	if (*at >= end)
		return false;
	const char *newline = memchr(*at, '\n', (size_t)(end - *at));
	size_t length = (size_t)((newline ? newline : end) - *at);
	size_t kept = length < MAX_LINE - 1 ? length : MAX_LINE - 1;
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

struct strobe_error *proc_read_maps(struct strobe_view *view, const char *text, size_t size)
{
	const char *at = text;
	char line[MAX_LINE];
	while (next_line(&at, text + size, line)) {
		struct area area = {0};
		char permissions[5] = "";
		int path_at = 0;
		if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %4s %" SCNx64 " %*s %*s %n", &area.start,
			   &area.end, permissions, &area.offset_bytes, &path_at) < 4 ||
		    strlen(permissions) != 4 || area.start >= area.end) {
			view_warn(view, "%s: damaged: a line of its memory map: %s",
				  view->info.source_path, line);
			continue;
		}
		area.permissions = permissions_of(permissions);
		if (path_at && line[path_at]) {
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

void proc_read_status(struct strobe_view *view, const char *text, size_t size)
{
	struct strobe_process_info *info = &view->info;
	const char *at = text;
	char line[MAX_LINE];
	while (next_line(&at, text + size, line)) {
		if (strncmp(line, "Name:\t", 6) == 0)
			info->name = arena_strdup(&view->arena, line + 6);
		else if (sscanf(line, "State: %c", &info->state) == 1 ||
			 sscanf(line, "Tgid: %d", &info->pid) == 1 ||
			 sscanf(line, "PPid: %d", &info->ppid) == 1 ||
			 sscanf(line, "NSpgid: %d", &info->pgid) == 1 ||
			 sscanf(line, "NSsid: %d", &info->sid) == 1 ||
			 sscanf(line, "Uid: %" SCNd64, &info->uid) == 1 ||
			 sscanf(line, "Gid: %" SCNd64, &info->gid) == 1)
			continue;
	}
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
