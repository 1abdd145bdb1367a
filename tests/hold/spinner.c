// SPDX-License-Identifier: Apache-2.0
// A process to take copies of: counts as fast as it can, in a few threads, with memory to copy.
// usage: spinner [MEBIBYTES [CHILDREN]]; says "ready" when all of it runs; SIGUSR1 fills the memory anew.
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { THREADS = 3 };
volatile unsigned long counter, twin; // twin follows counter: they differ by one at most
volatile unsigned long turns[THREADS];
volatile sig_atomic_t generation = 1;
unsigned char *memory;
size_t memory_size;

static void *turn(void *argument)
{
	volatile unsigned long *mine = argument;
	for (;;) {
		(*mine)++;
		usleep(100);
	}
	return NULL;
}

static void renew(int number)
{
	generation++;
	memset(memory, generation, memory_size);
}

static void spin(void)
{
	pthread_t threads[THREADS];
	for (size_t i = 0; i < THREADS; i++)
		if (pthread_create(&threads[i], NULL, turn, (void *)&turns[i]) != 0)
			abort();
	signal(SIGUSR1, renew);
	for (size_t i = 0; i < THREADS; i++)
		while (turns[i] == 0) // it has not begun
			usleep(100);
	puts("ready");
	fflush(stdout);
	for (;;) {
		counter++;
		twin++;
		if (counter % 1000 == 0)
			usleep(1000);
	}
}

int main(int argc, char **argv)
{
	memory_size = (argc > 1 ? strtoul(argv[1], NULL, 10) : 1) << 20;
	int children = argc > 2 ? atoi(argv[2]) : 0;
	memory = malloc(memory_size);
	if (!memory)
		return 1;
	for (size_t i = 0; i < memory_size; i++)
		memory[i] = (unsigned char)(i * 2654435761u >> 24);
	for (int i = 0; i < children; i++) {
		pid_t parent = getpid();
		if (fork() == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			if (getppid() != parent)
				return 1;
			spin();
		}
	}
	spin();
}
