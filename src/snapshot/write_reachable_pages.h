// SPDX-License-Identifier: Apache-2.0
#ifndef SNAPSHOT_WRITE_REACHABLE_PAGES_H
#define SNAPSHOT_WRITE_REACHABLE_PAGES_H

// Which pages a reachable snapshot keeps, within a budget. Pages of zeros, where the view knows them, cost nothing.

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/hash.h"
#include "snapshot/write_stacks.h"

/** Zero-initialise, then set `view` and `budget`. */
struct reachable_pages {
	const struct strobe_view *view;
	uint64_t budget, kept_bytes; // roots' pages do not count
	bool full;		     // something did not fit into the budget
	bool short_of_memory;
	struct hash chunks; // by 2 MiB
	struct arena arena;
};

/** Keeps the pages of [start, end), the lower ones first; false if there is no room for all. */
bool pages_keep(struct reachable_pages *pages, uint64_t start, uint64_t end);
/** Keeps pages of stacks and thread-locals, whatever the budget: there is no heap in them. */
void pages_keep_roots(struct reachable_pages *pages, uint64_t start, uint64_t end);
bool pages_are_roots(const struct reachable_pages *pages, uint64_t address);
/** Adds all that are kept to `stacks`. */
void pages_add_to(const struct reachable_pages *pages, struct stacks *stacks);
void reachable_pages_fini(struct reachable_pages *pages);

#endif
