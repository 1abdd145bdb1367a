// SPDX-License-Identifier: Apache-2.0
#ifndef TESTS_PATIENCE_H
#define TESTS_PATIENCE_H

// Tests wait for what has to come, not for a time: a machine under load takes as long as it takes.

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

enum { PATIENCE_S = 60 };

static inline int64_t patience_begin(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec;
}

/** False when there is none left. */
static inline bool patience_lasts(int64_t begin)
{
	return patience_begin() - begin < PATIENCE_S;
}

#endif
