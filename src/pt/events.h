// SPDX-License-Identifier: Apache-2.0
#ifndef PT_EVENTS_H
#define PT_EVENTS_H

// libipt's events as items.

#include "pt/decoding.h"

/** Takes all events that are pending. decoder->status is negative afterwards if one was refused. */
struct strobe_error *events_take(struct decoder *decoder) STROBE_MUST_CHECK;

#endif
