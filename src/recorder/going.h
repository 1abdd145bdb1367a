// SPDX-License-Identifier: Apache-2.0
#ifndef RECORDER_GOING_H
#define RECORDER_GOING_H

#include "recorder/stepper.h"

/** A thread that stands begins to be followed, from where it is. */
struct strobe_error *going_begin(struct stepper *stepper, struct follower *follower)
	STROBE_MUST_CHECK;
/** Lets it go on, with what it was to be given. */
struct strobe_error *going_resume(struct stepper *stepper, struct follower *follower)
	STROBE_MUST_CHECK;

#endif
