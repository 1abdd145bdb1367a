// SPDX-License-Identifier: Apache-2.0
#ifndef STROBE_TRACE_H
#define STROBE_TRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <strobe/error.h>
#include <strobe/view.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * A trace: the recorded execution of threads. Per thread it is a sequence of *items*: instructions, events,
 * errors. Items are numbered from 0, the oldest; the number is the item's *id*. Ids are the same for the
 * same trace (packets, code, sideband) on every machine and in every run.
 *
 * A trace is decoded when and where somebody looks. An index, made in one pass and stored beside the
 * trace, tells which stretch of packets holds which items; decoded stretches are kept within a budget.
 *
 * One thread at a time per trace, its cursors and its view included. Strings and structures it returns are
 * borrowed from it.
 */
struct strobe_trace;

/** Called now and then while an index is built; return false to end it. */
typedef bool (*strobe_trace_progress)(void *context, uint64_t done_bytes, uint64_t total_bytes);

/** How to open a trace. Zero-initialise, then set `size`. */
struct strobe_trace_options {
	size_t size; /**< sizeof(struct strobe_trace_options) */
	/** Files for code and symbols: as for views; NULL = defaults. */
	const struct strobe_view_options *view;
	/** Take code from this target (a snapshot, a core, a PID, "@NAME") instead of from the files that
	 *  the trace names; NULL = from the files. */
	const char *code;
	/** Where the index is kept; NULL = beside the trace ("FILE.strobe-index"), or if that cannot
	 *  be written, below $XDG_CACHE_HOME/strobe; "" = nowhere, it is built in memory. */
	const char *index_path;
	bool rebuild_index;   /**< even if the stored one fits */
	unsigned threads;     /**< that build the index; 0 = one a processor */
	uint64_t cache_bytes; /**< budget of decoded stretches; 0 = 16 MiB */
	bool follow;	      /**< the trace is still growing: its unfinished end is withheld */
	strobe_trace_progress progress; /**< may be NULL */
	void *progress_context;
};

/**
 * Opens `path`: a bundle's trace.json (LLDB's form), a perf.data with Intel PT, or a trace of Strobe's own.
 * Builds or rebuilds the index if need be. Errors: SYSTEM, FORMAT (names the place in the file),
 * UNSUPPORTED, LIMIT "cancelled". Damage inside the packets is no error: it becomes error items.
 */
STROBE_EXPORT struct strobe_error *strobe_trace_open(const char *path,
						     const struct strobe_trace_options *options,
						     struct strobe_trace **ret) STROBE_MUST_CHECK;
/** Closes `trace` (NULL is fine); its cursors must be closed before. Returns NULL. */
STROBE_EXPORT struct strobe_trace *strobe_trace_close(struct strobe_trace *trace);

/** Problems met so far, oldest first; they grow as parts are used. */
STROBE_EXPORT size_t strobe_trace_warning_count(const struct strobe_trace *trace);
STROBE_EXPORT const char *strobe_trace_warning(const struct strobe_trace *trace, size_t index);

/**
 * Looks whether the trace has grown since (see strobe_trace_options.follow). Cursors stay at their items;
 * new ones are behind the newest, and new threads behind the last. `*ret_grew` (may be NULL) says if
 * there are any.
 */
STROBE_EXPORT struct strobe_error *strobe_trace_refresh(struct strobe_trace *trace, bool *ret_grew)
	STROBE_MUST_CHECK;

/** What an item is. The numbers are LLDB's. */
enum strobe_item_kind {
	STROBE_ITEM_ERROR = 0,
	STROBE_ITEM_EVENT = 1,
	STROBE_ITEM_INSTRUCTION = 2,
};

/** What an event is. Numbers 0 to 4 are LLDB's. */
enum strobe_event_type {
	STROBE_EVENT_DISABLED_SOFTWARE =
		0, /**< tracing stopped at an instruction: an interrupt, or software */
	STROBE_EVENT_DISABLED_HARDWARE =
		1,		       /**< tracing stopped by a branch out of what is traced */
	STROBE_EVENT_CPU_CHANGED = 2,  /**< what follows ran on another CPU */
	STROBE_EVENT_CLOCK_TICK = 3,   /**< a new hardware clock value */
	STROBE_EVENT_SYNC_POINT = 4,   /**< a PSB: decoding can begin here */
	STROBE_EVENT_ENABLED = 5,      /**< tracing began, or went on */
	STROBE_EVENT_ASYNC_BRANCH = 6, /**< an interrupt or exception went elsewhere */
	STROBE_EVENT_PAGING = 7,       /**< CR3 was set */
	STROBE_EVENT_EXEC_MODE = 8,    /**< 16, 32 or 64-bit code follows */
	STROBE_EVENT_TSX = 9,	       /**< a transaction began, was committed, or aborted */
	STROBE_EVENT_STOP = 10,	       /**< TraceStop */
	STROBE_EVENT_VMCS = 11,	       /**< another virtual machine */
	STROBE_EVENT_EXECUTION_STOPPED = 12,
	STROBE_EVENT_MWAIT = 13,
	STROBE_EVENT_POWER_ENTRY = 14,
	STROBE_EVENT_POWER_EXIT = 15,
	STROBE_EVENT_PTWRITE = 16,
	STROBE_EVENT_CORE_BUS_RATIO = 17,
	STROBE_EVENT_MAINTENANCE = 18,
	// From recorders that see more than the processor.
	STROBE_EVENT_SYSTEM_CALL = 19,	   /**< a system call began: value = its number */
	STROBE_EVENT_SYSTEM_CALL_END = 20, /**< it returned: value = its result */
	STROBE_EVENT_SIGNAL = 21,	   /**< a signal was delivered: value = its number */
	STROBE_EVENT_THREAD_START = 22,
	STROBE_EVENT_THREAD_END = 23, /**< value = exit status as of wait(2) */
	STROBE_EVENT_EXEC = 24,	      /**< the process executed another program */
	STROBE_EVENT_SKIPPED = 25,    /**< code ran that the recorder was told not to record */
};
enum { STROBE_EVENT_TYPE_COUNT = 26 };
/** "CPU core changed", "HW clock tick", ...: LLDB's names where it has one; NULL past the last. */
STROBE_EXPORT const char *strobe_event_type_name(enum strobe_event_type type);

/** A traced thread. */
struct strobe_trace_thread {
	int pid, tid;	  /**< of a kernel trace: pid 1, tid = the CPU's number */
	const char *name; /**< NULL if not recorded */
	uint64_t item_count;
	uint64_t instruction_count;
	uint64_t event_counts[STROBE_EVENT_TYPE_COUNT];
	uint64_t error_count;
	uint64_t raw_bytes;   /**< of packets; per-CPU traces: its share */
	uint64_t index_bytes; /**< its share of the index */
	bool has_time;
	double first_time_ns,
		last_time_ns; /**< as strobe_cursor_time_ns() counts; valid if has_time */
	uint64_t unit_count;  /**< stretches that the index knows */
	const int *cpus;      /**< on which it ran, ascending */
	size_t cpu_count;
};
STROBE_EXPORT size_t strobe_trace_thread_count(const struct strobe_trace *trace);
/** Thread `index` < count; valid until strobe_trace_refresh(). */
STROBE_EXPORT const struct strobe_trace_thread *
strobe_trace_thread(const struct strobe_trace *trace, size_t index);
/** Index of thread `tid`; SIZE_MAX if there is none. */
STROBE_EXPORT size_t strobe_trace_thread_index(const struct strobe_trace *trace, int tid);

/** Error items of one text, with the numbers left out. */
struct strobe_trace_error_count {
	const char *text; /**< "no memory mapped at this address" */
	uint64_t count;
};
/** Texts of thread `thread_index`'s errors; `index` from 0; false past the last. */
STROBE_EXPORT bool strobe_trace_error_count(const struct strobe_trace *trace, size_t thread_index,
					    size_t index, struct strobe_trace_error_count *ret);

/** The trace as a whole. Strings are NULL where not known. */
struct strobe_trace_info {
	const char *path;
	const char *format;	/**< "bundle", "perf.data", "strobe" */
	const char *technology; /**< "intel-pt", "single-step" */
	bool per_cpu;		/**< packets were collected by CPU, and cut at context switches */
	const char *cpu;	/**< "GenuineIntel 6/85/4"; of the machine it was recorded on */
	uint64_t raw_bytes;
	bool has_clock;	      /**< hardware clock values can be turned into ns */
	int64_t time_zero_ns; /**< what strobe_cursor_time_ns() is relative to, on the perf clock */
	int64_t wall_offset_ns; /**< add to perf clock ns for wall clock since 1970; 0 = unknown */
	const char *index_path; /**< NULL if it is in memory only */
	uint64_t index_bytes;
	bool index_was_built; /**< by this strobe_trace_open() */
	double index_seconds; /**< that took */
	bool finished;	      /**< nothing will be appended; false only if the format can tell */
};
STROBE_EXPORT const struct strobe_trace_info *strobe_trace_info(const struct strobe_trace *trace);

/**
 * Modules and code as a view of the traced process: symbols, lines, disassembly work; data is "not recorded".
 * Borrowed from the trace.
 */
STROBE_EXPORT const struct strobe_view *strobe_trace_view(const struct strobe_trace *trace);

#ifdef __cplusplus
}
#endif
#endif
