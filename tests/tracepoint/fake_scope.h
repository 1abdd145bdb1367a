// SPDX-License-Identifier: Apache-2.0
#ifndef TESTS_TRACEPOINT_FAKE_SCOPE_H
#define TESTS_TRACEPOINT_FAKE_SCOPE_H

// Where a made-up event happened: one variable, `n`. Expressions are "n", "n>NUMBER", a number, and all else fails.

#include "tracepoint/handler.h"

struct fake_scope {
	long n;
	long returned;	    // told as the outcome
	const char *thrown; // type of the exception that the event brings; NULL
	uint64_t entered, not_on_stack;
	unsigned frames_collected;
};
extern const struct scope_ops fake_scope_ops;

/** What the handler gave and asked for. */
struct fake_world {
	struct handler *handler;
	struct result *results[20000];
	size_t count;
	struct fake_scope scope;
	char switched[2000]; // "id+ id- "
	unsigned holds;
	const char *hold_fails; // why
	char held[100];
};
struct handler_actions fake_actions(struct fake_world *world);
/** A world with a handler. */
void fake_begin(struct fake_world *world);
void fake_end(struct fake_world *world);
/** Adds one: "name=value" arguments; id, watches: "w=EXPRESSION", metrics: "m=EXPRESSION". NULL at the end. */
struct tracepoint_config *fake_add(struct fake_world *world, const char *id,
				   const char *const *arguments);
/** An event for thread `tid`. */
struct event fake_event(struct fake_world *world, enum event_kind kind, int tid, int64_t time_ns,
			uint64_t frame);
/** How many results of this kind and tracepoint. */
size_t fake_results(const struct fake_world *world, enum result_kind kind, const char *id);
/** Attribute "end", "error", ... of a result; NULL. */
const char *fake_attribute(const struct result *result, const char *key);

#endif
