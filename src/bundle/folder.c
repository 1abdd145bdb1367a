// SPDX-License-Identifier: Apache-2.0
#include "bundle/folder.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"

enum { WRITTEN_AT_ONCE = 1 << 22 };

struct strobe_error *folder_begin(struct folder *folder, const char *path)
{
	size_t length = strlen(path);
	memset(folder, 0, sizeof(*folder));
	while (length > 1 && path[length - 1] == '/')
		length--;
	folder->path = strndup(path, length);
	if (!folder->path)
		return error_no_memory();
	// An empty folder is replaced; anything else is not.
	if (rmdir(folder->path) != 0 && errno != ENOENT)
		return error_errno(errno == ENOTDIR ? EEXIST : errno, "%s", path);
	if (asprintf(&folder->temporary, "%s.XXXXXX", folder->path) < 0) {
		folder->temporary = NULL;
		return error_no_memory();
	}
	if (mkdtemp(folder->temporary))
		return NULL;
	struct strobe_error *error = error_errno(errno, "%s", path);
	free(folder->temporary);
	folder->temporary = NULL;
	return error;
}

/** Remembers what was made, for taking it away again; false when memory is short. */
static bool note_made(struct folder *folder, const char *name, size_t length)
{
	char *copy = strndup(name, length);
	if (copy && array_push(&folder->made, copy))
		return true;
	free(copy);
	return false;
}

static char *join(const struct folder *folder, const char *name, size_t length)
{
	char *path = NULL;
	int done = asprintf(&path, "%s/%.*s", folder->temporary, (int)length, name);
	return done < 0 ? NULL : path;
}

static struct strobe_error *make_folders(struct folder *folder, const char *name)
{
	for (const char *slash = strchr(name, '/'); slash; slash = strchr(slash + 1, '/')) {
		size_t length = (size_t)(slash - name);
		char *path = join(folder, name, length);
		if (!path)
			return error_no_memory();
		int failed = mkdir(path, 0700) == 0 ? 0 : errno;
		struct strobe_error *error =
			failed && failed != EEXIST ? error_errno(failed, "%s", path) : NULL;
		free(path);
		if (error)
			return error;
		if (!failed && !note_made(folder, name, length))
			return error_no_memory();
	}
	return NULL;
}

struct strobe_error *folder_open(struct folder *folder, const char *name, int *ret_fd)
{
	struct strobe_error *error = make_folders(folder, name);
	if (error)
		return error;
	char *path = join(folder, name, strlen(name));
	if (!path || !note_made(folder, name, strlen(name))) {
		free(path);
		return error_no_memory();
	}
	*ret_fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (*ret_fd < 0)
		error = error_errno(errno, "%s", path);
	free(path);
	return error;
}

struct strobe_error *folder_write(struct folder *folder, int fd, const void *bytes, uint64_t size)
{
	const char *at = bytes;
	while (size) {
		size_t part = size < WRITTEN_AT_ONCE ? (size_t)size : WRITTEN_AT_ONCE;
		ssize_t written = write(fd, at, part);
		if (written < 0 && errno == EINTR)
			continue;
		if (written <= 0)
			return error_errno(written < 0 ? errno : ENOSPC, "%s", folder->path);
		at += written;
		size -= (uint64_t)written;
		folder->written_bytes += (uint64_t)written;
		if (folder->progress && folder->expected_bytes &&
		    !folder->progress(folder->progress_context, folder->written_bytes,
				      folder->expected_bytes))
			return error_new(STROBE_ERROR_LIMIT, "cancelled");
	}
	return NULL;
}

struct strobe_error *folder_close(struct folder *folder, int fd)
{
	int failed = fsync(fd) == 0 || errno == EINVAL ? 0 : errno;
	if (close(fd) != 0 && !failed)
		failed = errno;
	return failed ? error_errno(failed, "%s", folder->path) : NULL;
}

struct strobe_error *folder_commit(struct folder *folder)
{
	int fd = open(folder->temporary, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0) {
		(void)fsync(fd); // some file systems cannot: the rename below is what counts
		close(fd);
	}
	if (rename(folder->temporary, folder->path) != 0)
		return error_errno(errno, "%s", folder->path);
	free(folder->temporary);
	folder->temporary = NULL;
	return NULL;
}

void folder_end(struct folder *folder)
{
	for (size_t i = folder->made.count; i-- > 0;) {
		char *name = folder->made.items[i];
		char *path = folder->temporary ? join(folder, name, strlen(name)) : NULL;
		if (path && unlink(path) != 0)
			(void)rmdir(path);
		free(path);
		free(name);
	}
	if (folder->temporary)
		(void)rmdir(folder->temporary);
	array_fini(&folder->made);
	free(folder->temporary);
	free(folder->path);
	memset(folder, 0, sizeof(*folder));
}
