// SPDX-License-Identifier: Apache-2.0
#ifndef RECORDER_FOLLOW_H
#define RECORDER_FOLLOW_H

#include "recorder/stepper.h"

/** Deals with a stop: notes what was executed, and lets the thread go on unless the recording ends. */
struct strobe_error *follow_stop(struct stepper *stepper, const struct tracing_event *event)
	STROBE_MUST_CHECK;

#endif
