// SPDX-License-Identifier: Apache-2.0
#ifndef WATCH_WATCH_H
#define WATCH_WATCH_H

// A session, for the files of this folder.

#include <strobe/tracepoint.h>

#include "tracepoint/engine.h"
#include "tracepoint/handler.h"
#include "tracepoint/native_scope.h"
#include "tracepoint/result.h"
#include "watch/budget.h"

enum { WATCH_COST_CLASSES = 4 };

/** What a place is to a tracepoint. */
struct watch_role {
	struct tracepoint_config *config;
	enum event_kind kind;
	enum native_leave leave; // of an end
	bool repeats;		 // of a line's beginning
	bool stale; // was there before places were looked for again, and is not found yet
};
/** A place that is armed, and whose tracepoints are there. */
struct watch_place {
	uint64_t address;
	uint32_t probe;				 // 0 = not armed
	unsigned engine;			 // whose it is
	const struct tracepoint_config *checked; // whose condition or period the engine knows; NULL
	uint32_t stack_bytes;			 // that were asked for
	bool below;				 // probe_request.below
	const char *method;
	ARRAY(struct watch_role) roles; // ends before beginnings
	char *file, *function;		// copies; NULL
	uint32_t line;
	uint64_t stands; // what was at the address once it was armed
};
/** What its places counted, and what that cost. */
struct watch_use {
	uint64_t hits, cost_ns, dropped;
	uint64_t skipped; // of hits: that the handler did not see
};
/** A tracepoint and where it is. */
struct watch_entry {
	struct tracepoint_config *config;
	bool enabled;
	uint32_t moved_to;
	char *why; // not armed; NULL
	ARRAY(struct strobe_armed) armed;
	ARRAY(char *) strings;
	struct budget budget;
	struct watch_use used; // when its budget was looked at last
};
/** An exception that is on its way in a thread. */
struct watch_raise {
	int tid;
	uint64_t header;
	bool told; // to those that are about exceptions
};
struct watch_taker {
	strobe_watch_result taker;
	void *context;
};
struct watch_listener {
	strobe_watch_listener listener;
	void *context;
};

/** Invariants: entry i's places are those with a role for its config; a probe's cookie is the index of its place + 1. */
struct strobe_watch {
	int pid;
	struct strobe_watch_options options;
	struct native_program *program;
	struct watch_engine {
		const struct engine_ops *ops;
		void *engine;
	} engines
		[2]; // the first that takes a place has it; `engine_count` of them. The agent's `engine` is NULL until it is needed
	unsigned engine_count;
	char engine_why[2][240]; // why there is no agent, no uprobes; ""
	char lacks[300];
	unsigned agents; // that were opened, one after the other
	bool lost;	 // the agent was, and its places must be armed anew
	struct handler *handler;
	ARRAY(struct watch_entry *) entries;
	ARRAY(struct watch_place *) places; // NULL = free
	ARRAY(struct watch_raise) raises;   // one a thread at most, of those that are armed for
	ARRAY(struct watch_taker) takers;
	ARRAY(struct result_sink) sinks;
	bool has_deep;
	ARRAY(struct strobe_pair)
	resource; // what servers are told of this process; made for the first
	struct arena resource_arena;
	ARRAY(struct watch_listener) listeners;
	ARRAY(struct strobe_tracepoint_problem) problems;
	struct arena problems_arena;
	int64_t next_look_ns;
	ARRAY(char *) notes; // strobe_watch_note()
	size_t notes_told;
	uint64_t given, refused, bytes_given, bytes_judged;
	int64_t budget_ns; // when budgets were looked at last; 0 = never
	bool calibrated;
	uint32_t uprobe_ns[WATCH_COST_CLASSES]; // what a hit costs; 0 = not known
	bool stale;				// places of something must be armed or disarmed
	char *hash;
	struct watch_guard {
		int pid, pipe;
	} guard;	    // of the program that we started, and which has not begun; pid 0 = none
	uint64_t file_hash; // of the configuration file's content, when it was read last
	uint64_t file_hash_seen; // what it is now, since then
	int64_t file_seen_ns;
	char why[200];		       // of the action that failed last
	char comm[32];		       // of the thread of the hit at hand
	int process;		       // a descriptor of it, readable when it has ended; -1
	int wakes;		       // an epoll: readable when there is something to poll for
	struct session_server *server; // of who asks the session; NULL
	int ended_by;		       // the process that asked it to end; 0
};

/** Has strobe_watch_poll() wake when `descriptor` can be read. */
struct strobe_error *watch_wake_by(struct strobe_watch *watch, int descriptor) STROBE_MUST_CHECK;

/** sinks.c: gives a result to the servers; false: one of them dropped it. */
bool watch_sink(struct strobe_watch *watch, const struct result *result);
/** Lets the servers do what they have to; returns after how many ms they want to again. */
int watch_work(struct strobe_watch *watch);
void watch_close_sinks(struct strobe_watch *watch);
/** session_serve.c: answers who asks the session: accepts, reads, writes, and never waits. */
void session_serve(struct strobe_watch *watch);
/** Its name goes: nobody finds it any more. NULL is fine. */
void session_unpublish(struct session_server *server);
/** All is taken back: who waits for that is told. NULL is fine. Returns NULL. */
struct session_server *session_close(struct session_server *server);
/** start.c: lets a program begin that was started. */
void watch_go(struct strobe_watch *watch);
/** And waits for the guard's end. */
void watch_end_guard(struct strobe_watch *watch);
/** watch_budget.c: what the hits at a place have cost, in ns of the process's threads: as its engine measured it, or by what a hit costs here. */
uint64_t watch_cost(struct strobe_watch *watch, const struct watch_place *place,
		    const struct engine_totals *totals);
/** Looks, every second, whether tracepoints and the session stay within their budgets; those that do not are only counted, then off. */
struct strobe_error *watch_judge(struct strobe_watch *watch, int64_t now_ns) STROBE_MUST_CHECK;
void watch_free_notes(struct strobe_watch *watch);
/** Is it to be armed? */
bool watch_is_on(const struct watch_entry *entry);
/** watch_status.c: at all of its places, since they are armed. */
struct watch_use watch_use(struct strobe_watch *watch, const struct watch_entry *entry);
/** watch_engines.c: opens what the options ask for, and what can be had. */
struct strobe_error *watch_open_engines(struct strobe_watch *watch) STROBE_MUST_CHECK;
/** The index of the engine that sees returns and everything else; engine_count if it is not to be had. */
unsigned watch_uprobes(const struct strobe_watch *watch);
/** Opens the agent, if there is to be one; `*ret`: it is there. */
struct strobe_error *watch_have_agent(struct strobe_watch *watch, bool *ret) STROBE_MUST_CHECK;
/** The agent failed as a whole, with this error (taken over): the process executes another program, or somebody killed what the agent is made
 *  of. Another one takes its place, or uprobes do; its places are no longer armed. */
struct strobe_error *watch_lose_agent(struct strobe_watch *watch, struct strobe_error *error)
	STROBE_MUST_CHECK;
/** watch_hits.c: a hit becomes events. */
void watch_hit(struct strobe_watch *watch, const struct engine_hit *hit, int64_t wall_offset_ns,
	       struct strobe_error **error);
/** watch_exceptions.c: which calls of a personality routine matter, and what is copied there. To be freed; NULL when memory is short. */
struct probe_program *watch_exception_condition(void);
struct probe_program *watch_exception_copies(void);
/** A hit at a place for exceptions: `event` has all but its kind. */
void watch_exception(struct strobe_watch *watch, const struct watch_place *place,
		     struct native_scope *scope, struct event *event);
/** One begins. */
void watch_raise(struct strobe_watch *watch, const struct engine_hit *hit);
/** watch_record.c: a trace of the event's thread, from now on, for a while. */
bool watch_record(void *context, const struct event *event, const char *path, const char **why);
/** watch_places.c: finds the places of an entry and arms them. */
struct strobe_error *watch_arm(struct strobe_watch *watch, struct watch_entry *entry)
	STROBE_MUST_CHECK;
/** Takes it away from its places; those that nobody is left at are disarmed. */
void watch_disarm(struct strobe_watch *watch, struct watch_entry *entry);
/** Looks whether modules came or went; then all places are found anew. */
struct strobe_error *watch_look_again(struct strobe_watch *watch) STROBE_MUST_CHECK;

#endif
