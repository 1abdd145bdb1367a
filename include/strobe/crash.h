// SPDX-License-Identifier: Apache-2.0
#ifndef STROBE_CRASH_H
#define STROBE_CRASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <strobe/error.h>
#include <strobe/snapshot.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * Saving the core of a dying process as the kernel pipes it to the program in
 * /proc/sys/kernel/core_pattern (core(5)): as a snapshot, with what /proc tells of the process while
 * it is still there. The core is written as it comes, and never held in memory.
 */

/** Zero-initialise, then set `size`. */
struct strobe_crash_options {
	size_t size; /**< sizeof(struct strobe_crash_options) */
	int pid; /**< the process, as this process sees it (%P); 0 = not known: nothing of /proc */
	int64_t time_ns;	  /**< when it died, wall clock since 1970; 0 = now */
	bool compress;		  /**< as a seekable zstd file */
	int level;		  /**< of compression, 1 to 19; 0 = 1 */
	unsigned threads;	  /**< that compress; 0 = one per processor */
	bool no_fsync;		  /**< do not wait for the disk */
	strobe_progress progress; /**< may be NULL */
	void *context;		  /**< for `progress` */
};

/** What was saved. */
struct strobe_crash_saved {
	struct strobe_written written;
	size_t thread_count;	/**< as /proc tells; 0 = not known */
	uint64_t memory_bytes;	/**< of memory in the core, zeros included */
	uint64_t missing_bytes; /**< of the core that did not come: it broke off */
	bool process_gone;	/**< /proc had nothing to tell any more */
	const char *plain;	/**< static: why it was saved just as it came; NULL = it was not */
};

/**
 * Reads a core from `input` to its end and writes it to `path`, as strobe_snapshot_write() does:
 * whole or not at all; what broke off counts as whole as far as it came. `options` may be NULL.
 * Errors: FORMAT (no core, or one that ends within its headers), SYSTEM (reading, writing),
 * LIMIT with "cancelled" in its message, NO_MEMORY.
 */
STROBE_EXPORT struct strobe_error *strobe_crash_save(int input, const char *path,
						     const struct strobe_crash_options *options,
						     struct strobe_crash_saved *ret)
	STROBE_MUST_CHECK;

#ifdef __cplusplus
}
#endif
#endif
