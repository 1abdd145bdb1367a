// SPDX-License-Identifier: Apache-2.0
#ifndef STROBE_TRACEPOINT_H
#define STROBE_TRACEPOINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <strobe/error.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * Watching a running process by tracepoints: places with a condition, limits and actions, which are configured and changed while
 * it runs. It is not stopped for that. One thread at a time; what is borrowed lives until the next call, if nothing else is said.
 */
struct strobe_watch;

/** A name and its value, both text. */
struct strobe_pair {
	const char *name, *value;
};
/** A metric that a tracepoint feeds. */
struct strobe_tracepoint_metric {
	const char *name;
	const char *type;	      /**< "counter", "gauge", "histogram", "summary" */
	const char *expression;	      /**< its value; NULL = 1 */
	const char *metric_namespace; /**< NULL = "strobe" */
	const char *help, *unit;      /**< may be NULL */
	const struct strobe_pair *
		labels; /**< the value is text, or an expression if it is in braces: "{req->user.name}" */
	size_t label_count;
};
/**
 * A tracepoint as people write it. Strings are copied. Arguments have DEEP's names in lower case: fire_count, fire_period (ms),
 * condition, window_start, window_end, frame_type, stack_type, log_msg, snapshot, method_name, span, stage, max_string_length,
 * max_collection_size, max_variables, max_var_depth, max_watch_vars, max_tp_process_time (ms), and Strobe's own: hold, snap,
 * record, arms, disarms, sample, thread_fire_count, value_fire_count, value_key, keep_last, keep_until, enabled, cpu_share,
 * hits_per_second, bytes_per_second, latency_us. strobe-watch(1) describes each.
 */
struct strobe_tracepoint {
	size_t size;	/**< sizeof(struct strobe_tracepoint) */
	const char *id; /**< NULL = one is made */
	const char *
		path; /**< file: its name, or whole trailing components of its path; NULL or "" with method_name alone */
	unsigned line; /**< 0 with method_name */
	const struct strobe_pair *arguments;
	size_t argument_count;
	const char *const *watches; /**< expressions */
	size_t watch_count;
	const struct strobe_tracepoint_metric *metrics;
	size_t metric_count;
};

/** How to watch. Zero-initialise, then set `size`. */
struct strobe_watch_options {
	size_t size; /**< sizeof(struct strobe_watch_options) */
	const char *
		engine; /**< "auto", "agent", "uprobe"; NULL = "auto": each place by what suits it best and can be had */
	const struct strobe_pair *resource; /**< told with each result: service.name, ... */
	size_t resource_count;
	const char *
		application_root; /**< what is taken off file names for their short form; NULL = the directory that the
					   program was compiled in */
	const char *const *in_app_include,
		*const *in_app_exclude; /**< beginnings of module or file names; NULL-terminated; may be NULL */
	double cpu_share; /**< of one processor, that all tracepoints together may cost the process; 0 = no limit. Beyond it, and beyond the
			       limits below, the dearest tracepoint is only counted for a while, then off */
	uint64_t bytes_per_second; /**< of results, likewise; 0 = no limit */
	size_t queue_limit; /**< results that wait for who takes them; 0 = 10,000; more are dropped and counted */
	double hits_per_second; /**< likewise */
	double latency_us;	/**< that a hit may add, on average, likewise */
};

/** Begins to watch process `pid`. Errors: NOT_FOUND, SYSTEM (not permitted: the message says by which rule), UNSUPPORTED, NO_MEMORY. */
STROBE_EXPORT struct strobe_error *strobe_watch_open(int pid,
						     const struct strobe_watch_options *options,
						     struct strobe_watch **ret) STROBE_MUST_CHECK;
/**
 * Starts a program, looked for as execvp(3) does, and watches it; it waits before its first instruction until the first
 * strobe_watch_poll(). It is the caller's child, with the caller's descriptors. Errors: NOT_FOUND (no such program), else as
 * strobe_watch_open(): then it was never run. Polls must come from this thread.
 */
STROBE_EXPORT struct strobe_error *strobe_watch_start(const char *const *arguments,
						      const struct strobe_watch_options *options,
						      struct strobe_watch **ret) STROBE_MUST_CHECK;
/** The process that is watched. */
STROBE_EXPORT int strobe_watch_pid(const struct strobe_watch *watch);
/** Takes everything back: the process is as before. NULL is fine. Returns NULL. */
STROBE_EXPORT struct strobe_watch *strobe_watch_close(struct strobe_watch *watch);

/** Adds a tracepoint; `*ret_id` is its id, which lives as long as the tracepoint. A place that is not there (yet) is no error but its
 *  status. Errors: SYNTAX, TYPE, INVALID (an argument's value, with its name), NO_MEMORY. */
STROBE_EXPORT struct strobe_error *strobe_watch_register(struct strobe_watch *watch,
							 const struct strobe_tracepoint *tracepoint,
							 const char **ret_id) STROBE_MUST_CHECK;
/** Takes one away; false if there is none of that id. */
STROBE_EXPORT bool strobe_watch_unregister(struct strobe_watch *watch, const char *id);

/** Why a tracepoint of a configuration was not taken. */
struct strobe_tracepoint_problem {
	size_t index;	  /**< in the configuration */
	const char *what; /**< one line */
};
/** Replaces all tracepoints that came by the same `source` ("file", "server", ...): unchanged ones keep their counts; those that
 *  are wrong are left out, and told of in `*problems` (borrowed until the next call). Errors: NO_MEMORY. */
STROBE_EXPORT struct strobe_error *
strobe_watch_configure(struct strobe_watch *watch, const char *source, const char *hash,
		       const struct strobe_tracepoint *tracepoints, size_t count,
		       const struct strobe_tracepoint_problem **problems, size_t *problem_count)
	STROBE_MUST_CHECK;

/** Called for what is wrong in a configuration file: the line (0 = the whole file), one line of text. */
typedef void (*strobe_watch_report)(void *context, unsigned line, const char *what);
/**
 * Takes all tracepoints of a YAML file (strobe-watch(1)) as the source "file". Called again, reads it again if it has changed; `*changed`
 * (may be NULL) says so; a change is taken by a call 100 ms or more after the one that saw it first, as more of it may come. An entry that is wrong is reported and left out; a file that cannot be read, or is no YAML, changes nothing.
 * Errors: SYSTEM, SYNTAX (with the line in its message), NO_MEMORY.
 */
STROBE_EXPORT struct strobe_error *strobe_watch_read_file(struct strobe_watch *watch,
							  const char *path,
							  strobe_watch_report report, void *context,
							  bool *changed) STROBE_MUST_CHECK;

/** Called when the configuration changed: when (ns since 1970), hashes (NULL = none) and ids before and after, NULL-terminated.
 *  What it returns is told (NULL = fine; taken over) and hurts nobody else. */
typedef struct strobe_error *(*strobe_watch_listener)(void *context, int64_t time_ns,
						      const char *old_hash, const char *new_hash,
						      const char *const *old_ids,
						      const char *const *new_ids);
STROBE_EXPORT struct strobe_error *strobe_watch_listen(struct strobe_watch *watch,
						       strobe_watch_listener listener,
						       void *context) STROBE_MUST_CHECK;
STROBE_EXPORT void strobe_watch_unlisten(struct strobe_watch *watch, strobe_watch_listener listener,
					 void *context);

/** Called for each result, in the order of time: one JSON object, without a newline (docs/json.md, "watch"), and the same in a
 *  few lines for people. False: it could not be taken, and is counted as dropped. */
typedef bool (*strobe_watch_result)(void *context, const char *kind, const char *json, size_t size,
				    const char *text);
/** Adds a taker of results; several may be. */
STROBE_EXPORT struct strobe_error *strobe_watch_take(struct strobe_watch *watch,
						     strobe_watch_result taker, void *context)
	STROBE_MUST_CHECK;
/** What cannot be had here and why, one line: "by uprobes alone, no jumps: …"; NULL = nothing that was needed so far. Borrowed. */
STROBE_EXPORT const char *strobe_watch_lacks(struct strobe_watch *watch);
/** What happened to a tracepoint that nobody asked for, one line each time: it went over its budget, or is free again. NULL = nothing more.
 *  Borrowed until the next call. */
STROBE_EXPORT const char *strobe_watch_note(struct strobe_watch *watch);
/** Gives the takers a result of the kind "status" for each tracepoint. Errors: NO_MEMORY. */
STROBE_EXPORT struct strobe_error *strobe_watch_tell_status(struct strobe_watch *watch)
	STROBE_MUST_CHECK;
/** Waits for hits for at most `timeout_ms` (-1 = no limit), handles them, and gives their results to the takers. `*ended`: the process
 *  is no more, or somebody asked the session to end (<strobe/tracepoint_session.h>). Errors: SYSTEM, NO_MEMORY. */
STROBE_EXPORT struct strobe_error *strobe_watch_poll(struct strobe_watch *watch, int timeout_ms,
						     bool *ended) STROBE_MUST_CHECK;
/** A descriptor that can be read when there is something to poll for. Borrowed. */
STROBE_EXPORT int strobe_watch_descriptor(const struct strobe_watch *watch);

/** Where a tracepoint is armed. */
struct strobe_armed {
	uint64_t address;
	const char *method;	/**< "jump", "punned jump", "uprobe", ... */
	const char *inlined_in; /**< function that it is inlined into there; NULL */
};
/** How a tracepoint does. */
struct strobe_tracepoint_status {
	const char *id, *path;
	unsigned line;
	const char *method_name;
	const char *
		state; /**< "armed", "pending", "rejected", "used up", "disarmed", "counting", "off" */
	const char *error; /**< why, one line; NULL */
	unsigned moved_to; /**< the line that it is at instead; 0 = its own */
	const struct strobe_armed *armed;
	size_t armed_count;
	uint64_t hits;	  /**< that its condition let through */
	uint64_t fired;	  /**< of these, within its limits */
	uint64_t dropped; /**< results that were lost, and hits of which that is known */
	uint64_t errors;  /**< conditions, watches and copies that failed */
	uint64_t cost_ns; /**< of the process's threads, so far, as far as it is known */
};
/** All of a session together. */
struct strobe_watch_totals {
	uint64_t armed_count;	      /**< tracepoints that are armed somewhere */
	uint64_t hits, fired, errors; /**< of the tracepoints that there are now */
	uint64_t dropped;	      /**< of these: results, and hits, that were lost */
	uint64_t
		lost; /**< hits besides that came faster than they were handled; whose they were is not known */
	uint64_t cost_ns; /**< of the process's threads, as far as it is known */
};
STROBE_EXPORT void strobe_watch_totals(struct strobe_watch *watch, struct strobe_watch_totals *ret);
STROBE_EXPORT size_t strobe_watch_count(const struct strobe_watch *watch);
/** Tracepoint `index` < count, in the order in which they came. */
STROBE_EXPORT void strobe_watch_status(struct strobe_watch *watch, size_t index,
				       struct strobe_tracepoint_status *ret);

#ifdef __cplusplus
}
#endif
#endif
