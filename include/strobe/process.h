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

#ifdef __cplusplus
}
#endif
#endif
