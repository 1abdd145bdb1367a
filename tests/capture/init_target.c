// SPDX-License-Identifier: Apache-2.0
// The first process of a PID namespace, with no child of its own, which tells whatever it is told of one.
// It ends when its standard input does.
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MEMORY_BYTES = 64 << 20 };

volatile long turns, twin;
static volatile sig_atomic_t told;

static void note(int signal)
{
	told++;
}

static void *spin(void *context)
{
	for (;;) {
		twin = turns;
		turns = twin + 1;
	}
	return NULL;
}

int main(void)
{
	pthread_t thread;
	char *memory = malloc(MEMORY_BYTES);
	signal(SIGCHLD, note);
	memset(memory, 7, MEMORY_BYTES);
	if (pthread_create(&thread, NULL, spin, memory) != 0 || getpid() != 1)
		return 1;
	printf("ready\n");
	for (;;) {
		struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
		pid_t pid = waitpid(-1, NULL, WNOHANG);
		if (pid >= 0 || errno != ECHILD)
			printf("wait gave %d\n", (int)pid);
		if (told)
			printf("SIGCHLD came %d times\n", (int)told);
		told = 0;
		fflush(stdout);
		if (poll(&input, 1, 1) < 0)
			printf("poll: %s\n", strerror(errno));
		else if (input.revents)
			return 0;
	}
}
