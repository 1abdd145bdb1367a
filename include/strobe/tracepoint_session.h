// SPDX-License-Identifier: Apache-2.0
#ifndef STROBE_TRACEPOINT_SESSION_H
#define STROBE_TRACEPOINT_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <strobe/error.h>
#include <strobe/tracepoint.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * Sessions of tracepoints that other processes have: who they are, how their tracepoints do, and changes to them. A session can be found
 * once it has published itself, by processes of its user and of root alone: it listens on a socket in that user's run-time directory, where
 * frozen copies are, too. One thread at a time.
 */

/** Makes a session known; `*ret_name` (may be NULL) is its name, "w" and the number of its process, borrowed. It is served in
 *  strobe_watch_poll(), and forgotten in strobe_watch_close(). Errors: SYSTEM, INVALID (the directory is not safe, or it is known already),
 *  NO_MEMORY. */
STROBE_EXPORT struct strobe_error *strobe_watch_publish(struct strobe_watch *watch,
							const char **ret_name) STROBE_MUST_CHECK;
/** The process that asked the session to end, by strobe_session_end(); 0 = nobody did. */
STROBE_EXPORT int strobe_watch_ended_by(const struct strobe_watch *watch);

/** Another process's session, as it was when it was asked last. */
struct strobe_session;
/** What is known of one. */
struct strobe_session_info {
	const char *name;	  /**< "w4711" */
	const char *problem;	  /**< why it does not answer; then nothing below is known; NULL */
	const char *process_name; /**< of the process that is watched */
	int pid;		  /**< of that process */
	int watcher_pid;	  /**< of the one that watches */
	uint32_t user;		  /**< whose session it is */
	int64_t time_ns;	  /**< when it began, since 1970 */
	uint64_t tracepoint_count;
	uint64_t armed_count; /**< tracepoints that are armed somewhere */
	uint64_t hits, fired; /**< of all tracepoints that it has now */
	uint64_t dropped;     /**< results, and hits, that were lost */
	uint64_t cost_ns;     /**< of the process's threads, as far as it is known */
};

/** Sessions of this user, for root of all users, by name; those that are no more are forgotten. strobe_session_list_free() releases them.
 *  Errors: SYSTEM, INVALID (the directory), NO_MEMORY. */
STROBE_EXPORT struct strobe_error *strobe_session_list(struct strobe_session ***ret, size_t *count)
	STROBE_MUST_CHECK;
/** Those of them that are called `name`, or watch the process whose number it is. Errors: NOT_FOUND, and as above. */
STROBE_EXPORT struct strobe_error *strobe_session_find(const char *name,
						       struct strobe_session ***ret, size_t *count)
	STROBE_MUST_CHECK;
STROBE_EXPORT void strobe_session_list_free(struct strobe_session **sessions, size_t count);
/** Borrowed from the session. */
STROBE_EXPORT const struct strobe_session_info *
strobe_session_info(const struct strobe_session *session);

/** Asks it how its tracepoints do. Errors: NOT_FOUND (it has ended), LIMIT (it does not answer), FORMAT (it is of another version),
 *  SYSTEM, NO_MEMORY; the same for those below. */
STROBE_EXPORT struct strobe_error *strobe_session_ask(struct strobe_session *session)
	STROBE_MUST_CHECK;
/** How many it has; 0 before strobe_session_ask(). */
STROBE_EXPORT size_t strobe_session_status_count(const struct strobe_session *session);
/** Of tracepoint `index` < count; borrowed until the next call of the session. */
STROBE_EXPORT void strobe_session_status(const struct strobe_session *session, size_t index,
					 struct strobe_tracepoint_status *ret);
/** Adds a tracepoint to it; the one status is that tracepoint's then. Errors besides: as strobe_watch_register(). */
STROBE_EXPORT struct strobe_error *strobe_session_add(struct strobe_session *session,
						      const struct strobe_tracepoint *tracepoint)
	STROBE_MUST_CHECK;
/** Takes one of its tracepoints away; `*found` says whether there was one of that id. One that a file or a server gave comes back if that
 *  changes. */
STROBE_EXPORT struct strobe_error *strobe_session_remove(struct strobe_session *session,
							 const char *id, bool *found)
	STROBE_MUST_CHECK;
/** Ends it; done when all is taken back, and the process is as before. */
STROBE_EXPORT struct strobe_error *strobe_session_end(struct strobe_session *session)
	STROBE_MUST_CHECK;

#ifdef __cplusplus
}
#endif
#endif
