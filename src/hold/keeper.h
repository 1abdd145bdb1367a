// SPDX-License-Identifier: Apache-2.0
#ifndef HOLD_KEEPER_H
#define HOLD_KEEPER_H

#include <stddef.h>
#include <strobe/error.h>
#include <strobe/snapshot.h>

/** What a keeper is to take, at one instant, and hold under names of their own. */
struct keeper_order {
	const int *pids;
	const char *const *names;
	size_t count; // 1 at least
	const struct strobe_snapshot_options *options;
};
/**
 * Starts the keeper of these copies. It sends one message_answer for each, in their order, to `*ret`, the
 * caller's socket, when it has taken all that could be. It ends when none of its copies is left.
 */
struct strobe_error *keeper_start(const struct keeper_order *order, int *ret) STROBE_MUST_CHECK;

#endif
