// SPDX-License-Identifier: Apache-2.0
#ifndef CLI_WATCH_LIVE_H
#define CLI_WATCH_LIVE_H

// The table of tracepoints below the results, on a terminal. It is drawn by moving up and erasing what stands there, and changes nothing else of
// the terminal: whichever way strobe ends there is nothing to be put back.

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct command;
struct strobe_watch;

struct live {
	const struct command *command;
	struct strobe_watch *session;
	bool on;
	unsigned lines, width; // that stand there; columns of the terminal then
	uint64_t drawn_ns, rates_ns;
	uint64_t *hits; // of each tracepoint, when its rate was told last
	double *rates;
	size_t count; // of these
};

/** Shows nothing until live_draw(); nothing at all where standard output is no terminal that can do it. */
void live_begin(struct live *live, const struct command *command, struct strobe_watch *session);
/** Takes the table away, for something else to be written in its place. */
void live_clear(struct live *live);
/** Draws it (again), if it is gone, or half a second old. */
void live_draw(struct live *live);
/** Leaves the last one standing. */
void live_end(struct live *live);

#endif
