// SPDX-License-Identifier: Apache-2.0
// Calls a function for as long as it is let, and prints what a call takes: see fast_tracepoint.py.
#include <stdint.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

enum { CALLS = 10000, ROUNDS = 10 };

__attribute__((noipa)) uint64_t probed(uint64_t number, uint64_t other)
{
	return (3 * number + 0x123456) ^ other; // probed
}

static double now_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

int main(void)
{
	uint64_t sum = 0;
	for (unsigned line = 0; line < 25; line++) {
		double best = 1e9;
		for (unsigned round = 0; round < ROUNDS; round++) {
			double start = now_ns();
			for (uint64_t i = 0; i < CALLS; i++)
				sum += probed(i, sum);
			double ns = (now_ns() - start) / CALLS;
			best = ns < best ? ns : best;
		}
		printf("call %.2f\n", best);
		fflush(stdout);
		usleep(100000);
	}
	return sum == 1;
}
