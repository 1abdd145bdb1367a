// SPDX-License-Identifier: Apache-2.0
#ifndef TRACEPOINT_HANDLER_STATE_H
#define TRACEPOINT_HANDLER_STATE_H

// What a handler holds, for the handler_*.c files alone.

#include "base/hash.h"
#include "tracepoint/handler.h"

/** A call, or a line, whose end is waited for. */
struct open_call {
	struct entry *entry;
	int pid, tid;
	uint64_t frame;
	int64_t start_ns, start_wall_ns;
	bool was_missed;      // its thread was not there, when it was looked for
	const char *function; // interned
	char thread_name[32];
	char context[33];
	struct result *snapshot; // collected at its beginning, completed at its end; NULL
};

/** A tracepoint, and how far it is. */
struct entry {
	struct tracepoint_config *config;
	bool enabled, used_up, off;
	int64_t fired, last_fire_ns;
	uint64_t hits, dropped, errors;
	struct hash by_thread, by_value; // counts, as pointers
	ARRAY(struct result *) kept;	 // keep_last; oldest first
	// Of the budget's present second.
	int64_t second;
	uint64_t hits_in_second, bytes_in_second;
	bool counting; // over its budget: nothing is collected
	bool limited;  // the same, until handler_limit() says otherwise
	char why[120];
};

struct handler {
	struct handler_actions actions;
	struct strobe_pair *resource;
	size_t resource_count;
	ARRAY(struct entry *) entries;
	ARRAY(struct open_call) open; // in the order in which they began
	struct hash functions;	      // names of functions that had calls open
	struct arena arena;
	uint64_t sampling; // state of the generator
};

// handler_results.c

/** A number in hexadecimal, of random bytes. */
void handler_make_id(char *ret, size_t bytes);
/** A result of `entry`, with what all kinds have. NULL when memory is short. */
struct result *handler_begin_result(struct handler *handler, struct entry *entry,
				    const struct event *event, const char *context,
				    enum result_kind kind);
void handler_add_attribute(struct result *result, const char *key, const char *value);
/** Gives it, or keeps it until its condition comes true. */
void handler_give(struct handler *handler, struct entry *entry, struct result *result);
/** Gives what waited for the condition. */
void handler_give_kept(struct handler *handler, struct entry *entry);
/** A snapshot; NULL when memory is short. */
struct result *handler_collect(struct handler *handler, struct entry *entry,
			       const struct event *event, const char *context);
/** Log and metrics. */
void handler_give_small(struct handler *handler, struct entry *entry, const struct event *event,
			const char *context);
/** What was returned or thrown, where that is known. */
void handler_add_outcome(struct entry *entry, const struct event *event, struct result *result);

// handler_calls.c

/** Waits for the end of this call or line. */
void handler_open_call(struct handler *handler, struct entry *entry, const struct event *event,
		       const char *context, struct result *snapshot);
/** The end of it: by a return, or by the thread's coming to another line. */
void handler_end_calls(struct handler *handler, const struct event *event,
		       const struct entry *entry);
/** One begins with the frame of another of the same tracepoint: that has ended, or was left. */
void handler_leave_calls(struct handler *handler, const struct event *event,
			 const struct entry *entry);
/** All of a tracepoint that is taken away. */
void handler_give_up(struct handler *handler, const struct entry *entry, int64_t time_ns);

#endif
