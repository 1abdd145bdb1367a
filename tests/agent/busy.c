// SPDX-License-Identifier: Apache-2.0
// A program that is hard to probe: threads, a timer's signals whose handler calls what is probed, children that do, system calls,
// jumps out of a handler. Prints where hot_function is, runs until its standard input ends, and exits with 0 if all results were right.
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

uint64_t hot_function(uint64_t number, uint64_t other);
// Sites: 7 bytes, 3 bytes with a 5-byte one behind, a call.
__asm__(".text\n"
	".balign 64\n"
	".globl hot_function\n"
	".type hot_function,@function\n"
	"hot_function:\n"
	"lea hot_function(%rip), %rax\n"
	"xor %eax, %eax\n"
	"add $3, %rax\n"
	"call hot_leaf\n"
	"add %rdi, %rax\n"
	"add %rsi, %rax\n"
	"ret\n"
	".size hot_function, .-hot_function\n"
	".balign 16\n"
	"hot_leaf:\n"
	"lea 4(%rax), %rax\n"
	"ret\n");

static volatile sig_atomic_t stop;
static uint64_t wrong, calls, handled;
static sigjmp_buf out;
static volatile sig_atomic_t may_jump;

static void check(uint64_t number)
{
	if (hot_function(number, 5) != number + 12)
		__atomic_fetch_add(&wrong, 1, __ATOMIC_SEQ_CST);
	__atomic_fetch_add(&calls, 1, __ATOMIC_RELAXED);
}

static void on_alarm(int number)
{
	check((uint64_t)number);
	__atomic_fetch_add(&handled, 1, __ATOMIC_RELAXED);
}

static void on_user(int number)
{
	check((uint64_t)number);
	if (may_jump)
		siglongjmp(out, 1);
}

static void *run(void *context)
{
	for (uint64_t i = 0; !stop; i++)
		check(i + (uint64_t)(uintptr_t)context);
	return NULL;
}

/** Handlers end by jumping out of what they interrupted, a probe perhaps. */
static void *run_and_jump(void *context)
{
	sigset_t set;
	(void)context;
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	while (!stop) {
		if (sigsetjmp(out, 1) == 0) {
			may_jump = 1;
			for (unsigned i = 0; i < 20000 && !stop; i++)
				check(i);
		}
		may_jump = 0;
	}
	return NULL;
}

static void run_child(void)
{
	pid_t pid = fork();
	if (pid == 0) {
		wrong = 0;
		for (uint64_t i = 0; i < 2000; i++)
			check(i);
		_exit(wrong != 0);
	}
	int status = -1;
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (status != 0)
		__atomic_fetch_add(&wrong, 1, __ATOMIC_SEQ_CST);
}

int main(void)
{
	struct sigaction action = {.sa_handler = on_alarm, .sa_flags = SA_RESTART};
	struct itimerval timer = {.it_interval.tv_usec = 500, .it_value.tv_usec = 500};
	pthread_t threads[3];
	sigset_t set;
	sigaction(SIGALRM, &action, NULL);
	action.sa_handler = on_user;
	sigaction(SIGUSR1, &action, NULL);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	for (uintptr_t i = 0; i < 3; i++)
		pthread_create(&threads[i], NULL, i < 2 ? run : run_and_jump, (void *)i);
	setitimer(ITIMER_REAL, &timer, NULL);
	printf("%lx\n", (unsigned long)(uintptr_t)hot_function);
	fflush(stdout);
	for (;;) {
		struct pollfd input = {.fd = 0, .events = POLLIN};
		if (poll(&input, 1, 0) == 1)
			break;
		run_child();
		pthread_kill(threads[2], SIGUSR1);
	}
	stop = 1;
	for (unsigned i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	fprintf(stderr, "# %lu calls, %lu in handlers, %lu wrong\n", (unsigned long)calls,
		(unsigned long)handled, (unsigned long)wrong);
	return wrong != 0;
}
