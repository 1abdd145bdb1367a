// SPDX-License-Identifier: Apache-2.0
// many_threads COUNT: so many threads, each 30 calls deep; stands when all do. For real_roots.py.
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct node {
	struct node *next;
	int number;
};
static pthread_barrier_t barrier;
static _Thread_local struct node *own;

#pragma GCC diagnostic ignored "-Winfinite-recursion"
__attribute__((noinline)) static int dive(int depth, struct node *parent, int number,
					  const char *text)
{
	struct node here = {parent, depth};
	char name[16];
	snprintf(name, sizeof(name), "%.3s%d", text, number);
	if (depth)
		return dive(depth - 1, &here, number * 2, name) + 1;
	own = malloc(sizeof(*own));
	pthread_barrier_wait(&barrier);
	for (;;)
		pause();
}

static void *work(void *argument)
{
	dive(29, argument, 1, "t");
	return NULL;
}

int main(int argc, char **argv)
{
	unsigned count = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 0) : 100;
	pthread_attr_t small;
	pthread_attr_init(&small);
	pthread_attr_setstacksize(&small, 65536);
	pthread_barrier_init(&barrier, NULL, count + 1);
	for (unsigned i = 0; i < count; i++) {
		pthread_t thread;
		if (pthread_create(&thread, &small, work, NULL) != 0)
			return 1;
	}
	pthread_barrier_wait(&barrier);
	puts("ready");
	fflush(stdout);
	pause();
}
