// SPDX-License-Identifier: Apache-2.0
#ifndef WATCH_BUDGET_H
#define WATCH_BUDGET_H

// What a tracepoint may cost, and what becomes of one that costs more: for a while its hits are only counted, which costs less; one that is over
// even so, or again and again, is off. A window is a second or so.

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum budget_level { BUDGET_FREE, BUDGET_COUNTING, BUDGET_OFF };
enum {
	BUDGET_STRIKES = 3,
	BUDGET_PAUSE_MS = 5000,
	BUDGET_WINDOW_MS = 1000,
	BUDGET_FORGET_MS = 60000
};

struct budget_limits {	  // 0 = none
	double cpu_share; // of one processor, by the process's threads
	double hits_per_second, bytes_per_second;
	double latency_us; // that a hit adds
};
/** What there was since the window before. */
struct budget_use {
	int64_t span_ns;
	uint64_t hits, bytes;
	uint64_t cost_ns;
};
/** Zero-initialise. */
struct budget {
	enum budget_level level;
	unsigned strikes;
	int64_t until_ns; // of counting; CLOCK_MONOTONIC
	int64_t last_ns;  // when it was over last
};

/** Says by what it is over, in words ("31 % of a processor, where 5 % are allowed"); false if it is not. */
bool budget_is_over(const struct budget_limits *limits, const struct budget_use *use, char *why,
		    size_t size);
/** The next window: was it over? True if the level changed. */
bool budget_step(struct budget *budget, bool over, int64_t now_ns);

#endif
