// SPDX-License-Identifier: Apache-2.0
#include "process/restart.h"

#include <errno.h>
#include <linux/futex.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "process/proc.h"

#ifndef SYS_epoll_pwait2
#define SYS_epoll_pwait2 441
#endif

static const int64_t second_ns = 1000000000, millisecond_ns = 1000000;

// include/uapi/linux/io_uring.h
enum { URING_EXT_ARG = 1 << 3, URING_ABS_TIMER = 1 << 5, URING_ARG_WORDS = 3, URING_ARG_TIME = 2 };

/** Where a call has its time limit. */
enum limit_kind {
	LIMIT_NONE,	// none, absolute, or elsewhere than in its arguments
	LIMIT_MS,	// milliseconds in the register; negative = none
	LIMIT_TIMESPEC, // a pointer to a relative struct timespec; NULL = none
	LIMIT_IO_URING, // in a struct io_uring_getevents_arg, where a flag says that there is one
};
struct timed_call {
	unsigned long number;
	enum limit_kind kind;
	unsigned argument; // 1 to 6
	bool ends;	   // in EINTR, whatever SA_RESTART says: signal(7)
};

static const struct timed_call calls[] = {
	{SYS_epoll_wait, LIMIT_MS, 4, true},
	{SYS_epoll_pwait, LIMIT_MS, 4, true},
	{SYS_epoll_pwait2, LIMIT_TIMESPEC, 4, true},
	{SYS_rt_sigtimedwait, LIMIT_TIMESPEC, 3, true},
	{SYS_semop, LIMIT_NONE, 0, true},
	{SYS_semtimedop, LIMIT_TIMESPEC, 4, true},
	{SYS_io_getevents, LIMIT_TIMESPEC, 5, true},
	{SYS_io_pgetevents, LIMIT_TIMESPEC, 5, true},
	{SYS_io_uring_enter, LIMIT_IO_URING, 5, true},
	{SYS_msgrcv, LIMIT_NONE, 0, true},
	{SYS_msgsnd, LIMIT_NONE, 0, true},
	{SYS_pause, LIMIT_NONE, 0, true},
	{SYS_rt_sigsuspend, LIMIT_NONE, 0, true},
	// Sockets with SO_RCVTIMEO or SO_SNDTIMEO.
	{SYS_read, LIMIT_NONE, 0, true},
	{SYS_readv, LIMIT_NONE, 0, true},
	{SYS_write, LIMIT_NONE, 0, true},
	{SYS_writev, LIMIT_NONE, 0, true},
	{SYS_recvfrom, LIMIT_NONE, 0, true},
	{SYS_recvmsg, LIMIT_NONE, 0, true},
	{SYS_recvmmsg, LIMIT_NONE, 0, true},
	{SYS_sendto, LIMIT_NONE, 0, true},
	{SYS_sendmsg, LIMIT_NONE, 0, true},
	{SYS_sendmmsg, LIMIT_NONE, 0, true},
	{SYS_accept, LIMIT_NONE, 0, true},
	{SYS_accept4, LIMIT_NONE, 0, true},
	{SYS_connect, LIMIT_NONE, 0, true},
	{SYS_flock, LIMIT_NONE, 0, true},
	{SYS_fcntl, LIMIT_NONE, 0, true},
	// With restart blocks.
	{SYS_poll, LIMIT_MS, 3, false},
	{SYS_nanosleep, LIMIT_TIMESPEC, 1, false},
	{SYS_clock_nanosleep, LIMIT_TIMESPEC, 3, false},
	{SYS_futex, LIMIT_TIMESPEC, 4, false},
};

static const struct timed_call *find_call(unsigned long number)
{
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
		if (calls[i].number == number)
			return &calls[i];
	return NULL;
}

static unsigned long long *argument_of(struct user_regs_struct *regs, unsigned argument)
{
	switch (argument) {
	case 1:
		return &regs->rdi;
	case 2:
		return &regs->rsi;
	case 3:
		return &regs->rdx;
	case 4:
		return &regs->r10;
	case 5:
		return &regs->r8;
	default:
		return &regs->r9;
	}
}

static enum limit_kind kind_of_limit(const struct timed_call *call,
				     const struct user_regs_struct *regs)
{
	if (call->number == SYS_clock_nanosleep && regs->rsi & TIMER_ABSTIME)
		return LIMIT_NONE;
	if (call->number == SYS_futex && (regs->rsi & FUTEX_CMD_MASK) != FUTEX_WAIT)
		return LIMIT_NONE; // absolute
	if (call->kind == LIMIT_IO_URING &&
	    (regs->r10 & (URING_EXT_ARG | URING_ABS_TIMER)) != URING_EXT_ARG)
		return LIMIT_NONE;
	return call->kind;
}

static int64_t monotonic_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * second_ns + now.tv_nsec;
}

/** The number after `field` in a text of /proc/PID/sched, in units of `scale` to one. */
static bool sched_number(const char *text, const char *field, int64_t scale, int64_t *ret)
{
	const char *at = strstr(text, field);
	if (!at || !(at = strchr(at, ':')))
		return false;
	*ret = (int64_t)(strtold(at + 1, NULL) * scale);
	return true;
}

/** se.exec_start of a thread: when it was last on its processor, by that processor's clock; and
 *  its voluntary switches up to then. */
static bool last_ran(const char *name, int64_t *start_ns, int64_t *switches)
{
	struct text text = {0};
	bool known = proc_read(name, &text) == 0 && text.size &&
		     sched_number(text.data, "se.exec_start", millisecond_ns, start_ns) &&
		     sched_number(text.data, "nr_voluntary_switches", 1, switches) && *start_ns > 0;
	text_fini(&text);
	return known;
}

/** What CLOCK_MONOTONIC is ahead of the clock of processor `cpu`: each has one of its own, which
 *  leaves out stolen time. */
static bool clock_ahead(int cpu, int64_t *ret)
{
	cpu_set_t before, wanted;
	int64_t theirs, switches;
	if (cpu < 0 || cpu >= CPU_SETSIZE || sched_getaffinity(0, sizeof(before), &before))
		return false;
	CPU_ZERO(&wanted);
	CPU_SET(cpu, &wanted);
	if (sched_setaffinity(0, sizeof(wanted), &wanted))
		return false;
	sched_yield(); // brings our own exec_start up to date
	int64_t now = monotonic_ns();
	bool known = last_ran("thread-self/sched", &theirs, &switches);
	sched_setaffinity(0, sizeof(before), &before);
	*ret = now - theirs;
	return known;
}

/** Which of the calls with a restart block a sleeper is in, by the kernel's function; -1 if none. */
static int call_by_wchan(pid_t pid, pid_t tid)
{
	static const struct {
		const char *function;
		int number;
	} places[] = {{"nanosleep", SYS_clock_nanosleep}, {"futex", SYS_futex}, {"poll", SYS_poll}};
	char name[64];
	struct text text = {0};
	int number = -1;
	snprintf(name, sizeof(name), "%d/task/%d/wchan", (int)pid, (int)tid);
	if (proc_read(name, &text) == 0 && text.size)
		for (size_t i = 0; i < sizeof(places) / sizeof(places[0]) && number < 0; i++)
			if (strstr(text.data, places[i].function))
				number = places[i].number;
	text_fini(&text);
	return number;
}

void restart_observe(pid_t pid, pid_t tid, struct restart_wait *ret)
{
	char name[64];
	struct text text = {0};
	unsigned long number = 0;
	*ret = (struct restart_wait){.kind = -1};
	snprintf(name, sizeof(name), "%d/task/%d/syscall", (int)pid, (int)tid);
	bool inside =
		proc_read(name, &text) == 0 && sscanf(text_string(&text), "%lu", &number) == 1;
	text_fini(&text);
	if (inside && number == SYS_restart_syscall)
		ret->kind = call_by_wchan(pid, tid);
	const struct timed_call *call = inside ? find_call(number) : NULL;
	if (!call || call->kind == LIMIT_NONE)
		return;
	struct text stat = {0};
	int64_t start, switches, ahead;
	// The processor is read last: where it was asleep all the time, that is where it fell asleep.
	snprintf(name, sizeof(name), "%d/task/%d/sched", (int)pid, (int)tid);
	bool known = last_ran(name, &start, &switches);
	snprintf(name, sizeof(name), "%d/task/%d/stat", (int)pid, (int)tid);
	const char *cpu = known && proc_read(name, &stat) == 0 && stat.size
				  ? proc_stat_field(stat.data, 39)
				  : NULL;
	ret->known = cpu && clock_ahead((int)strtol(cpu, NULL, 10), &ahead);
	if (ret->known) {
		ret->since_ns = start + ahead;
		ret->switches = (uint64_t)switches;
	}
	text_fini(&stat);
}

void restart_confirm(pid_t pid, pid_t tid, struct restart_wait *wait)
{
	char name[64];
	int64_t start, switches;
	if (!wait->known)
		return;
	snprintf(name, sizeof(name), "%d/task/%d/sched", (int)pid, (int)tid);
	// One more: into our stop.
	wait->known = last_ran(name, &start, &switches) && (uint64_t)switches == wait->switches + 1;
}

enum restart_kind restart_kind(const struct user_regs_struct *regs)
{
	if ((long long)regs->orig_rax < 0)
		return RESTART_NONE;
	switch (-(long long)regs->rax) {
	case KERNEL_ERESTARTSYS:
	case KERNEL_ERESTARTNOINTR:
	case KERNEL_ERESTARTNOHAND:
		return RESTART_BY_KERNEL;
	case KERNEL_ERESTART_RESTARTBLOCK:
		return RESTART_BLOCK;
	case EINTR: {
		const struct timed_call *call = find_call(regs->orig_rax);
		return call && call->ends ? RESTART_ENDED : RESTART_NONE;
	}
	default:
		return RESTART_NONE;
	}
}

/** The struct timespec at `address` less `passed` into `ret`. False if it cannot be read or is none. */
static bool shorten_timespec(uint64_t address, int64_t passed, int mem_fd, uint64_t ret[2])
{
	int64_t limit[2];
	if (pread(mem_fd, limit, sizeof(limit), (off_t)address) != sizeof(limit) || limit[0] < 0 ||
	    limit[1] < 0 || limit[1] >= second_ns || limit[0] > INT64_MAX / second_ns - 1)
		return false;
	int64_t left = limit[0] * second_ns + limit[1] - passed;
	left = left > 0 ? left : 0;
	ret[0] = (uint64_t)(left / second_ns);
	ret[1] = (uint64_t)(left % second_ns);
	return true;
}

/** Shortens the call's time limit by what has passed; it stays as it is where that is not known. */
static void shorten(struct user_regs_struct *regs, const struct restart_wait *wait, int mem_fd,
		    struct restart_scratch *scratch)
{
	const struct timed_call *call = find_call(regs->orig_rax);
	scratch->used = false;
	if (!call || !wait->known)
		return;
	int64_t passed = monotonic_ns() - wait->since_ns;
	unsigned long long *argument = argument_of(regs, call->argument);
	enum limit_kind kind = kind_of_limit(call, regs);
	if (passed <= 0)
		return;
	if (kind == LIMIT_MS && (int)*argument > 0) {
		int64_t left = (int)*argument * millisecond_ns - passed;
		left = left > 0 ? (left + millisecond_ns - 1) / millisecond_ns : 0;
		*argument = (unsigned long long)left;
	} else if (kind == LIMIT_TIMESPEC && *argument && scratch->address) {
		if (shorten_timespec(*argument, passed, mem_fd, scratch->words)) {
			scratch->used = true;
			*argument = scratch->address;
		}
	} else if (kind == LIMIT_IO_URING && *argument && scratch->address) {
		// The argument's copy comes behind the time limit that it then points to.
		uint64_t *copy = scratch->words + 2;
		size_t size = URING_ARG_WORDS * sizeof(*copy);
		if (pread(mem_fd, copy, size, (off_t)*argument) == (ssize_t)size &&
		    copy[URING_ARG_TIME] &&
		    shorten_timespec(copy[URING_ARG_TIME], passed, mem_fd, scratch->words)) {
			scratch->used = true;
			copy[URING_ARG_TIME] = scratch->address;
			*argument = scratch->address + 2 * sizeof(*copy);
		}
	}
}

/**
 * The kernel restarted it once already: that call, restart_syscall, is over for a thread that went
 * through rt_sigreturn. Its arguments still stand in the registers; which call they are for, the
 * code before the instruction tells (`mov $N, %eax`), else where the thread slept.
 */
static void find_original(struct user_regs_struct *regs, const struct restart_wait *wait,
			  int mem_fd)
{
	static const int numbers[] = {SYS_poll, SYS_nanosleep, SYS_clock_nanosleep, SYS_futex};
	uint8_t code[5];
	uint32_t number = 0;
	if (pread(mem_fd, code, sizeof(code), (off_t)(regs->rip - 7)) == sizeof(code) &&
	    code[0] == 0xb8)
		memcpy(&number, code + 1, sizeof(number));
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		if (number == (uint32_t)numbers[i])
			regs->orig_rax = number;
	if (regs->orig_rax != SYS_restart_syscall || wait->kind < 0)
		return;
	regs->orig_rax = (unsigned long long)wait->kind;
	// A clock's number is small, what nanosleep() has there is a pointer.
	if (wait->kind == SYS_clock_nanosleep && regs->rdi > 4096 && (int)regs->rdi >= 0)
		regs->orig_rax = SYS_nanosleep;
}

void restart_again(struct user_regs_struct *regs, const struct restart_wait *wait, int mem_fd,
		   struct restart_scratch *scratch)
{
	shorten(regs, wait, mem_fd, scratch);
	// EINTR where a handler runs, else the call again: what these calls do by themselves.
	regs->rax = (unsigned long long)-(long long)KERNEL_ERESTARTNOHAND;
}

void restart_in_user_mode(struct user_regs_struct *regs, const struct restart_wait *wait,
			  int mem_fd, struct restart_scratch *scratch)
{
	enum restart_kind kind = restart_kind(regs);
	scratch->used = false;
	if (kind == RESTART_NONE)
		return;
	if (regs->orig_rax == SYS_restart_syscall)
		find_original(regs, wait, mem_fd);
	if (kind != RESTART_BY_KERNEL)
		shorten(regs, wait, mem_fd, scratch);
	regs->rax = regs->orig_rax;
	regs->rip -= 2;
	regs->orig_rax = (unsigned long long)-1;
}
