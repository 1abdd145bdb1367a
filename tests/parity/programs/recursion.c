// SPDX-License-Identifier: Apache-2.0
// Recursion until the stack overflows.
#include <stdio.h>

struct level {
	int depth;
	long sum;
	struct level *above;
};

__attribute__((noinline)) static long descend(int depth, struct level *above)
{
	struct level here = {depth, depth * 3L, above};
	if (depth < 0)
		return 0;
	return descend(depth + 1, &here) + here.sum;
}

int main(void)
{
	printf("%ld\n", descend(0, NULL));
	return 0;
}
