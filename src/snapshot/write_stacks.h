// SPDX-License-Identifier: Apache-2.0
#ifndef SNAPSHOT_WRITE_STACKS_H
#define SNAPSHOT_WRITE_STACKS_H

// The pages of `--contents stacks`: what `bt`, thread-local and global variables need.

#include <stdbool.h>
#include <stdint.h>
#include <strobe/error.h>

#include "view/view.h"

struct stacks;

/** Errors: NO_MEMORY. */
struct strobe_error *stacks_find(const struct strobe_view *view, struct stacks **ret)
	STROBE_MUST_CHECK;
struct stacks *stacks_free(struct stacks *stacks);
/** Adds what of [start, end) lies in the mapping of `start`; then, once, stacks_settle(). */
void stacks_add(struct stacks *stacks, uint64_t start, uint64_t end);
/** Errors: NO_MEMORY, of the additions. */
struct strobe_error *stacks_settle(struct stacks *stacks) STROBE_MUST_CHECK;
/** Is the page at `address` one of them? `*end` is shortened to where the answer changes. */
bool stacks_want(const struct stacks *stacks, uint64_t address, uint64_t *end);

#endif
