// SPDX-License-Identifier: Apache-2.0
#include "snapshot/write_sink.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"

enum { ZEROS_SIZE = 64 << 10, SETTLE_SIZE = 32 << 20 };

void sink_init(struct sink *sink, int fd, const char *name)
{
	struct stat status;
	int flags = fcntl(fd, F_GETFL);
	*sink = (struct sink){.fd = fd, .name = name};
	// Bytes that are already there would show through holes; O_APPEND ignores offsets.
	sink->seekable = fstat(fd, &status) == 0 && S_ISREG(status.st_mode) &&
			 status.st_size == 0 && lseek(fd, 0, SEEK_CUR) == 0 && flags >= 0 &&
			 !(flags & O_APPEND);
}

static struct strobe_error *fail(const struct sink *sink, int errnum)
{
	return error_errno(errnum, "%s: cannot write", sink->name);
}

static struct strobe_error *write_at(struct sink *sink, uint64_t offset, const uint8_t *bytes,
				     size_t size)
{
	while (size) {
		ssize_t done = sink->seekable ? pwrite(sink->fd, bytes, size, (off_t)offset)
					      : write(sink->fd, bytes, size);
		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return fail(sink, errno);
		if (done == 0)
			return fail(sink, ENOSPC);
		bytes += done;
		offset += (uint64_t)done;
		size -= (size_t)done;
	}
	return NULL;
}

/** Lets the disk begin early: fsync at the end then has little left to wait for. */
static void settle(struct sink *sink)
{
	if (!sink->seekable || sink->unhurried || sink->position - sink->settled < SETTLE_SIZE)
		return;
	(void)sync_file_range(sink->fd, (off_t)sink->settled,
			      (off_t)(sink->position - sink->settled), SYNC_FILE_RANGE_WRITE);
	sink->settled = sink->position;
}

struct strobe_error *sink_write(struct sink *sink, const void *bytes, size_t size)
{
	struct strobe_error *error = write_at(sink, sink->position, bytes, size);
	if (error)
		return error;
	sink->position += size;
	settle(sink);
	return NULL;
}

struct strobe_error *sink_skip(struct sink *sink, uint64_t size)
{
	static const uint8_t zeros[ZEROS_SIZE];
	if (sink->seekable) {
		sink->position += size;
		return NULL;
	}
	while (size) {
		size_t piece = size < ZEROS_SIZE ? (size_t)size : ZEROS_SIZE;
		struct strobe_error *error = sink_write(sink, zeros, piece);
		if (error)
			return error;
		size -= piece;
	}
	return NULL;
}

struct strobe_error *sink_write_ahead(struct sink *sink, uint64_t offset, const void *bytes,
				      size_t size)
{
	return write_at(sink, offset, bytes, size);
}

struct strobe_error *sink_finish(struct sink *sink)
{
	if (!sink->seekable)
		return NULL;
	if (ftruncate(sink->fd, (off_t)sink->position) != 0)
		return fail(sink, errno);
	// Who shares the descriptor goes on behind what was written.
	(void)lseek(sink->fd, (off_t)sink->position, SEEK_SET);
	return NULL;
}

uint64_t sink_disk_bytes(const struct sink *sink)
{
	struct stat status;
	if (!sink->seekable || fstat(sink->fd, &status) != 0)
		return sink->position;
	return (uint64_t)status.st_blocks * 512;
}
