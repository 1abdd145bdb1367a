// SPDX-License-Identifier: Apache-2.0
#ifndef TRACEPOINT_HANDLER_H
#define TRACEPOINT_HANDLER_H

// The trigger handler: events are matched to tracepoints, limits are kept, actions are done. It does not know how events come about or
// what language the program is in: an event brings a *scope*, which evaluates expressions and collects frames where it happened. The
// native scope is made of an engine's hit (native_scope.h); one for CPython will follow.

#include "tracepoint/config.h"
#include "tracepoint/result.h"

enum event_kind {
	EVENT_LINE,
	EVENT_LINE_END, // the thread is at a statement of another line of the frame, or leaves that
	EVENT_CALL,
	EVENT_RETURN,
	EVENT_EXCEPTION, // an exception comes up there, or a signal is delivered
};

/** A variable table being filled: one a hit, whatever tracepoints share it. */
struct variable_table;

struct scope_ops {
	/** Is the expression true (in the language's sense)? Errors in words go to `why` (in `arena`). */
	bool (*truth)(void *scope, const char *expression, bool *ret, struct arena *arena,
		      const char **why);
	/** Its value as a number. */
	bool (*number)(void *scope, const char *expression, double *ret, struct arena *arena,
		       const char **why);
	/** Its value as text, within the limits. */
	bool (*text)(void *scope, const char *expression, const struct config_limits *limits,
		     struct arena *arena, const char **ret, const char **why);
	/** Adds its value, with children, to the result's variables; `*ret` names it. */
	bool (*watch)(void *scope, const char *expression, const struct config_limits *limits,
		      struct result *result, struct variable_name *ret, const char **why);
	/** Frames, innermost first, with variables as the configuration says. */
	bool (*frames)(void *scope, const struct tracepoint_config *config, struct result *result);
	/** What was returned or thrown, as a watch whose expression is its name, "return" or "exception"; false if that is not known. */
	bool (*outcome)(void *scope, const struct config_limits *limits, struct result *result,
			struct variable_name *ret);
	/** From now on expressions and frames are meant in this call, which has not ended yet. False if it is not on the stack. */
	bool (*enter)(void *scope, uint64_t frame);
	/** The type of what was thrown, and what it says of itself (NULL: nothing), in `arena`. False if nothing was. */
	bool (*thrown)(void *scope, struct arena *arena, const char **type, const char **what);
};
struct event {
	enum event_kind kind;
	int pid, tid;
	const char *thread_name;
	int64_t time_ns, wall_ns; // CLOCK_MONOTONIC, and since 1970
	uint64_t frame;	 // matches a call with its return; unique among what a thread has open
	bool repeats;	 // of a line: control may come back to its beginning without having left it
	const char *how; // of a RETURN, LINE_END that is none in truth: why it ends now; NULL
	char *context; // 33 bytes for the hit's context, "" at first: where one hit is several events; NULL
	const char *file, *function;
	uint32_t line;
	const struct scope_ops *ops;
	void *scope;
};

/** What actions need that the handler cannot do by itself; any may be NULL: then the action fails, and says so. */
struct handler_actions {
	void *context;
	bool (*hold)(void *context, const struct event *event, const char *name, const char **why);
	bool (*snap)(void *context, const struct event *event, const char *path, const char **why);
	bool (*record)(void *context, const struct event *event, const char *path,
		       const char **why);
	/** A tracepoint is used up, or off, or on again: its places need not be armed, or must be. */
	void (*enabled)(void *context, const struct tracepoint_config *config, bool enabled);
	/** Takes over `result`. */
	void (*give)(void *context, struct result *result);
};

struct handler;
struct strobe_error *handler_new(const struct handler_actions *actions,
				 const struct strobe_watch_options *options, struct handler **ret)
	STROBE_MUST_CHECK;
struct handler *handler_free(struct handler *handler);
/** Adds a tracepoint (taken over), counts at zero. */
struct strobe_error *handler_add(struct handler *handler, struct tracepoint_config *config)
	STROBE_MUST_CHECK;
/** Takes one away; what it has open (spans, captures) is closed. */
void handler_remove(struct handler *handler, const struct tracepoint_config *config);
/** One event at one place, for all tracepoints there, in their order: limits (exactly: events are handled one by one, in the order of time),
 *  conditions, actions. `checked` has a bit for each whose condition the engine evaluated already. */
void handler_event(struct handler *handler, const struct event *event,
		   struct tracepoint_config *const *at_place, size_t count, uint64_t checked);
/** An exception leaves the calls of the event's thread whose frames are above `from` and up to `to`, and the lines in the frame
 *  `landing` that catches it: they end, and it is their outcome. */
void handler_unwind(struct handler *handler, const struct event *event, uint64_t from, uint64_t to,
		    uint64_t landing);
/** Is there a call or line of this thread whose end is waited for, in this frame (0: in any)? */
bool handler_awaits(const struct handler *handler, int tid, uint64_t frame);
/** A thread ended, or (0) the session did: what was open in it is closed, and says so. */
void handler_thread_end(struct handler *handler, int tid, int64_t time_ns);
/** Looks which threads that have calls open are no more: they end when that is seen a second time, so that hits on their way come first. */
void handler_miss_threads(struct handler *handler, bool (*lives)(void *context, int tid),
			  void *context, int64_t time_ns);
/** Budgets are looked at: what is over is degraded, what may come back does. */
void handler_tick(struct handler *handler, int64_t time_ns);
/** Its hits are only counted from now on, or it is off, for this reason; or neither, and `why` is "". */
void handler_limit(struct handler *handler, const struct tracepoint_config *config, bool counting,
		   bool off, const char *why);
/** Fills in what the handler knows of a status: state, hits, fired, dropped, errors. */
void handler_status(const struct handler *handler, const struct tracepoint_config *config,
		    struct strobe_tracepoint_status *ret);

#endif
