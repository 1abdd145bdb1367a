// SPDX-License-Identifier: Apache-2.0
// 1,000,000 calls within each other, each with an argument and two locals. Needs `ulimit -s unlimited`.
#include <stdlib.h>

struct node {
	int id;
	struct node *next;
};

__attribute__((noinline)) static int down(int n, struct node *parent)
{
	struct node here = {n, parent};
	volatile int local = n * 2;
	if (n == 0)
		abort();
	return down(n - 1, &here) + local + here.id;
}

int main(void)
{
	return down(1000000, NULL);
}
