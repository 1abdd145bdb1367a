// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <strobe/process.h>
#include <unistd.h>

#include "base/error.h"
#include "base/text.h"
#include "process/permission.h"
#include "process/proc.h"

enum { WRITE_LIMIT = 1 << 28 };

static struct strobe_error *not_mapped(uint64_t address)
{
	return error_address(STROBE_ERROR_UNREADABLE, address, "0x%" PRIx64 ": not mapped",
			     address);
}

static struct strobe_error *check_mapping(const struct proc_mapping *mapping, uint64_t address)
{
	char permissions[] = {mapping->readable ? 'r' : '-', mapping->writable ? 'w' : '-',
			      mapping->executable ? 'x' : '-', mapping->shared ? 's' : 'p', 0};
	if (mapping->executable)
		return error_new(STROBE_ERROR_UNSUPPORTED,
				 "0x%" PRIx64 ": is code (%s %.*s), which a thread of a living "
				 "process may be running; write to a snapshot of it",
				 address, permissions, (int)mapping->path_size, mapping->path);
	if (mapping->shared && !mapping->writable) // the kernel makes no private copy of it
		return error_new(STROBE_ERROR_UNSUPPORTED,
				 "0x%" PRIx64 ": is shared memory that the process maps read-only "
				 "(%s %.*s)",
				 address, permissions, (int)mapping->path_size, mapping->path);
	return NULL;
}

/** Is all of [address, last] mapped, and may it be written to? */
static struct strobe_error *check_range(const char *maps, uint64_t address, uint64_t last,
					bool *read_only)
{
	struct proc_mapping mapping;
	struct strobe_error *error = NULL;
	while (!error && proc_next_mapping(&maps, &mapping)) {
		if (mapping.end <= address)
			continue;
		if (mapping.start > address)
			break;
		error = check_mapping(&mapping, address);
		*read_only = *read_only || !mapping.writable;
		if (mapping.end - 1 >= last)
			return error;
		address = mapping.end;
	}
	return error ? error : not_mapped(address);
}

static struct strobe_error *refused(int pid, int errnum, const char *what)
{
	if (errnum == EPERM || errnum == EACCES || errnum == ESRCH)
		return permission_explain(pid, errnum);
	if (errnum == ENOENT)
		return error_new(STROBE_ERROR_NOT_FOUND, "no process %d", pid);
	return error_errno(errnum, "process %d: %s", pid, what);
}

static struct strobe_error *read_old(int pid, int memory, uint64_t address, uint8_t *old,
				     size_t size)
{
	for (size_t done = 0; done < size;) {
		ssize_t got = pread(memory, old + done, size - done, (off_t)(address + done));
		if (got < 0 && errno == EINTR)
			continue;
		if (got == 0)
			return error_new(STROBE_ERROR_NOT_FOUND, "process %d has ended", pid);
		if (got < 0)
			return error_address(STROBE_ERROR_UNREADABLE, address + done,
					     "0x%" PRIx64 ": cannot be read", address + done);
		done += (size_t)got;
	}
	return NULL;
}

/** All in one call: the kernel does it page by page. */
static struct strobe_error *write_new(int pid, int memory, uint64_t address, const void *bytes,
				      size_t size)
{
	ssize_t put;
	do
		put = pwrite(memory, bytes, size, (off_t)address);
	while (put < 0 && errno == EINTR);
	if (put == (ssize_t)size)
		return NULL;
	if (put == 0)
		return error_new(STROBE_ERROR_NOT_FOUND, "process %d has ended", pid);
	uint64_t at = address + (put > 0 ? (uint64_t)put : 0);
	if (put < 0)
		return error_address(STROBE_ERROR_UNREADABLE, at,
				     "0x%" PRIx64 ": cannot be written", at);
	return error_address(STROBE_ERROR_UNREADABLE, at,
			     "0x%" PRIx64 ": cannot be written; the %zd bytes before it are", at,
			     put);
}

static struct strobe_error *write_checked(int pid, uint64_t address, const void *bytes, size_t size,
					  uint8_t *old)
{
	char path[32];
	snprintf(path, sizeof(path), "/proc/%d/mem", pid);
	int memory = open(path, O_RDWR | O_CLOEXEC);
	if (memory < 0)
		return refused(pid, errno, path);
	struct strobe_error *error = read_old(pid, memory, address, old, size);
	if (!error)
		error = write_new(pid, memory, address, bytes, size);
	close(memory);
	return error;
}

struct strobe_error *strobe_process_write(int pid, uint64_t address, const void *bytes, size_t size,
					  void *old_bytes, struct strobe_process_written *ret)
{
	char name[32];
	bool read_only = false;
	cleanup_text struct text maps = {0};
	if (size == 0)
		return error_new(STROBE_ERROR_INVALID, "nothing to write");
	if (size > WRITE_LIMIT)
		return error_new(STROBE_ERROR_LIMIT, "more than %d MiB in one write",
				 WRITE_LIMIT >> 20);
	if (address >
	    INT64_MAX - (uint64_t)size) // what a file position can be; above is the kernel
		return not_mapped(address);
	snprintf(name, sizeof(name), "%d/maps", pid);
	int errnum = proc_read(name, &maps);
	if (errnum)
		return refused(pid, errnum, "maps");
	struct strobe_error *error =
		check_range(text_string(&maps), address, address + (size - 1), &read_only);
	if (error)
		return error;
	uint8_t *old = old_bytes ? old_bytes : malloc(size);
	if (!old)
		return error_no_memory();
	error = write_checked(pid, address, bytes, size, old);
	if (!old_bytes)
		free(old);
	if (!error && ret && ret->size >= sizeof(*ret))
		ret->read_only = read_only;
	return error;
}
