// SPDX-License-Identifier: Apache-2.0
#include "trace/spool.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/error.h"

enum { BUFFER_SIZE = 64 << 10 };

bool spool_write_at(int fd, uint64_t offset, const void *bytes, size_t size)
{
	size_t done = 0;
	while (done < size) {
		ssize_t put =
			pwrite(fd, (const char *)bytes + done, size - done, (off_t)(offset + done));
		if (put < 0 && errno == EINTR)
			continue;
		if (put == 0)
			errno = ENOSPC;
		if (put <= 0)
			return false;
		done += (size_t)put;
	}
	return true;
}

bool spool_read_at(int fd, uint64_t offset, void *bytes, size_t size)
{
	size_t done = 0;
	while (done < size) {
		ssize_t got = pread(fd, (char *)bytes + done, size - done, (off_t)(offset + done));
		if (got < 0 && errno == EINTR)
			continue;
		if (got == 0)
			errno = EIO; // it was longer
		if (got <= 0)
			return false;
		done += (size_t)got;
	}
	return true;
}

void spool_init(struct spool *spool)
{
	*spool = (struct spool){.fd = -1};
}

void spool_fini(struct spool *spool)
{
	if (spool->fd >= 0)
		close(spool->fd);
	free(spool->buffer);
	spool_init(spool);
}

/** A file without a name where temporary files go, or in memory if there is no room for one. */
static int open_nameless(void)
{
	const char *folder = getenv("TMPDIR");
	int fd = open(folder && *folder ? folder : "/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	return fd >= 0 ? fd : memfd_create("strobe-spool", MFD_CLOEXEC);
}

static struct strobe_error *flush(struct spool *spool)
{
	if (spool->fd < 0)
		spool->fd = open_nameless();
	if (spool->fd < 0 ||
	    !spool_write_at(spool->fd, spool->size - spool->pending, spool->buffer, spool->pending))
		return error_errno(errno, "a temporary file for the index");
	spool->pending = 0;
	return NULL;
}

struct strobe_error *spool_append(struct spool *spool, const void *bytes, size_t size)
{
	assert(size <= BUFFER_SIZE);
	if (!spool->buffer && !(spool->buffer = malloc(BUFFER_SIZE)))
		return error_no_memory();
	if (spool->pending + size > BUFFER_SIZE) {
		struct strobe_error *error = flush(spool);
		if (error)
			return error;
	}
	memcpy(spool->buffer + spool->pending, bytes, size);
	spool->pending += size;
	spool->size += size;
	return NULL;
}

struct strobe_error *spool_reader_init(struct spool_reader *reader, struct spool *spool,
				       const uint64_t range[2], size_t capacity)
{
	assert(range[0] <= range[1] && range[1] <= spool->size);
	*reader = (struct spool_reader){
		.spool = spool, .at = range[0], .end = range[1], .capacity = capacity};
	if (spool->pending) {
		struct strobe_error *error = flush(spool);
		if (error)
			return error;
	}
	reader->buffer = malloc(capacity);
	return reader->buffer ? NULL : error_no_memory();
}

void spool_reader_fini(struct spool_reader *reader)
{
	free(reader->buffer);
	*reader = (struct spool_reader){0};
}

struct strobe_error *spool_peek(struct spool_reader *reader, size_t size, const uint8_t **ret,
				size_t *ret_size)
{
	assert(size <= reader->capacity);
	size_t left = reader->have - reader->used;
	if (left < size && reader->at < reader->end) {
		memmove(reader->buffer, reader->buffer + reader->used, left);
		reader->used = 0;
		reader->have = left;
		uint64_t room = reader->capacity - left, rest = reader->end - reader->at;
		size_t more = (size_t)(rest < room ? rest : room);
		if (!spool_read_at(reader->spool->fd, reader->at, reader->buffer + left, more))
			return error_errno(errno, "a temporary file for the index");
		reader->at += more;
		reader->have += more;
		left = reader->have;
	}
	*ret = reader->buffer + reader->used;
	*ret_size = left < size ? left : size;
	return NULL;
}

void spool_skip(struct spool_reader *reader, size_t size)
{
	assert(size <= reader->have - reader->used);
	reader->used += size;
}
