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
/** Is the page at `address` one of them? `*end` is shortened to where the answer changes. */
bool stacks_want(const struct stacks *stacks, uint64_t address, uint64_t *end);

#endif
