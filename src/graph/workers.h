// SPDX-License-Identifier: Apache-2.0
#ifndef GRAPH_WORKERS_H
#define GRAPH_WORKERS_H

// Threads that do one thing after the other together: the one that asks is the first of them.

#include <stdbool.h>
#include <stdint.h>
#include <strobe/error.h>

struct workers;

enum { WORKERS_LIMIT = 64 };

/** `count` threads (0: one a processor), the caller's included; fewer where no more can be had. Errors: NO_MEMORY. */
struct strobe_error *workers_new(unsigned count, struct workers **ret) STROBE_MUST_CHECK;
/** Takes NULL; returns NULL. */
struct workers *workers_free(struct workers *workers);
unsigned workers_count(const struct workers *workers);

/** Does [from, to) as thread `thread` < workers_count(); false stops all of them as soon as they have done theirs. */
typedef bool (*workers_part)(void *context, unsigned thread, uint64_t from, uint64_t to);
/** Divides [begin, end) into parts at multiples of `step`, which threads take in ascending order; returns when all are done.
 *  False if one of them was. */
bool workers_run(struct workers *workers, uint64_t begin, uint64_t end, uint64_t step,
		 workers_part part, void *context);

#endif
