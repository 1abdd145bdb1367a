// SPDX-License-Identifier: Apache-2.0
#ifndef STROBE_SNAPSHOT_H
#define STROBE_SNAPSHOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <strobe/error.h>
#include <strobe/view.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * Taking pictures of living processes. strobe_snapshot_take() stops a process for as long as its
 * registers and page tables take to copy and gives a frozen copy of it; the process runs on. What
 * is slow (symbols, files, compression) is done from the copy, whenever you like, also while more
 * are taken: strobe_snapshot_view() reads it, strobe_snapshot_write() stores it.
 *
 * strobe_view_open() with a process id does the first two in one step.
 */

/** A frozen copy of a process, in memory. One thread at a time; any thread. It ends with the
 *  process that took it, however that ends. */
struct strobe_snapshot;

/** How a frozen copy holds the memory. Values are stable. */
enum strobe_snapshot_method {
	STROBE_SNAPSHOT_CLONE = 1, /**< a copy-on-write clone of the address space */
	STROBE_SNAPSHOT_COPY = 2,  /**< copied while the process stood still */
};

/** Zero-initialise, then set `size`. */
struct strobe_snapshot_options {
	size_t size;		      /**< sizeof(struct strobe_snapshot_options) */
	uint64_t shared_budget_bytes; /**< copy at most so much shared memory during the stop;
					   0 = 8 MiB, UINT64_MAX = no limit */
	unsigned stop_limit_ms;	      /**< give up on threads that do not stop; 0 = 200 ms */
	bool no_clone;		      /**< copy during the stop even where a clone would do */
};

/** What taking it took. Strings are borrowed from the snapshot. */
struct strobe_snapshot_info {
	int pid;
	size_t thread_count;
	enum strobe_snapshot_method method;
	const char *method_why; /**< for COPY: why there is no clone; else NULL */
	uint64_t pause_ns;	/**< from the first thread's stop to the last one's release */
	uint64_t memory_bytes; /**< that the process had in memory (resident, private and shared) */
	int clone_pid;	       /**< the clone's process id; 0 for COPY */
	size_t not_atomic_count;
	const struct strobe_not_atomic *not_atomic;
};

/**
 * Takes a frozen copy of process `pid` (a thread group's id). `options` may be NULL. The caller
 * owns `*ret`. Errors: NOT_FOUND (no such process), SYSTEM with EPERM or EACCES (the message says
 * which rule refused and what would allow it), UNSUPPORTED (a kernel thread, a 32-bit process, a
 * zombie), SYSTEM otherwise.
 */
STROBE_EXPORT struct strobe_error *
strobe_snapshot_take(int pid, const struct strobe_snapshot_options *options,
		     struct strobe_snapshot **ret) STROBE_MUST_CHECK;
/**
 * Takes all of `pids` at one instant: all are stopped before any is copied, and all are released
 * after all were. For each index either `snapshots[i]` or `errors[i]` is set, and yours.
 */
STROBE_EXPORT void strobe_snapshot_take_all(const int *pids, size_t count,
					    const struct strobe_snapshot_options *options,
					    struct strobe_snapshot **snapshots,
					    struct strobe_error **errors);
/** Drops it (NULL is fine); views made from it must be closed before. Returns NULL. */
STROBE_EXPORT struct strobe_snapshot *strobe_snapshot_close(struct strobe_snapshot *snapshot);
STROBE_EXPORT const struct strobe_snapshot_info *
strobe_snapshot_info(const struct strobe_snapshot *snapshot);
/** A view of it. `options` may be NULL. The caller owns `*ret`, which borrows `snapshot`. */
STROBE_EXPORT struct strobe_error *strobe_snapshot_view(struct strobe_snapshot *snapshot,
							const struct strobe_view_options *options,
							struct strobe_view **ret) STROBE_MUST_CHECK;

/** What of the memory is written. Values are stable. */
enum strobe_contents {
	STROBE_CONTENTS_CHANGED = 0,   /**< all but what mapped files hold just so */
	STROBE_CONTENTS_FULL = 1,      /**< pages of mapped files too */
	STROBE_CONTENTS_STACKS = 2,    /**< stacks from the stack pointers up, TLS, globals */
	STROBE_CONTENTS_REACHABLE = 3, /**< these, and what they lead to: see `max_bytes` */
};

/** What redaction replaces by keyed hashes of the same length; a set of bits. */
enum strobe_redact {
	STROBE_REDACT_STRINGS = 1,     /**< printable text of 6 bytes and more in writable memory */
	STROBE_REDACT_ENVIRONMENT = 2, /**< the values of the environment */
};

/** Called now and then with bytes done and in all; return false to cancel. */
typedef bool (*strobe_progress)(void *context, uint64_t done_bytes, uint64_t total_bytes);

/** Zero-initialise, then set `size`. */
struct strobe_write_options {
	size_t size; /**< sizeof(struct strobe_write_options) */
	enum strobe_contents contents;
	bool compress;	   /**< as a seekable zstd file */
	int level;	   /**< of compression, 1 to 19; 0 = 1 */
	unsigned threads;  /**< that compress; 0 = one per processor */
	const char *since; /**< leave out pages equal to those of this snapshot file */
	bool with_files;   /**< add executables, libraries and their debug information */
	unsigned redact;   /**< of enum strobe_redact */
	const char *const *redact_patterns; /**< regular expressions whose matches are redacted */
	size_t redact_pattern_count;
	bool no_fsync; /**< do not wait for the disk */
	/**
	 * Of REACHABLE: memory that is kept besides stacks, TLS and globals, in bytes. What variables of
	 * frames and thread-locals lead to by their types is kept first, nearest first; then what is only
	 * guessed from there, and at last what only globals lead to. 0 = no limit for the first, 8 MiB
	 * each for the others; UINT64_MAX = no limit.
	 */
	uint64_t max_bytes;
	unsigned max_depth;	  /**< of REACHABLE: references from a variable; 0 = no limit */
	strobe_progress progress; /**< may be NULL */
	void *context;		  /**< for `progress` */
};

/** What was written. */
struct strobe_written {
	uint64_t file_bytes;	/**< the file's size */
	uint64_t disk_bytes;	/**< without its holes */
	uint64_t page_bytes;	/**< of memory stored, uncompressed */
	uint64_t equal_bytes;	/**< of memory left out as equal to the snapshot `since` */
	uint64_t missing_bytes; /**< of memory that could not be read */
};

/**
 * Writes any view as an ELF core file that gdb and lldb open: under a temporary name beside `path`,
 * mode 0600, then renamed. On an error or a cancel `path` is as it was and nothing else is left.
 * `options` may be NULL. Errors: SYSTEM (writing), UNSUPPORTED (the view has no notes to copy),
 * NOT_FOUND or FORMAT (`since`), SYNTAX (patterns), LIMIT with "cancelled" in its message.
 */
STROBE_EXPORT struct strobe_error *
strobe_snapshot_write(const struct strobe_view *view, const char *path,
		      const struct strobe_write_options *options, struct strobe_written *ret)
	STROBE_MUST_CHECK;
/** The same to an open descriptor, which need not be seekable; not closed. */
STROBE_EXPORT struct strobe_error *
strobe_snapshot_write_fd(const struct strobe_view *view, int fd,
			 const struct strobe_write_options *options, struct strobe_written *ret)
	STROBE_MUST_CHECK;

#ifdef __cplusplus
}
#endif
#endif
