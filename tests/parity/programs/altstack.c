// SPDX-License-Identifier: Apache-2.0
// A SIGSEGV handler on an alternate stack that inspects its siginfo and then aborts.
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

struct report {
	int number;
	void *address;
	char note[20];
};

__attribute__((noinline)) static void tell(struct report *report)
{
	int copy = report->number;
	report->note[0] = 'x';
	if (copy)
		abort();
}

static void on_fault(int number, siginfo_t *info, void *context)
{
	struct report report = {number, info->si_addr, "fault"};
	(void)context;
	tell(&report);
	printf("%d\n", report.number);
}

__attribute__((noinline)) static int poke(int *where, int value)
{
	int before = *where;
	*where = value;
	return before;
}

__attribute__((noinline)) static int recurse(int depth, int *where)
{
	int local = depth * 2;
	if (depth == 0)
		return poke(where, local) + local;
	return recurse(depth - 1, where) + local;
}

int main(void)
{
	stack_t stack = {.ss_sp = malloc(65536), .ss_size = 65536};
	sigaltstack(&stack, NULL);
	struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK};
	sigaction(SIGSEGV, &action, NULL);
	return recurse(5, (int *)8);
}
