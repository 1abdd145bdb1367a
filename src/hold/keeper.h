// SPDX-License-Identifier: Apache-2.0
#ifndef HOLD_KEEPER_H
#define HOLD_KEEPER_H

#include <strobe/error.h>
#include <strobe/snapshot.h>

/**
 * Starts the keeper of process `pid`'s copy `name`. It sends one message_answer to `*ret`, the
 * caller's socket, when it has taken the copy, or could not.
 */
struct strobe_error *keeper_start(int pid, const struct strobe_snapshot_options *options,
				  const char *name, int *ret) STROBE_MUST_CHECK;

#endif
