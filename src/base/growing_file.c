// SPDX-License-Identifier: Apache-2.0
#include "base/growing_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"

enum { FIRST_MAP = 1 << 20 };

// A map may be longer than the file: its pages are there when the file has grown. Nobody reads beyond
// the size that fstat() told.
static struct strobe_error *map(struct growing_file *file, uint64_t size)
{
	uint64_t length = FIRST_MAP;
	while (length < size)
		length *= 2;
	if (!array_reserve(&file->maps, file->maps.count + 1))
		return error_no_memory();
	void *address = mmap(NULL, length, PROT_READ, MAP_SHARED | MAP_NORESERVE, file->fd, 0);
	if (address == MAP_FAILED)
		return error_errno(errno, "%s: mmap", file->path);
	file->maps.items[file->maps.count++] = (struct growing_map){address, length};
	file->data = address;
	return NULL;
}

struct strobe_error *growing_file_refresh(struct growing_file *file)
{
	struct stat status;
	if (fstat(file->fd, &status))
		return error_errno(errno, "%s", file->path);
	if (!S_ISREG(status.st_mode))
		return error_new(STROBE_ERROR_INVALID, "%s: not a regular file", file->path);
	uint64_t size = (uint64_t)status.st_size;
	uint64_t mapped = file->maps.count ? file->maps.items[file->maps.count - 1].size : 0;
	if (size > mapped) {
		struct strobe_error *error = map(file, size);
		if (error)
			return error;
	}
	if (size > file->size)
		file->size = size;
	return NULL;
}

struct strobe_error *growing_file_open(struct growing_file *file, const char *path)
{
	*file = (struct growing_file){.fd = -1};
	file->path = strdup(path);
	if (!file->path)
		return error_no_memory();
	file->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (file->fd < 0)
		return error_errno(errno, "%s", path);
	return growing_file_refresh(file);
}

bool growing_file_is_locked(const struct growing_file *file)
{
	if (flock(file->fd, LOCK_SH | LOCK_NB))
		return errno == EWOULDBLOCK;
	flock(file->fd, LOCK_UN);
	return false;
}

void growing_file_close(struct growing_file *file)
{
	for (size_t i = 0; i < file->maps.count; i++)
		munmap(file->maps.items[i].address, file->maps.items[i].size);
	array_fini(&file->maps);
	if (file->fd >= 0)
		close(file->fd);
	free(file->path);
	*file = (struct growing_file){.fd = -1};
}
