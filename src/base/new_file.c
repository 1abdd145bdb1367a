// SPDX-License-Identifier: Apache-2.0
#include "base/new_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"

enum { NAME_TRIES = 100, NAME_SIZE = 40, MODE = 0600 };

/** Splits where the file will stand into a directory's descriptor and a name. */
static struct strobe_error *find_place(struct new_file *file, const char *path)
{
	char *whole = realpath(path, NULL);
	if (!whole)
		whole = strdup(path);
	if (!whole)
		return error_no_memory();
	char *slash = strrchr(whole, '/');
	file->name = strdup(slash ? slash + 1 : whole);
	if (slash)
		slash[slash == whole] = '\0';
	if (file->name)
		file->directory = open(slash ? whole : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int saved = errno;
	free(whole);
	if (!file->name)
		return error_no_memory();
	if (file->directory < 0)
		return error_errno(saved, "%s: cannot open its directory", path);
	if (!*file->name)
		return error_new(STROBE_ERROR_INVALID, "%s: is a directory", path);
	return NULL;
}

static void make_name(char name[NAME_SIZE])
{
	uint64_t number = 0;
	if (getrandom(&number, sizeof(number), GRND_NONBLOCK) < 0)
		number = (uint64_t)getpid(); // tried again with others if it is taken
	snprintf(name, NAME_SIZE, ".strobe-%016llx.tmp", (unsigned long long)number);
}

/** A file with a temporary name: with O_CREAT, or for `fd` that has none. True if done. */
static bool give_name(struct new_file *file)
{
	char name[NAME_SIZE], link[32];
	snprintf(link, sizeof(link), "/proc/self/fd/%d", file->fd);
	for (unsigned i = 0; i < NAME_TRIES; i++) {
		make_name(name);
		if (file->fd >= 0) {
			if (linkat(AT_FDCWD, link, file->directory, name, AT_SYMLINK_FOLLOW) == 0)
				break;
		} else {
			file->fd = openat(file->directory, name,
					  O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, MODE);
			if (file->fd >= 0)
				break;
		}
		if (errno != EEXIST || i == NAME_TRIES - 1)
			return false;
	}
	file->temporary = strdup(name);
	if (!file->temporary) {
		unlinkat(file->directory, name, 0);
		errno = ENOMEM;
	}
	return file->temporary;
}

static struct strobe_error *open_beside(struct new_file *file, const char *path)
{
	struct strobe_error *error = find_place(file, path);
	if (error)
		return error;
	// Without a name it goes away with us, however we end.
	file->fd = openat(file->directory, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, MODE);
	if (file->fd < 0 &&
	    (errno == EOPNOTSUPP || errno == EISDIR || errno == ENOENT || errno == EINVAL)) {
		if (give_name(file))
			return NULL;
	}
	return file->fd < 0 ? error_errno(errno, "%s: cannot create", path) : NULL;
}

struct strobe_error *new_file_open(struct new_file *file, const char *path)
{
	struct stat status;
	*file = (struct new_file){.fd = -1, .directory = -1};
	struct strobe_error *error = NULL;
	file->path = strdup(path);
	if (!file->path)
		error = error_no_memory();
	else if (stat(path, &status) == 0 && S_ISDIR(status.st_mode))
		error = error_new(STROBE_ERROR_INVALID, "%s: is a directory", path);
	else if (stat(path, &status) == 0 && !S_ISREG(status.st_mode))
		// To put a file in the place of /dev/null would be a surprise.
		file->fd = open(path, O_WRONLY | O_CLOEXEC);
	else
		error = open_beside(file, path);
	if (!error && file->fd < 0)
		error = error_errno(errno, "%s: cannot open", path);
	if (error)
		new_file_discard(file);
	return error;
}

static bool put_in_place(struct new_file *file)
{
	char link[32];
	snprintf(link, sizeof(link), "/proc/self/fd/%d", file->fd);
	if (!file->temporary &&
	    linkat(AT_FDCWD, link, file->directory, file->name, AT_SYMLINK_FOLLOW) == 0)
		return true;
	// linkat() replaces nothing: a name for an instant, and rename().
	if (!file->temporary && (errno != EEXIST || !give_name(file)))
		return false;
	if (renameat(file->directory, file->temporary, file->directory, file->name) != 0)
		return false;
	free(file->temporary);
	file->temporary = NULL;
	return true;
}

struct strobe_error *new_file_commit(struct new_file *file, bool no_fsync)
{
	struct strobe_error *error = NULL;
	int synced = 0;
	if (file->directory < 0) { // a device or a pipe
		if (close(file->fd) != 0 && errno != EINTR)
			error = error_errno(errno, "%s: cannot write", file->path);
		file->fd = -1;
	} else if (!no_fsync && fsync(file->fd) != 0) {
		error = error_errno(errno, "%s: cannot write", file->path);
	} else if (!put_in_place(file)) {
		error = error_errno(errno, "%s: cannot put the finished file there", file->path);
	} else if (!no_fsync) {
		// The file is there already: a directory that cannot be synced is no failure.
		synced = fsync(file->directory);
		(void)synced;
	}
	new_file_discard(file);
	return error;
}

void new_file_discard(struct new_file *file)
{
	if (file->temporary)
		unlinkat(file->directory, file->temporary, 0);
	if (file->fd >= 0)
		close(file->fd);
	if (file->directory >= 0)
		close(file->directory);
	free(file->temporary);
	free(file->name);
	free(file->path);
	*file = (struct new_file){.fd = -1, .directory = -1};
}
