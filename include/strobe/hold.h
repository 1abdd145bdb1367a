// SPDX-License-Identifier: Apache-2.0
#ifndef STROBE_HOLD_H
#define STROBE_HOLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <strobe/error.h>
#include <strobe/snapshot.h>
#include <strobe/view.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * Named frozen copies. A process of its own, the *keeper*, takes the copy and holds it until it is
 * told to drop it or ends otherwise: the copy never outlives its keeper. Others of the same user
 * reach it by its name, as "@NAME" in strobe_view_open() or by strobe_hold_open().
 *
 * A name is 1 to 64 of [A-Za-z0-9._-], the first of them a letter, a digit or '_', and does not end
 * in ".overlay". Keepers listen in $XDG_RUNTIME_DIR/strobe where that variable names a directory
 * of this user, else in /run/strobe (root) or /tmp/strobe-UID.
 */

/** What is known of a frozen copy that has a name; a picture of when it was asked for. */
struct strobe_hold;

/** The facts. Strings are borrowed from the strobe_hold. */
struct strobe_hold_info {
	const char *name;
	bool gone; /**< its keeper has ended, and the copy with it: only the name is left */
	const char *problem; /**< why all that follows is not known; NULL = it is. In lists alone */
	int keeper_pid;	     /**< the process that holds it */
	int64_t time_ns;     /**< when it was taken, wall clock since 1970 */
	uint64_t age_ns;     /**< how long ago that was, by a clock that nobody sets */
	const char *process_name; /**< the kernel's comm of the process when it was taken */
	uint64_t private_bytes;	  /**< memory that exists for it alone; UINT64_MAX = not known */
	struct strobe_snapshot_info snapshot;
};

/**
 * Starts a keeper that takes a frozen copy of process `pid` under `name`. `options` may be NULL. The
 * keeper is no child of the caller, and stays when the caller and its terminal end. `*ret` is the
 * caller's. Errors: as of strobe_snapshot_take(); INVALID (the name, or it is in use: the message
 * says since when and by which keeper); SYSTEM (the directory of names is not safe, say).
 */
STROBE_EXPORT struct strobe_error *strobe_hold_take(int pid,
						    const struct strobe_snapshot_options *options,
						    const char *name, struct strobe_hold **ret)
	STROBE_MUST_CHECK;
/**
 * Takes copies of `count` processes at one instant, and has one keeper hold them under `names`: each is
 * found and dropped by its own, and the keeper ends with the last. For each index either `holds[i]` or
 * `errors[i]` is set, and yours (as of strobe_hold_take()). Errors of all: INVALID (a name that cannot
 * be, or stands twice), SYSTEM, NO_MEMORY; nothing was taken then. Cost: count^2 comparisons of names.
 */
STROBE_EXPORT struct strobe_error *
strobe_hold_take_all(const int *pids, const char *const *names, size_t count,
		     const struct strobe_snapshot_options *options, struct strobe_hold **holds,
		     struct strobe_error **errors) STROBE_MUST_CHECK;
/** What is known of the copy `name`; `*ret` is the caller's. Errors: NOT_FOUND, INVALID, SYSTEM. */
STROBE_EXPORT struct strobe_error *strobe_hold_find(const char *name, struct strobe_hold **ret)
	STROBE_MUST_CHECK;
/** All copies of this user by name; `*ret`, `*count` of them, is for strobe_hold_list_free(). */
STROBE_EXPORT struct strobe_error *strobe_hold_list(struct strobe_hold ***ret, size_t *count)
	STROBE_MUST_CHECK;
STROBE_EXPORT void strobe_hold_list_free(struct strobe_hold **holds, size_t count);
/** Releases what is known of it, not the copy itself (NULL is fine). Returns NULL. */
STROBE_EXPORT struct strobe_hold *strobe_hold_free(struct strobe_hold *hold);
STROBE_EXPORT const struct strobe_hold_info *strobe_hold_info(const struct strobe_hold *hold);

/**
 * Drops the copy `name`, or forgets the name where its keeper is gone. When this returns the copy
 * is gone and the name free. Errors: NOT_FOUND, INVALID, SYSTEM.
 */
STROBE_EXPORT struct strobe_error *strobe_hold_drop(const char *name) STROBE_MUST_CHECK;
/**
 * A view of the copy `name` (without '@'). `options` may be NULL. `*ret` is the caller's, and any
 * number may be open at once; memory that a view did not read before its copy is dropped reads as
 * missing from then on. Errors: NOT_FOUND (no such name, or gone), INVALID, SYSTEM.
 */
STROBE_EXPORT struct strobe_error *strobe_hold_open(const char *name,
						    const struct strobe_view_options *options,
						    struct strobe_view **ret) STROBE_MUST_CHECK;

#ifdef __cplusplus
}
#endif
#endif
