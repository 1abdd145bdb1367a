// SPDX-License-Identifier: Apache-2.0
#ifndef RECORDER_METHOD_H
#define RECORDER_METHOD_H

// Ways to record, behind one seam: a fast recorder without PT hardware is one more entry of the table in method.c.

#include <stdbool.h>
#include <stdint.h>
#include <strobe/record.h>
#include <sys/types.h>

struct recording_writer;

/** What the recording process and the one that waits for it share. */
struct record_shared {
	volatile bool stop; // asked to end
	volatile bool started;
	volatile uint64_t instructions, threads, bytes;
	// At the end:
	bool failed;
	struct record_failure {
		int code, errnum;
		char message[1024];
	} failure;
	struct strobe_record_result result;
};

/** A recording as its method sees it. */
struct record_job {
	const struct strobe_record_options *options;
	struct strobe_record_limits limits;
	pid_t pid;  // of the first process
	int launch; // socket to a program that waits to be started (launch.h); -1 = it runs
	struct recording_writer *writer;
	struct record_shared *shared;
	bool (*ended)(void); // a signal asked for the end
};

struct record_method {
	enum strobe_record_method method;
	const char *name;
	/** Static text, or NULL if it can be used here. */
	const char *(*problem)(void);
	/** Records until the end, and lets the target go: on failure, too. Fills in job->shared->result. */
	struct strobe_error *(*run)(struct record_job *job);
};
/** Never NULL; of AUTO, the one that is chosen. */
const struct record_method *record_method_choose(enum strobe_record_method method);

struct strobe_error *step_run(struct record_job *job) STROBE_MUST_CHECK;
const char *perf_pt_problem(void);
struct strobe_error *perf_pt_run(struct record_job *job) STROBE_MUST_CHECK;

#endif
