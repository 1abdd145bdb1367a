// SPDX-License-Identifier: Apache-2.0
#ifndef VIEW_LAZY_H
#define VIEW_LAZY_H

// Memory that a source fetches when it is first looked at: a living clone's, compressed files',
// another snapshot's. It gets address space of its own size once, filled piece by piece: pointers
// into it stay where they are for as long as the view lives.

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <strobe/error.h>

#include "view/view.h"

/** Where the bytes come from. */
struct lazy_source {
	/** Copies `size` bytes from `position` on; returns how many there were before the first
	 *  that cannot be read. */
	size_t (*read)(void *context, uint64_t position, void *buffer, size_t size);
	/** May be NULL. What [position, limit) begins with, without reading it. */
	void (*run)(void *context, uint64_t position, uint64_t limit, struct view_run *ret);
	void (*close)(void *context); // may be NULL
	void *context;
};

#endif
