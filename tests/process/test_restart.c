// SPDX-License-Identifier: Apache-2.0
// Interrupted system calls, made anew with what is left of their time limits.
#include "process/restart.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "child.h"

static const int64_t second_ns = 1000000000;

static int64_t now_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * second_ns + now.tv_nsec;
}

static struct user_regs_struct in_call(unsigned long number, long long result)
{
	return (struct user_regs_struct){.orig_rax = number,
					 .rax = (unsigned long long)result,
					 .rip = 0x401002,
					 .rsp = 0x7ffc0000};
}

static enum restart_kind kind(unsigned long number, long long result)
{
	struct user_regs_struct regs = in_call(number, result);
	return restart_kind(&regs);
}

static void tells_kinds_by_the_kernels_codes(void)
{
	CHECK_EQUAL(kind(SYS_read, -KERNEL_ERESTARTSYS), RESTART_BY_KERNEL);
	CHECK_EQUAL(kind(SYS_read, -KERNEL_ERESTARTNOINTR), RESTART_BY_KERNEL);
	CHECK_EQUAL(kind(SYS_pause, -KERNEL_ERESTARTNOHAND), RESTART_BY_KERNEL);
	CHECK_EQUAL(kind(SYS_poll, -KERNEL_ERESTART_RESTARTBLOCK), RESTART_BLOCK);
	CHECK_EQUAL(kind(SYS_restart_syscall, -KERNEL_ERESTART_RESTARTBLOCK), RESTART_BLOCK);
	CHECK_EQUAL(kind(SYS_epoll_wait, -EINTR), RESTART_ENDED);
	CHECK_EQUAL(kind(SYS_semtimedop, -EINTR), RESTART_ENDED);
	CHECK_EQUAL(kind(SYS_recvfrom, -EINTR), RESTART_ENDED);
	// These never end so for a stop: a signal did it.
	CHECK_EQUAL(kind(SYS_close, -EINTR), RESTART_NONE);
	CHECK_EQUAL(kind(SYS_poll, -EINTR), RESTART_NONE);
	CHECK_EQUAL(kind(SYS_futex, -EINTR), RESTART_NONE);
	// They ended by themselves.
	CHECK_EQUAL(kind(SYS_read, 0), RESTART_NONE);
	CHECK_EQUAL(kind(SYS_read, 512), RESTART_NONE);
	CHECK_EQUAL(kind(SYS_epoll_wait, -EAGAIN), RESTART_NONE);
	CHECK_EQUAL(kind(SYS_read, -515), RESTART_NONE); // ENOIOCTLCMD
	// Not in a call: what is in rax is the program's.
	CHECK_EQUAL(kind((unsigned long)-1, -KERNEL_ERESTARTSYS), RESTART_NONE);
	CHECK_EQUAL(kind((unsigned long)-1, -EINTR), RESTART_NONE);
}

static const struct timespec ten_seconds = {10, 0};

/** A wait that began `ms` ago. */
static struct restart_wait since(unsigned ms)
{
	return (struct restart_wait){
		.known = true, .since_ns = now_ns() - (int64_t)ms * 1000000, .kind = -1};
}

static int own_memory(void)
{
	int fd = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
	CHECK(fd >= 0);
	return fd;
}

static void expect_anew(const struct user_regs_struct *regs, unsigned long number)
{
	CHECK_EQUAL(regs->rax, number);
	CHECK_EQUAL(regs->rip, 0x401000);
	CHECK_EQUAL(regs->orig_rax, UINT64_MAX);
	CHECK_EQUAL(regs->rsp, 0x7ffc0000);
}

static void shortens_milliseconds(void)
{
	int fd = own_memory();
	struct restart_scratch scratch = {.address = 0x7000};
	struct restart_wait wait = since(4000), unknown = {.kind = -1};
	struct user_regs_struct regs = in_call(SYS_poll, -KERNEL_ERESTART_RESTARTBLOCK);
	regs.rdi = 0x5000;
	regs.rsi = 3;
	regs.rdx = 10000;
	restart_in_user_mode(&regs, &wait, fd, &scratch);
	expect_anew(&regs, SYS_poll);
	CHECK_EQUAL(regs.rdi, 0x5000);
	CHECK_EQUAL(regs.rsi, 3);
	CHECK(regs.rdx > 5000 && regs.rdx <= 6000);
	CHECK(!scratch.used);
	// Never below zero, which would be none at all.
	regs = in_call(SYS_poll, -KERNEL_ERESTART_RESTARTBLOCK);
	regs.rdx = 100;
	restart_in_user_mode(&regs, &wait, fd, &scratch);
	CHECK_EQUAL(regs.rdx, 0);
	// None stays none, also as the low half of a register.
	regs = in_call(SYS_epoll_wait, -EINTR);
	regs.r10 = 0xffffffff;
	restart_in_user_mode(&regs, &wait, fd, &scratch);
	expect_anew(&regs, SYS_epoll_wait);
	CHECK_EQUAL(regs.r10, 0xffffffff);
	// What is not known is not touched.
	regs = in_call(SYS_epoll_wait, -EINTR);
	regs.r10 = 10000;
	restart_in_user_mode(&regs, &unknown, fd, &scratch);
	expect_anew(&regs, SYS_epoll_wait);
	CHECK_EQUAL(regs.r10, 10000);
	close(fd);
}

static void expect_left(const struct restart_scratch *scratch, double least, double most)
{
	CHECK(scratch->used);
	CHECK(scratch->words[1] < 1000000000);
	double left = (double)scratch->words[0] + (double)scratch->words[1] / 1e9;
	CHECK(left >= least && left <= most);
}

static void shortens_times_in_memory(void)
{
	int fd = own_memory();
	struct restart_scratch scratch = {.address = 0x7000};
	struct restart_wait wait = since(4000);
	uint64_t limit = (uint64_t)(uintptr_t)&ten_seconds;
	struct user_regs_struct regs = in_call(SYS_nanosleep, -KERNEL_ERESTART_RESTARTBLOCK);
	regs.rdi = limit;
	restart_in_user_mode(&regs, &wait, fd, &scratch);
	expect_anew(&regs, SYS_nanosleep);
	CHECK_EQUAL(regs.rdi, 0x7000);
	expect_left(&scratch, 5, 6);
	CHECK_EQUAL(ten_seconds.tv_sec, 10); // the program's own stays as it is

	regs = in_call(SYS_futex, -KERNEL_ERESTART_RESTARTBLOCK);
	regs.rsi = FUTEX_WAIT | FUTEX_PRIVATE_FLAG;
	regs.r10 = limit;
	restart_in_user_mode(&regs, &wait, fd, &scratch);
	expect_anew(&regs, SYS_futex);
	CHECK_EQUAL(regs.r10, 0x7000);
	expect_left(&scratch, 5, 6);

	regs = in_call(SYS_futex, -KERNEL_ERESTARTSYS); // until an instant: nothing to shorten
	regs.rsi = FUTEX_WAIT_BITSET;
	regs.r10 = limit;
	restart_in_user_mode(&regs, &wait, fd, &scratch);
	expect_anew(&regs, SYS_futex);
	CHECK_EQUAL(regs.r10, limit);
	CHECK(!scratch.used);

	regs = in_call(SYS_clock_nanosleep, -KERNEL_ERESTART_RESTARTBLOCK);
	regs.rsi = TIMER_ABSTIME;
	regs.rdx = limit;
	restart_in_user_mode(&regs, &wait, fd, &scratch);
	CHECK_EQUAL(regs.rdx, limit);
	CHECK(!scratch.used);
	// A pointer to nowhere: the call will say so itself.
	regs = in_call(SYS_rt_sigtimedwait, -EINTR);
	regs.rdx = 8;
	restart_in_user_mode(&regs, &wait, fd, &scratch);
	expect_anew(&regs, SYS_rt_sigtimedwait);
	CHECK_EQUAL(regs.rdx, 8);
	CHECK(!scratch.used);
	close(fd);
}

static void times_of_the_programs_making(void)
{
	static const struct timespec odd[] = {
		{-1, 0}, {INT64_MAX, 999999999}, {5, INT64_MAX}, {5, -1}, {0, 0}};
	int fd = own_memory();
	struct restart_scratch scratch = {.address = 0x7000};
	struct restart_wait wait = since(4000);
	for (size_t i = 0; i < 5; i++) {
		struct user_regs_struct regs =
			in_call(SYS_nanosleep, -KERNEL_ERESTART_RESTARTBLOCK);
		regs.rdi = (uint64_t)(uintptr_t)&odd[i];
		restart_in_user_mode(&regs, &wait, fd, &scratch);
		if (i == 4)
			expect_left(&scratch, 0, 0);
		else
			CHECK(!scratch.used && regs.rdi == (uint64_t)(uintptr_t)&odd[i]);
	}
	close(fd);
}

/** restart_syscall(2) is over for who went through rt_sigreturn: which call was it? */
static void finds_the_call_that_was_restarted(void)
{
	static const uint8_t code[] = {0xb8, SYS_poll, 0, 0, 0, 0x0f, 0x05};
	int fd = own_memory();
	struct restart_scratch scratch = {.address = 0x7000};
	struct restart_wait wait = since(4000);
	struct user_regs_struct regs = in_call(SYS_restart_syscall, -KERNEL_ERESTART_RESTARTBLOCK);
	regs.rip = (uint64_t)(uintptr_t)(code + sizeof(code));
	regs.rdx = 10000;
	restart_in_user_mode(&regs, &wait, fd, &scratch);
	CHECK_EQUAL(regs.rax, SYS_poll);
	CHECK_EQUAL(regs.rip, (uint64_t)(uintptr_t)(code + 5));
	CHECK(regs.rdx <= 6000);
	// No such code before it: where it slept tells.
	static const struct {
		int slept;
		uint64_t rdi;
		int number;
	} table[] = {{SYS_clock_nanosleep, CLOCK_MONOTONIC, SYS_clock_nanosleep},
		     {SYS_clock_nanosleep, 0x7ffc12340000, SYS_nanosleep},
		     {SYS_futex, 0x7ffc12340000, SYS_futex},
		     {-1, 1, SYS_restart_syscall}};
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct restart_wait slept = {.kind = table[i].slept};
		regs = in_call(SYS_restart_syscall, -KERNEL_ERESTART_RESTARTBLOCK);
		regs.rdi = table[i].rdi;
		restart_in_user_mode(&regs, &slept, fd, &scratch);
		expect_anew(&regs, (unsigned long)table[i].number);
	}
	close(fd);
}

static void leaves_alone_who_is_in_no_call(void)
{
	int fd = own_memory();
	struct restart_scratch scratch = {.address = 0x7000, .used = true};
	struct restart_wait wait = since(4000);
	struct user_regs_struct regs = in_call((unsigned long)-1, -EINTR), before = regs;
	restart_in_user_mode(&regs, &wait, fd, &scratch);
	CHECK(memcmp(&regs, &before, sizeof(regs)) == 0);
	CHECK(!scratch.used);
	close(fd);
}

static void again_by_the_kernel_unless_a_handler_runs(void)
{
	int fd = own_memory();
	struct restart_scratch scratch = {.address = 0x7000};
	struct restart_wait wait = since(4000);
	struct user_regs_struct regs = in_call(SYS_epoll_wait, -EINTR);
	regs.r10 = 10000;
	restart_again(&regs, &wait, fd, &scratch);
	CHECK_EQUAL(regs.rax, -KERNEL_ERESTARTNOHAND);
	CHECK_EQUAL(regs.orig_rax, SYS_epoll_wait);
	CHECK_EQUAL(regs.rip, 0x401002);
	CHECK(regs.r10 > 5000 && regs.r10 <= 6000);
	close(fd);
}

static void sleep_long(int ready_fd)
{
	struct timespec limit = {1000, 0};
	child_ready(ready_fd);
	nanosleep(&limit, NULL);
}

static void sees_since_when_a_child_sleeps(void)
{
	pid_t pid = child_start(sleep_long);
	int64_t start = now_ns();
	CHECK(child_reaches(pid, 'S'));
	child_pause_ms(300);
	struct restart_wait wait, spins;
	restart_observe(pid, pid, &wait);
	restart_observe(getpid(), getpid(), &spins);
	if (!wait.known) {
		child_end(pid);
		CHECK(access("/proc/self/sched", R_OK) != 0);
		SKIP("the kernel has no /proc/PID/sched");
	}
	CHECK(!spins.known); // it reads, and sleeps not
	CHECK(wait.since_ns > start - second_ns / 5 && wait.since_ns < start + second_ns / 5);
	// Nobody stopped it: it made no further switch, which a stop is.
	restart_confirm(pid, pid, &wait);
	CHECK(!wait.known);
	child_end(pid);
	restart_observe(pid, pid, &wait);
	CHECK(!wait.known);
}

CHECK_MAIN({"kinds, by the kernel's codes", tells_kinds_by_the_kernels_codes},
	   {"limits in milliseconds", shortens_milliseconds},
	   {"limits in memory", shortens_times_in_memory},
	   {"odd limits", times_of_the_programs_making},
	   {"restart_syscall(2)", finds_the_call_that_was_restarted},
	   {"a thread in no call", leaves_alone_who_is_in_no_call},
	   {"again, unless a handler runs", again_by_the_kernel_unless_a_handler_runs},
	   {"since when a child sleeps", sees_since_when_a_child_sleeps})
