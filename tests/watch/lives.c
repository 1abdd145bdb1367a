// SPDX-License-Identifier: Apache-2.0
// Forks, replaces itself, or is stormed by signals; counts what it does, and says whether that was right.
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

static volatile long worked, alarms;

__attribute__((noinline)) static long work(long n)
{
	worked++; // WORK
	return n * 2;
}

static void ring(int number)
{
	(void)number;
	alarms++;
	if (work(alarms) != alarms * 2) // a hit in a signal handler
		abort();
}

static int rounds(long count)
{
	for (long i = 0; i < count; i++) {
		if (work(i) != 2 * i)
			return 1;
		usleep(500);
	}
	return worked == count ? 0 : 2;
}

static int forks(void)
{
	int status, wrong = 0;
	for (int i = 0; i < 20; i++) {
		int child = fork();
		if (child == 0)
			_exit(work(3) == 6 && work(4) == 8 ? 42 : 1);
		waitpid(child, &status, 0);
		wrong += !WIFEXITED(status) || WEXITSTATUS(status) != 42;
	}
	return wrong ? 1 : rounds(200) ? 2 : 0;
}

static int storm(void)
{
	struct itimerval timer = {{0, 300}, {0, 300}};
	struct sigaction action = {.sa_handler = ring, .sa_flags = SA_RESTART};
	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &timer, NULL);
	long done = 0;
	for (; done < 200000; done++)
		if (work(done) != 2 * done)
			return 1;
	memset(&timer, 0, sizeof(timer));
	setitimer(ITIMER_REAL, &timer, NULL);
	return alarms > 0 ? 0 : 2;
}

static volatile sig_atomic_t stop;

static void end(int number)
{
	(void)number;
	stop = 1;
}

/** Until it is told to end. */
static int endless(void)
{
	signal(SIGTERM, end);
	for (long i = 0; !stop; i++) {
		if (work(i) != 2 * i)
			return 1;
		usleep(1000);
	}
	return 0;
}

// lives forks|exec|storm|rounds|endless|again: status 0 if all was right.
int main(int argc, char **argv)
{
	int ret = 9;
	if (argc < 2)
		return 9;
	if (strcmp(argv[1], "forks") == 0)
		ret = forks();
	if (strcmp(argv[1], "storm") == 0)
		ret = storm();
	if (strcmp(argv[1], "rounds") == 0)
		ret = rounds(300);
	if (strcmp(argv[1], "endless") == 0)
		ret = endless();
	if (strcmp(argv[1], "again") == 0) { // endless, as another program, when it is told to end
		ret = endless();
		if (ret == 0)
			execl(argv[0], argv[0], "endless", (char *)NULL);
	}
	if (strcmp(argv[1], "exec") == 0) {
		ret = rounds(200);
		if (ret == 0)
			execl(argv[0], argv[0], "rounds", (char *)NULL);
	}
	printf("status %d\n", ret);
	return ret;
}
