// SPDX-License-Identifier: Apache-2.0
#ifndef HOLD_PLACE_H
#define HOLD_PLACE_H

// The directory in which keepers listen, and the names in it. Only its owner may enter it, and all
// names are looked up relative to its descriptor: nobody can swap it once it is checked. Sessions of
// tracepoints (src/watch) listen in a directory within it.

#include <limits.h>
#include <stdbool.h>
#include <strobe/error.h>
#include <sys/types.h>

#define HOLD_OVERLAY_SUFFIX ".overlay"
enum {
	HOLD_NAME_LIMIT = 64,
	HOLD_PATIENCE_S = 20, // how long a keeper may take to answer
};

struct place {
	int fd;	     // -1: there is no such directory (yet)
	uid_t owner; // whose it is, and whose processes listen in it
	char path[PATH_MAX];
};

/** Opens it; with `create`, makes it where it is missing. Errors: SYSTEM, INVALID (not safe). */
struct strobe_error *place_open(bool create, struct place *ret) STROBE_MUST_CHECK;
/** The same for a directory of user `owner`; who asks is that user, or root. */
struct strobe_error *place_open_path(const char *path, uid_t owner, bool create, struct place *ret)
	STROBE_MUST_CHECK;
/** Goes to the directory `name` in it; with `create`, makes it where it is missing. `place` stays to be closed, also after an error. */
struct strobe_error *place_enter(struct place *place, const char *name, bool create)
	STROBE_MUST_CHECK;
void place_close(struct place *place);
/** Waits for the lock under which names are taken and given back; close(*ret) releases it. */
struct strobe_error *place_lock(const struct place *place, int *ret) STROBE_MUST_CHECK;
/** Removes `name` and what belongs to it; what is not there is no failure. */
void place_remove(const struct place *place, const char *name);

/** NULL if `name` may name a frozen copy. */
struct strobe_error *place_check_name(const char *name) STROBE_MUST_CHECK;

/** A listening socket for `name`. Errors: SYSTEM with EADDRINUSE, or other. */
struct strobe_error *place_listen(const struct place *place, const char *name, int *ret)
	STROBE_MUST_CHECK;
/** How connecting went when there was no error. */
enum place_state { PLACE_CONNECTED, PLACE_NONE, PLACE_STALE };
/** A connection to the keeper of `name`, which is a process of the place's owner or of root. */
struct strobe_error *place_connect(const struct place *place, const char *name,
				   enum place_state *state, int *ret) STROBE_MUST_CHECK;
/** True if the other end of `fd` is of this user or of root; `*pid` = its process. */
bool place_peer_trusted(int fd, int *pid);

#endif
