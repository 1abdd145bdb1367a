// SPDX-License-Identifier: Apache-2.0
#include "base/guard.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <strobe/guard.h>
#include <sys/time.h>
#include <unistd.h>

enum { ALTERNATE_STACK_SIZE = 64 * 1024, DEFAULT_SECONDS = 120 };

static __thread const char *volatile guarded;
static __thread volatile unsigned guarded_ticks;

// Written once by strobe_guard_install(), before any handler can run.
static char program_name[64];
static unsigned limit_seconds;

const char *guard_enter(const char *what)
{
	const char *before = guarded;
	guarded = what;
	guarded_ticks = 0;
	return before;
}

void guard_leave(const char *before)
{
	guarded = before;
	guarded_ticks = 0;
}

static void say(const char *text)
{
	if (write(STDERR_FILENO, text, strlen(text)) < 0)
		return;
}

static const char *fault_name(int number)
{
	switch (number) {
	case SIGSEGV:
		return "SIGSEGV";
	case SIGBUS:
		return "SIGBUS";
	case SIGFPE:
		return "SIGFPE";
	case SIGILL:
		return "SIGILL";
	default:
		return "SIGABRT";
	}
}

static void on_fault(int number, siginfo_t *info, void *context)
{
	(void)info;
	(void)context;
	if (!guarded) {
		// Our own bug: die as if there were no handler, so that it leaves a core.
		signal(number, SIG_DFL);
		raise(number);
		return;
	}
	say(program_name);
	say(": ");
	say(guarded);
	say(": the file is damaged: reading its ELF or DWARF data ended in ");
	say(fault_name(number));
	say("; use another copy of this file, or move it away to go on without it\n");
	_exit(1);
}

static void on_tick(int number)
{
	(void)number;
	if (!guarded || ++guarded_ticks < limit_seconds)
		return;
	say(program_name);
	say(": ");
	say(guarded);
	say(": gave up: one step of reading its ELF or DWARF data took too long; the file is "
	    "likely damaged\n");
	_exit(1);
}

void strobe_guard_install(const char *program, unsigned seconds)
{
	snprintf(program_name, sizeof(program_name), "%s", program);
	limit_seconds = seconds ? seconds : DEFAULT_SECONDS;
	static char alternate_stack[ALTERNATE_STACK_SIZE]; // for the life of the process
	stack_t stack = {.ss_sp = alternate_stack, .ss_size = sizeof(alternate_stack)};
	sigaltstack(&stack, NULL);
	struct sigaction action = {.sa_sigaction = on_fault,
				   .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER};
	sigemptyset(&action.sa_mask);
	const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};
	for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
		sigaction(faults[i], &action, NULL);
	struct sigaction tick = {.sa_handler = on_tick, .sa_flags = SA_RESTART | SA_ONSTACK};
	sigemptyset(&tick.sa_mask);
	sigaction(SIGVTALRM, &tick, NULL);
	struct itimerval second = {.it_interval = {.tv_sec = 1}, .it_value = {.tv_sec = 1}};
	setitimer(ITIMER_VIRTUAL, &second, NULL);
}
