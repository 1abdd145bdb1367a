// SPDX-License-Identifier: Apache-2.0
#ifndef RECORDER_LAUNCH_H
#define RECORDER_LAUNCH_H

#include <strobe/error.h>
#include <sys/types.h>

/** A program that is to be started: a child of the caller's that waits. */
struct launch {
	pid_t pid;
	int starter; // the recording process's end
	int gate;    // the caller's end
};

/** Makes the child. Errors: SYSTEM. */
struct strobe_error *launch_prepare(const char *const *arguments, struct launch *ret)
	STROBE_MUST_CHECK;
/** Tells it who may trace it, and lets it wait for that one. */
void launch_allow(struct launch *launch, pid_t recorder);
/** Closes what the caller has of it; without launch_allow(), it ends. */
void launch_close(struct launch *launch);

/** In the recording process: waits until the child may be traced. False if it is gone. */
bool launch_wait(int starter);
/** Lets it execute its program. */
void launch_go(int starter);
/** errno with which that failed; 0 if it did not. To be called when the child has ended. */
int launch_failure(int starter);

#endif
