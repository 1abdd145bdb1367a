// SPDX-License-Identifier: Apache-2.0
// A process that notices what is done to it. usage: disturbed sleeper|spinner|threads
// To each line on stdin it answers "good N", N lines having come, or what was wrong.
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

static const char *_Atomic wrong;
static atomic_ulong rounds[2];

/** The same numbers each time, in registers of all kinds. */
static void calculate(void)
{
	static double expected;
	double sum = 1;
	unsigned long whole = 1;
	for (int i = 1; i < 20000; i++) {
		sum = sum * 0.75 + i;
		whole = whole * 6364136223846793005UL + (unsigned long)i;
	}
	sum += (double)(whole >> 32);
	if (expected == 0)
		expected = sum;
	if (expected != sum)
		wrong = "registers changed under a calculation";
}

static void *spin(void *argument)
{
	for (;; atomic_fetch_add(&rounds[0], 1))
		calculate();
	return argument;
}

static void *nap(void *argument)
{
	for (;; atomic_fetch_add(&rounds[1], 1)) {
		struct timespec start, end, limit = {.tv_nsec = 2000000};
		clock_gettime(CLOCK_MONOTONIC, &start);
		if (nanosleep(&limit, NULL))
			wrong = "nanosleep failed";
		clock_gettime(CLOCK_MONOTONIC, &end);
		if ((end.tv_sec - start.tv_sec) * 1000000000 + end.tv_nsec - start.tv_nsec <
		    2000000)
			wrong = "nanosleep came back early";
	}
	return argument;
}

static void check_rest(void)
{
	sigset_t blocked;
	stack_t stack;
	sigprocmask(SIG_SETMASK, NULL, &blocked);
	for (int i = 1; i < 65; i++)
		if (sigismember(&blocked, i) == 1 && i != SIGUSR2)
			wrong = "signals are blocked";
	if (!sigismember(&blocked, SIGUSR2))
		wrong = "a signal is no longer blocked";
	if (sigaltstack(NULL, &stack) || !(stack.ss_flags & SS_DISABLE))
		wrong = "it has an alternate stack";
}

int main(int argc, char **argv)
{
	bool spins = argc > 1 && strcmp(argv[1], "spinner") == 0;
	char line[64];
	sigset_t blocked;
	pthread_t threads[2];
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	sigemptyset(&blocked);
	sigaddset(&blocked, SIGUSR2);
	sigprocmask(SIG_SETMASK, &blocked, NULL);
	if (argc > 1 && strcmp(argv[1], "threads") == 0 &&
	    (pthread_create(&threads[0], NULL, spin, NULL) ||
	     pthread_create(&threads[1], NULL, nap, NULL)))
		return 1;
	unsigned long before[2] = {0};
	for (unsigned count = 1;; count++) {
		struct pollfd input = {.fd = 0, .events = POLLIN};
		int ready;
		while ((ready = poll(&input, 1, spins ? 0 : 100000)) == 0)
			spins ? calculate() : (void)(wrong = "poll came back early");
		if (ready < 0)
			wrong = strerror(errno);
		if (!fgets(line, sizeof(line), stdin))
			return 0;
		check_rest();
		for (int i = 0; argc > 1 && strcmp(argv[1], "threads") == 0 && i < 2; i++) {
			unsigned long now = 0;
			for (int tries = 0; tries < 2000 && now <= before[i]; tries++) {
				usleep(5000);
				now = atomic_load(&rounds[i]);
			}
			if (now <= before[i])
				wrong = i ? "the thread that naps stands"
					  : "the thread that spins stands";
			before[i] = now;
		}
		printf("%s %u\n", wrong ? wrong : "good", count);
		fflush(stdout);
	}
}
