// SPDX-License-Identifier: Apache-2.0
#ifndef GRAPH_PARTS_H
#define GRAPH_PARTS_H

// Work in equal parts, by as many threads.

/** Processors that this process may use, at least 1. */
unsigned parts_processors(void);
/** Runs part 0 to count - 1, each by a thread of its own but for the first; returns when all are done. Parts whose thread
 *  cannot be started are run after the others by the caller, so that it never fails. */
void parts_run(unsigned count, void (*run)(void *context, unsigned part), void *context);

enum { PARTS_MAX = 64 }; // `count` may not be more

#endif
