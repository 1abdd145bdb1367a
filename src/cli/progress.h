// SPDX-License-Identifier: Apache-2.0
#ifndef CLI_PROGRESS_H
#define CLI_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

/** A bar on stderr while something long goes on, where stderr is a terminal; and Ctrl-C, SIGTERM and
 *  SIGHUP become a wish to stop that the work is told of. */
struct progress {
	const char *label;
	bool shown;	   // there is a terminal to show it on
	bool drawn;	   // something stands there
	uint64_t start_ns; // when it began
	uint64_t last_ns;  // when it was drawn last
};

/** Begins; `label` is borrowed. From the first call on the signals do not end the program. */
void progress_begin(struct progress *progress, const char *label, bool quiet);
/** A strobe_progress; `context` is the struct progress. */
bool progress_tell(void *context, uint64_t done_bytes, uint64_t total_bytes);
/** A strobe_graph_progress: of what is told as a part of 1. `context` is the struct progress. */
bool progress_tell_part(void *context, const char *what, double done);
/** Removes the bar. */
void progress_end(struct progress *progress);
/** The signals have their usual effect again; what came before is forgotten. */
void progress_release(void);
/** The signal that asked to stop, or 0. */
int progress_interrupted(void);

/** Nanoseconds of a clock that only runs forward. */
uint64_t monotonic_ns(void);

#endif
