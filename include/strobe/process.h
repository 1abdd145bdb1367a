// SPDX-License-Identifier: Apache-2.0
#ifndef STROBE_PROCESS_H
#define STROBE_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <strobe/error.h>

#ifdef __cplusplus
extern "C" {
#endif

/** The processes of this machine, at about one time: they come and go while they are listed. Any
 *  thread; strings are borrowed from the list. */
struct strobe_process_list;

/** A living process, as /proc tells it. Strings are NULL and numbers -1 where it does not. */
struct strobe_process {
	int pid, ppid;
	int64_t uid; /**< effective */
	int64_t thread_count;
	int64_t resident_bytes; /**< of its memory in RAM, shared pages included; 0 for the kernel's */
	char state;		/**< 'R', 'S', ...; 0 if unknown */
	bool kernel;		/**< a thread of the kernel's */
	const char *name;	/**< 15 bytes at most for programs */
	const char *command;	/**< command line, joined with spaces; NULL if it is empty */
	const char
		*refused; /**< why it cannot be captured, and what would allow it; NULL if it can */
};

/**
 * Lists all processes, by number. None of them is touched: `refused` follows from what /proc
 * shows and from whether the kernel would let us read its memory. The caller owns `*ret`.
 * Errors: SYSTEM (/proc cannot be read), NO_MEMORY.
 */
STROBE_EXPORT struct strobe_error *strobe_process_list_take(struct strobe_process_list **ret)
	STROBE_MUST_CHECK;
/** Releases it (NULL is fine). Returns NULL. */
STROBE_EXPORT struct strobe_process_list *
strobe_process_list_close(struct strobe_process_list *list);
STROBE_EXPORT size_t strobe_process_list_count(const struct strobe_process_list *list);
/** Process `index` < count. */
STROBE_EXPORT const struct strobe_process *
strobe_process_list_get(const struct strobe_process_list *list, size_t index);

/** What strobe_process_write() met. Zero-initialise, then set `size`. */
struct strobe_process_written {
	size_t size;	/**< sizeof(struct strobe_process_written) */
	bool read_only; /**< the process itself could not write all of it */
};

/**
 * Writes `size` bytes at `address` of the living process `pid`, which is not stopped for it: its
 * threads may see a part of the bytes changed before the rest. `old_bytes` (size bytes) gets what
 * was there just before; it and `ret` may be NULL. Memory that the process maps read-only and
 * privately is written to, as by a debugger. Any thread.
 * Errors: NOT_FOUND (no such process); UNREADABLE with the first address that is not mapped, or
 * cannot be read or written (the message says how much was written before it, if anything was);
 * UNSUPPORTED (memory that may be executed: a thread may be running it; shared memory that the
 * process maps read-only); INVALID (size 0, past the top); LIMIT (256 MiB); SYSTEM with EPERM or
 * EACCES and what would allow it, SYSTEM otherwise.
 */
STROBE_EXPORT struct strobe_error *
strobe_process_write(int pid, uint64_t address, const void *bytes, size_t size, void *old_bytes,
		     struct strobe_process_written *ret) STROBE_MUST_CHECK;

#ifdef __cplusplus
}
#endif
#endif
