// SPDX-License-Identifier: Apache-2.0
// What the tests of tracepoints watch: an endless round of work; each number is told to tests by what it is made of.
#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct user {
	const char *name;
	int age;
};
struct request {
	int id;
	struct user *user;
	struct request *self;
	double weight;
	char tag[16];
	int list[40];
	unsigned char bytes[4];
};
static volatile int stop, load;
static unsigned pause_us = 1000;
static long total;
static __thread int of_this_thread;

__attribute__((noinline)) static int deep(const struct request *request, int n)
{
	if (n == 0)
		return request->id;
	return deep(request, n - 1) + 1; // DEEP
}

static inline __attribute__((always_inline)) int twice(int n)
{
	int doubled = n * 2; // INLINED
	return doubled + 1;
}

__attribute__((noinline)) static int serve(struct request *request, int n)
{
	int local = twice(n);
	of_this_thread = n % 7; // BEFORE
	total += local;		// SERVE
	return deep(request, 3) + local;
}

static void *work(void *context)
{
	struct user user = {"alice", 30};
	struct request request = {.user = &user,
				  .weight = 1.5,
				  .tag = "tag",
				  .list = {1, 2, 3},
				  .bytes = {1, 255, 0, 9}};
	request.self = &request;
	for (int i = 0; !stop && i < (int)(long)context; i++) {
		request.id = i % 200;
		serve(&request, i % 200);
		usleep(pause_us);
	}
	return NULL;
}

static void end(int signal)
{
	(void)signal;
	stop = 1;
}

static void go_on(int signal)
{
	(void)signal;
	load = 1;
}

// watched ROUNDS THREADS [LIBRARY]: rounds of each thread, PAUSE_US apart, after those in LIBRARY, which it loads at SIGUSR1; ends with status 3.
int main(int argc, char **argv)
{
	long rounds = argc > 1 ? atol(argv[1]) : 1000000;
	int count = argc > 2 ? atoi(argv[2]) : 1;
	pthread_t threads[64];
	if (getenv("PAUSE_US"))
		pause_us = (unsigned)atoi(getenv("PAUSE_US"));
	signal(SIGUSR1, go_on);
	signal(SIGTERM, end);
	if (argc > 3) {
		while (!load && !stop)
			usleep(1000);
		void *library = dlopen(argv[3], RTLD_NOW);
		int (*late)(int) = library ? (int (*)(int))(long)dlsym(library, "late") : NULL;
		for (int i = 0; late && !stop; i++) {
			late(i);
			usleep(1000);
		}
	}
	for (int i = 0; i < count; i++)
		pthread_create(&threads[i], NULL, work, (void *)rounds);
	for (int i = 0; i < count; i++)
		pthread_join(threads[i], NULL);
	puts("output is the program's own");
	return 3;
}
