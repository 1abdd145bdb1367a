// SPDX-License-Identifier: Apache-2.0
#include "base/guard.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
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

/** `start` is 0 in a free entry and CLAIMED while one is being filled in. */
struct mapped {
	atomic_uintptr_t start;
	size_t size;
	const char *path;
};

enum { CLAIMED = 1 };

static struct mapped mapped_files[GUARD_MAP_LIMIT];
static atomic_size_t mapped_end; // entries from here on were never used

void guard_map(const void *start, size_t size, const char *path)
{
	for (size_t i = 0; start && size && i < GUARD_MAP_LIMIT; i++) {
		struct mapped *entry = &mapped_files[i];
		uintptr_t free_entry = 0;
		if (!atomic_compare_exchange_strong(&entry->start, &free_entry, CLAIMED))
			continue;
		entry->size = size;
		entry->path = path;
		atomic_store(&entry->start, (uintptr_t)start);
		size_t end = atomic_load(&mapped_end);
		while (end <= i && !atomic_compare_exchange_weak(&mapped_end, &end, i + 1))
			continue;
		return;
	}
}

void guard_unmap(const void *start, size_t size)
{
	size_t end = atomic_load(&mapped_end);
	for (size_t i = 0; start && i < end; i++) {
		uintptr_t entry = atomic_load(&mapped_files[i].start);
		if (entry >= (uintptr_t)start && entry - (uintptr_t)start < size)
			atomic_store(&mapped_files[i].start, 0);
	}
}

/** The file mapped at `address`, with the offset there; NULL if there is none. */
static const char *file_at(uintptr_t address, size_t *offset)
{
	for (size_t i = 0; i < atomic_load(&mapped_end); i++) {
		const struct mapped *entry = &mapped_files[i];
		uintptr_t start = atomic_load(&entry->start);
		if (start <= CLAIMED || address < start || address - start >= entry->size)
			continue;
		*offset = address - start;
		return entry->path;
	}
	return NULL;
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

static void say_hex(size_t number)
{
	char text[2 + 2 * sizeof(number) + 1], *at = text + sizeof(text);
	*--at = '\0';
	do
		*--at = "0123456789abcdef"[number % 16];
	while (number /= 16);
	*--at = 'x';
	*--at = '0';
	say(at);
}

static void say_cut_short(const char *path, size_t offset)
{
	say(program_name);
	say(": ");
	say(path);
	say(": cannot be read at ");
	say_hex(offset);
	say(": it was cut short while it was being read, or its disk fails\n");
	_exit(1);
}

static void on_fault(int number, siginfo_t *info, void *context)
{
	size_t offset;
	const char *path = NULL;
	(void)context;
	// si_code > 0: the kernel says so, not another process's kill().
	if (number == SIGBUS && info->si_code > 0)
		path = file_at((uintptr_t)info->si_addr, &offset);
	if (path)
		say_cut_short(path, offset);
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
