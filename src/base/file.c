// SPDX-License-Identifier: Apache-2.0
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/guard.h"

struct file *file_close(struct file *file)
{
	if (!file)
		return NULL;
	guard_unmap(file->data, file->size);
	if (file->data)
		munmap((void *)file->data, file->size);
	if (file->fd >= 0)
		close(file->fd);
	free(file->path);
	free(file);
	return NULL;
}

static struct file *new_file(int fd, const char *path, uint64_t size, struct timespec modified)
{
	struct file *file = calloc(1, sizeof(*file));
	if (!file) {
		close(fd);
		return NULL;
	}
	file->fd = fd;
	file->size = size;
	file->modified = modified;
	file->path = strdup(path);
	return file->path ? file : file_close(file);
}

/** Owns `fd` from here on, whatever comes of it. */
static struct strobe_error *map_file(int fd, const char *path, struct file **ret)
{
	struct stat st;
	if (fstat(fd, &st) < 0) {
		struct strobe_error *error = error_errno(errno, "%s: fstat", path);
		close(fd);
		return error;
	}
	if (!S_ISREG(st.st_mode)) {
		close(fd);
		return error_new(STROBE_ERROR_INVALID, "%s: not a regular file", path);
	}
	struct file *file = new_file(fd, path, (uint64_t)st.st_size, st.st_mtim);
	if (!file)
		return error_no_memory();
	if (file->size) {
		// MAP_NORESERVE: cores are larger than memory.
		void *data = mmap(NULL, file->size, PROT_READ, MAP_PRIVATE | MAP_NORESERVE, fd, 0);
		if (data == MAP_FAILED) {
			struct strobe_error *error = error_errno(errno, "%s: mmap", path);
			file_close(file);
			return error;
		}
		file->data = data;
		guard_map(data, file->size, file->path);
	}
	*ret = file;
	return NULL;
}

struct strobe_error *file_open(const char *path, struct file **ret)
{
	// O_NONBLOCK: a FIFO in the file's place must not hang us; regular files ignore it.
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return error_errno(errno, "%s", path);
	return map_file(fd, path, ret);
}

struct strobe_error *file_open_descriptor(int fd, const char *label, struct file **ret)
{
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (copy < 0)
		return error_errno(errno, "%s: dup", label);
	return map_file(copy, label, ret);
}

struct strobe_error *file_open_part(const struct file *whole, uint64_t offset, uint64_t size,
				    const char *label, struct file **ret)
{
	int copy = fcntl(whole->fd, F_DUPFD_CLOEXEC, 0);
	if (copy < 0)
		return error_errno(errno, "%s: dup", label);
	struct file *file = new_file(copy, label, size, whole->modified);
	if (!file)
		return error_no_memory();
	file->fd_offset = offset;
	if (size) {
		// Writable: libelf changes what elf_memory() is given.
		void *data = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_NORESERVE,
				  copy, (off_t)offset);
		if (data == MAP_FAILED) {
			struct strobe_error *error = error_errno(errno, "%s: mmap", label);
			file_close(file);
			return error;
		}
		file->data = data;
		guard_map(data, size, file->path);
	}
	*ret = file;
	return NULL;
}
