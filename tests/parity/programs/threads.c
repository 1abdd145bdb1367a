// SPDX-License-Identifier: Apache-2.0
// 1,000 threads that wait in different ways, and one that ends the process.
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { COUNT = 1000 };
struct worker {
	int number;
	char name[16];
	double share;
	struct worker *neighbour;
};
static struct worker workers[COUNT];
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t never = PTHREAD_COND_INITIALIZER;
static pthread_barrier_t ready;

__attribute__((noinline)) static int wait_here(struct worker *worker, int depth)
{
	int local = worker->number * depth;
	if (depth > 0)
		return wait_here(worker, depth - 1) + local;
	if (worker->number % 3 == 0) {
		pthread_mutex_lock(&mutex);
		pthread_cond_wait(&never, &mutex);
	} else if (worker->number % 3 == 1) {
		pause();
	} else {
		sleep(1000);
	}
	return local;
}

static void *work(void *argument)
{
	struct worker *worker = argument;
	snprintf(worker->name, sizeof(worker->name), "worker-%d", worker->number);
	pthread_barrier_wait(&ready);
	return (void *)(long)wait_here(worker, worker->number % 7);
}

int main(void)
{
	pthread_attr_t attributes;
	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, 64 * 1024);
	pthread_barrier_init(&ready, NULL, COUNT + 1);
	for (int i = 0; i < COUNT; i++) {
		pthread_t thread;
		workers[i] = (struct worker){i, "", i / 8.0, &workers[(i + 1) % COUNT]};
		if (pthread_create(&thread, &attributes, work, &workers[i]))
			return 1;
	}
	pthread_barrier_wait(&ready);
	usleep(300000);
	abort();
}
