// SPDX-License-Identifier: Apache-2.0
#ifndef STROBE_OVERLAY_H
#define STROBE_OVERLAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <strobe/error.h>
#include <strobe/view.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * Writes to a view. A view's source never changes: what is written stands in a journal on top of
 * it, and memory reads, searches, registers, stacks and values that are asked for afterwards see
 * it. A write costs the pages that it touches, whatever the size of their mapping. Mappings and
 * modules stay as they are in the source.
 *
 * What was made from the view earlier (a struct strobe_stack, a value that was read, a register's
 * bytes) may show the old contents or, after an undo, neither: close and make it again. The same
 * thread rule as for the view: one thread at a time.
 */

/** What an entry of the journal changed. Values are stable. */
enum strobe_overlay_kind {
	STROBE_OVERLAY_MEMORY = 1,
	STROBE_OVERLAY_REGISTER = 2,
};

/** One write. Pointers are borrowed from the view until it is undone. */
struct strobe_overlay_entry {
	enum strobe_overlay_kind kind;
	uint64_t address; /**< of memory; else 0 */
	size_t size_bytes;
	const uint8_t *old_bytes;  /**< size_bytes; 0 where not known */
	const uint8_t *new_bytes;  /**< size_bytes */
	const uint8_t *old_known;  /**< size_bytes, 0 = not known before; NULL: all were known */
	bool read_only;		   /**< of memory: the process itself could not write all of it */
	bool executable;	   /**< of memory: some of it is code */
	int tid;		   /**< of a register; else 0 */
	const char *register_name; /**< else NULL */
};

/**
 * Writes `size` bytes at `address`. All of it or nothing: each byte must be mapped, in one mapping
 * or several that touch. Permissions do not matter, as for a debugger; the entry tells. Memory that
 * is mapped but missing may be written: then those bytes alone become known. Errors: UNREADABLE
 * with the first address that is not mapped; INVALID (size 0, past the top); LIMIT (256 MiB in one
 * write, 4 GiB of pages in all); SYSTEM (the journal file of strobe_overlay_open()).
 */
STROBE_EXPORT struct strobe_error *strobe_overlay_write(struct strobe_view *view, uint64_t address,
							const void *bytes, size_t size)
	STROBE_MUST_CHECK;
/**
 * Sets a register of thread `thread_index`: any name that strobe_view_register_by_name() takes,
 * sub-registers included; like a debugger, a part leaves the rest as it is ("eax" the upper half of
 * "rax", "xmm0" that of "ymm0"). `size` is the register's size. Errors: NOT_FOUND (no such thread,
 * or a register that its source did not record), INVALID (size, or a value that it cannot hold).
 */
STROBE_EXPORT struct strobe_error *strobe_overlay_set_register(struct strobe_view *view,
							       size_t thread_index,
							       const char *name, const void *bytes,
							       size_t size) STROBE_MUST_CHECK;

/** Number of writes that are in force. */
STROBE_EXPORT size_t strobe_overlay_count(const struct strobe_view *view);
/** Write `index` < count, oldest first; false past the end. */
STROBE_EXPORT bool strobe_overlay_entry(const struct strobe_view *view, size_t index,
					struct strobe_overlay_entry *ret);
/** Takes back the last `count` writes, or all if there are fewer. Errors: SYSTEM (journal file). */
STROBE_EXPORT struct strobe_error *strobe_overlay_undo(struct strobe_view *view, size_t count)
	STROBE_MUST_CHECK;

/** What a journal file held. Zero-initialise, then set `size`. */
struct strobe_overlay_loaded {
	size_t size;		/**< sizeof(struct strobe_overlay_loaded) */
	size_t count;		/**< writes that were applied; 0 also where there is no file */
	uint64_t ignored_bytes; /**< at its end: a record that is half there, or damage */
	bool damaged;		/**< more than a last record was lost: `why` says what */
	char why[160];
};

/**
 * The journal's place beside what the view was opened from ("FILE.overlay"); NULL for a view that
 * has none. Borrowed.
 */
STROBE_EXPORT const char *strobe_overlay_path(const struct strobe_view *view);
/**
 * Applies the journal file at `path` (none: nothing to do) to a view without writes. Records after
 * a damaged one are not applied. `ret` may be NULL. Errors: INVALID (a view with writes, no plain
 * file, the journal of another snapshot), FORMAT (no journal), UNSUPPORTED (a later version), SYSTEM.
 */
STROBE_EXPORT struct strobe_error *strobe_overlay_load(struct strobe_view *view, const char *path,
						       struct strobe_overlay_loaded *ret)
	STROBE_MUST_CHECK;
/**
 * The same, and what is written or undone from now on is written to the file at once; it is created
 * (mode 0600) if need be, is locked until the view is closed, and is removed then if no writes
 * are left. A damaged journal can only be undone as a whole.
 */
STROBE_EXPORT struct strobe_error *strobe_overlay_open(struct strobe_view *view, const char *path,
						       struct strobe_overlay_loaded *ret)
	STROBE_MUST_CHECK;
/** Writes all writes as a new journal file at `path`, mode 0600, through a temporary file. */
STROBE_EXPORT struct strobe_error *strobe_overlay_save(const struct strobe_view *view,
						       const char *path) STROBE_MUST_CHECK;

#ifdef __cplusplus
}
#endif
#endif
