// SPDX-License-Identifier: Apache-2.0
#ifndef STROBE_RECORD_H
#define STROBE_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <strobe/error.h>
#include <strobe/view.h>

#ifdef __cplusplus
extern "C" {
#endif

/** How execution is recorded. */
enum strobe_record_method {
	STROBE_RECORD_AUTO,	/**< Intel PT where there is one, else single steps */
	STROBE_RECORD_STEP,	/**< each instruction is a stop: everywhere, and slow */
	STROBE_RECORD_INTEL_PT, /**< by the processor, through perf_event_open(2) */
};
/** "auto", "step", "pt". */
STROBE_EXPORT const char *strobe_record_method_name(enum strobe_record_method method);
/**
 * Why `method` cannot be used on this machine; NULL if it can. For STROBE_RECORD_AUTO: why it is single steps,
 * NULL if it is Intel PT. The text is static.
 */
STROBE_EXPORT const char *strobe_record_method_problem(enum strobe_record_method method);

enum { STROBE_RECORD_RANGES = 2 };
/** What is recorded. Zero = everything, until the target ends. Single steps only, but for the first two. */
struct strobe_record_limits {
	uint64_t instructions; /**< of all threads together; 0 = no limit */
	double seconds;	       /**< 0 = no limit */
	/** Only while a thread is in [start, end) of one of these; it runs at full speed elsewhere. It comes back
	 *  where a range starts, and where a call out of one returns to: a jump into its middle from elsewhere
	 *  is not noticed. */
	uint64_t range_starts[STROBE_RECORD_RANGES], range_ends[STROBE_RECORD_RANGES];
	unsigned range_count;
	uint64_t from;	/**< recording begins when a thread comes to this address; 0 = at once */
	uint64_t until; /**< and ends when one comes to this; 0 = never */
};

/** How far it is. */
struct strobe_record_progress {
	uint64_t instructions; /**< not known by Intel PT: 0 */
	uint64_t threads;      /**< that are recorded now */
	uint64_t bytes;	       /**< of the file */
	bool started;	       /**< `from` was reached */
};

/** What is to be recorded, and how. Zero-initialise, then set `size`. */
struct strobe_record_options {
	size_t size; /**< sizeof(struct strobe_record_options) */
	int pid;     /**< a process; 0 = `arguments` */
	const char *const
		*arguments; /**< a program and its arguments, ended by NULL; found as by a shell */
	const char *path;   /**< the file to write */
	enum strobe_record_method method;
	int tid;	   /**< only this thread; 0 = all, new ones too */
	bool follow_forks; /**< processes that it forks are recorded, too; else they are let go */
	bool snapshot;	   /**< Intel PT: keep only what the buffer holds when it ends */
	uint64_t buffer_bytes; /**< Intel PT: of each CPU; a power of two; 0 = 4 MiB */
	struct strobe_record_limits limits;
	/**
	 * Called when the target's modules are known, to turn names into addresses: `view` shows them (memory that
	 * is in no file is "not recorded"). Of a program that is started, after its libraries were loaded;
	 * recording begins there. Runs in a process of its own, a fork of the caller's: what it changes but
	 * `*limits` is lost, and its error becomes that of strobe_record_run(). NULL = nothing to do.
	 */
	struct strobe_error *(*place)(void *context, struct strobe_view *view,
				      struct strobe_record_limits *limits);
	/** Called some ten times a second; return false to end the recording, and it is not called again.
	 * NULL = nothing to do. */
	bool (*progress)(void *context, const struct strobe_record_progress *progress);
	void *context;
};

/** Why a recording ended. */
enum strobe_record_end {
	STROBE_RECORD_TARGET_ENDED,
	STROBE_RECORD_INSTRUCTIONS, /**< limits.instructions */
	STROBE_RECORD_SECONDS,	    /**< limits.seconds */
	STROBE_RECORD_UNTIL,	    /**< limits.until */
	STROBE_RECORD_STOPPED,	    /**< progress() said so */
};

struct strobe_record_result {
	enum strobe_record_method method; /**< that was used */
	enum strobe_record_end end;
	int pid;	       /**< of the first process */
	uint64_t instructions; /**< 0 = not known */
	uint64_t threads, processes;
	uint64_t events;     /**< system calls, signals, ... */
	uint64_t bytes;	     /**< of the file */
	uint64_t lost_bytes; /**< packets that did not reach it */
	double seconds;
	bool target_runs; /**< it goes on */
	int exit_status;  /**< as of wait(2), of a program that was started and has ended */
};

/**
 * Records until the target ends, a limit is reached, or progress() says so. The file can be read meanwhile, and is
 * readable whatever happens. A process of its own does the work, so that the target goes on unharmed even if the
 * caller is killed; if that process is killed, too, a thread that is being stepped dies of SIGTRAP.
 * Not to be called where other threads hold locks of the C library: it forks.
 * Errors: as strobe_snapshot_take(); INVALID; UNSUPPORTED (the method, here); NOT_FOUND (thread, program); SYSTEM (the
 * file); what place() returned.
 */
STROBE_EXPORT struct strobe_error *strobe_record_run(const struct strobe_record_options *options,
						     struct strobe_record_result *ret)
	STROBE_MUST_CHECK;

#ifdef __cplusplus
}
#endif
#endif
