// SPDX-License-Identifier: Apache-2.0
// Where dumps go on: a line a trace and thread in $XDG_STATE_HOME/strobe/trace-dump,
// "f|b POSITION TID PATH"; "-" for the position of one that is at its end.

#include "trace/dump.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LINES_LIMIT = 100, LINE_SIZE = PATH_MAX + 128 };

static bool state_folder(char *buffer, size_t size)
{
	const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
	int used;
	if (state && state[0] == '/')
		used = snprintf(buffer, size, "%s/strobe", state);
	else if (home && home[0] == '/')
		used = snprintf(buffer, size, "%s/.local/state/strobe", home);
	else
		return false;
	return used > 0 && (size_t)used < size;
}

bool resume_place(char *buffer, size_t size)
{
	size_t used;
	if (!state_folder(buffer, size))
		return false;
	used = strlen(buffer);
	return (size_t)snprintf(buffer + used, size - used, "/trace-dump") < size - used;
}

static void make_folders(char *path)
{
	for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		mkdir(path, 0700); // if that fails, so will what follows
		*slash = '/';
	}
}

/** A line, taken apart. */
struct noted {
	char direction;
	char position[sizeof(((struct strobe_position *)NULL)->text)];
	int tid;
	const char *path;
};

static bool read_line(char *line, struct noted *ret)
{
	int used = 0;
	line[strcspn(line, "\n")] = '\0';
	if (sscanf(line, "%c %63s %d %n", &ret->direction, ret->position, &ret->tid, &used) < 3 ||
	    !used || (ret->direction != 'f' && ret->direction != 'b'))
		return false;
	ret->path = line + used;
	return true;
}

static void copy_others(FILE *from, FILE *to, const char *path, int tid)
{
	char line[LINE_SIZE];
	for (unsigned count = 1; count < LINES_LIMIT && fgets(line, sizeof(line), from);) {
		struct noted noted;
		if (!read_line(line, &noted) || (noted.tid == tid && strcmp(noted.path, path) == 0))
			continue;
		fprintf(to, "%s\n", line);
		count++;
	}
}

// The newest comes first, and the oldest are dropped.
static void write_state(FILE *to, const char *place, const char *path, int tid,
			const struct resume *resume)
{
	fprintf(to, "%c %s %d %s\n", resume && resume->forwards ? 'f' : 'b',
		resume ? resume->position.text : "-", tid, path);
	FILE *from = fopen(place, "re");
	if (!from)
		return;
	copy_others(from, to, path, tid);
	fclose(from);
}

void resume_save(const char *path, int tid, const struct resume *resume)
{
	char place[PATH_MAX], temporary[PATH_MAX + 8], full[PATH_MAX];
	if (!resume_place(place, sizeof(place)) || !realpath(path, full) || strchr(full, '\n'))
		return;
	make_folders(place);
	snprintf(temporary, sizeof(temporary), "%s.XXXXXX", place);
	int fd = mkostemp(temporary, O_CLOEXEC);
	FILE *to = fd >= 0 ? fdopen(fd, "w") : NULL;
	if (!to) {
		if (fd >= 0)
			close(fd);
		return;
	}
	write_state(to, place, full, tid, resume);
	bool good = !ferror(to);
	good = fclose(to) == 0 && good;
	if (!good || rename(temporary, place) != 0)
		unlink(temporary);
}

bool resume_load(const char *path, int tid, struct resume *ret)
{
	char place[PATH_MAX], full[PATH_MAX], line[LINE_SIZE];
	bool found = false;
	FILE *from = NULL;
	if (resume_place(place, sizeof(place)) && realpath(path, full))
		from = fopen(place, "re");
	while (from && !found && fgets(line, sizeof(line), from)) {
		struct noted noted;
		if (!read_line(line, &noted) || noted.tid != tid || strcmp(noted.path, full) != 0)
			continue;
		found = true;
		ret->forwards = noted.direction == 'f';
		snprintf(ret->position.text, sizeof(ret->position.text), "%s", noted.position);
	}
	if (from)
		fclose(from);
	return found;
}
