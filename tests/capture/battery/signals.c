// SPDX-License-Identifier: Apache-2.0
#include "battery.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static volatile sig_atomic_t handled;

static void count(int signal)
{
	handled++;
}

static void catch_signal(int signal, int flags)
{
	struct sigaction action = {.sa_handler = count, .sa_flags = flags};
	sigaction(signal, &action, NULL);
}

static uint64_t blocked_now(void)
{
	uint64_t mask = 0;
	CALL(SYS_rt_sigprocmask, SIG_BLOCK, 0, &mask, 8);
	return mask;
}

static void *keep_mask(void *number)
{
	uint64_t mask = 0x1010u << (uintptr_t)number, had;
	CALL(SYS_rt_sigprocmask, SIG_SETMASK, &mask, 0, 8);
	had = blocked_now();
	if ((uintptr_t)number == 0)
		battery_ready();
	while (battery_more()) {
		uint64_t now = blocked_now();
		if (now != had) {
			battery_fail("thread %d blocks 0x%llx, not 0x%llx", (int)(uintptr_t)number,
				     (unsigned long long)now, (unsigned long long)had);
			break;
		}
		if ((uintptr_t)number % 2)
			usleep(300);
	}
	return NULL;
}

static void masks(const struct battery_check *check)
{
	pthread_t threads[8];
	for (uintptr_t i = 1; i < 8; i++)
		pthread_create(&threads[i], NULL, keep_mask, (void *)i);
	keep_mask(NULL);
	for (int i = 1; i < 8; i++)
		pthread_join(threads[i], NULL);
}

static void all_blocked(const struct battery_check *check)
{
	uint64_t all = UINT64_MAX, had;
	CALL(SYS_rt_sigprocmask, SIG_SETMASK, &all, 0, 8);
	had = blocked_now();
	battery_ready();
	while (battery_more()) {
		EXPECT(blocked_now() == had, "blocks 0x%llx", (unsigned long long)blocked_now());
		struct timespec time = {0, 3000000};
		EXPECT(CALL(SYS_nanosleep, &time, 0) == 0, "nanosleep is interrupted");
	}
}

static void dispositions(const struct battery_check *check)
{
	struct sigaction before[65] = {0}, now;
	catch_signal(SIGUSR1, SA_RESTART);
	catch_signal(SIGTRAP, 0);
	catch_signal(SIGSEGV, SA_ONSTACK);
	catch_signal(SIGSTOP + 1, SA_NODEFER);
	for (int i = 1; i < 65; i++)
		sigaction(i, NULL, &before[i]);
	battery_ready();
	while (battery_more())
		for (int i = 1; i < 65; i++) {
			memset(&now, 0, sizeof(now));
			sigaction(i, NULL, &now);
			EXPECT(now.sa_handler == before[i].sa_handler &&
				       now.sa_flags == before[i].sa_flags,
			       "the action of signal %d changed", i);
			EXPECT(handled == 0, "a handler ran");
		}
}

static void pending(const struct battery_check *check)
{
	sigset_t set, now;
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGTRAP);
	sigaddset(&set, SIGCHLD);
	catch_signal(SIGUSR1, 0);
	catch_signal(SIGTRAP, 0);
	catch_signal(SIGCHLD, 0);
	sigprocmask(SIG_BLOCK, &set, NULL);
	raise(SIGUSR1);
	kill(getpid(), SIGCHLD);
	battery_ready();
	while (battery_more()) {
		sigpending(&now);
		EXPECT(sigismember(&now, SIGUSR1) && sigismember(&now, SIGCHLD), "one is lost");
		EXPECT(!sigismember(&now, SIGTRAP), "SIGTRAP came");
		EXPECT(handled == 0, "a handler ran");
	}
}

static void altstack(const struct battery_check *check)
{
	static char room[65536];
	stack_t set = {.ss_sp = room, .ss_size = sizeof(room)}, now;
	sigaltstack(&set, NULL);
	battery_ready();
	while (battery_more()) {
		memset(&now, 0, sizeof(now));
		sigaltstack(NULL, &now);
		EXPECT(now.ss_sp == room && now.ss_size == sizeof(room) && now.ss_flags == 0,
		       "it is %p, %zu bytes, flags %d", now.ss_sp, now.ss_size, now.ss_flags);
	}
}

static uint64_t queued_next, queued_count, out_of_order, first_got, first_wanted;

static void take_queued(int signal, siginfo_t *info, void *context)
{
	uint64_t value = (uint64_t)(uintptr_t)info->si_value.sival_ptr;
	if (value != queued_next && out_of_order++ == 0) {
		first_got = value;
		first_wanted = queued_next;
	}
	queued_count++;
	queued_next = value + 1;
}

static void *queue_signals(void *done)
{
	for (uint64_t i = 0; battery_more(); i++) {
		union sigval value = {.sival_ptr = (void *)(uintptr_t)i};
		while (sigqueue(getpid(), 43, value) != 0)
			usleep(100);
		shared->beat = i + 1;
		if (i % 64 == 0)
			usleep(200);
	}
	return NULL;
}

// The main thread alone takes them, spinning and sleeping by turns.
static void flood(const struct battery_check *check)
{
	struct sigaction action = {.sa_sigaction = take_queued, .sa_flags = SA_SIGINFO};
	sigaction(43, &action, NULL);
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, 43);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	pthread_t thread;
	pthread_create(&thread, NULL, queue_signals, NULL);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	battery_ready();
	while (!atomic_load(&shared->stop) && !atomic_load(&shared->failed))
		usleep(500);
	pthread_join(thread, NULL);
	battery_sleep_ns(1000000);
	EXPECT(queued_count == shared->beat, "%llu of %llu queued signals came",
	       (unsigned long long)queued_count, (unsigned long long)shared->beat);
	EXPECT(out_of_order == 0, "all came, but %llu out of order: %llu where %llu was due",
	       (unsigned long long)out_of_order, (unsigned long long)first_got,
	       (unsigned long long)first_wanted);
}

static void arm_once(int which, long microseconds)
{
	struct itimerval once = {.it_value = {0, microseconds}};
	setitimer(which, &once, NULL);
}

// pause() returns after a handler ran, never before.
static void pause_(const struct battery_check *check)
{
	catch_signal(SIGALRM, SA_RESTART);
	struct itimerval often = {{0, 10000}, {0, 10000}};
	setitimer(ITIMER_REAL, &often, NULL);
	battery_ready();
	while (battery_more()) {
		int before = handled;
		long got = CALL(SYS_pause);
		EXPECT(got == -EINTR, "returned %ld", got);
		EXPECT(handled > before, "returned although no handler ran");
	}
	arm_once(ITIMER_REAL, 0);
}

static int polled;
static uint64_t none;

static long own_epoll_pwait(void)
{
	static struct epoll_event event;
	return CALL(SYS_epoll_pwait, polled, &event, 1, -1, &none, 8);
}

static long own_ppoll(void)
{
	return CALL(SYS_ppoll, 0, 0, 0, &none, 8);
}

static long own_pselect(void)
{
	static struct {
		const void *mask;
		size_t size;
	} mask = {&none, 8};
	return CALL(SYS_pselect6, 0, 0, 0, 0, 0, &mask);
}

static long own_sigsuspend(void)
{
	return CALL(SYS_rt_sigsuspend, &none, 8);
}

// A signal that is blocked but inside the call: it must end the call, once, with EINTR.
static void own_eintr(const struct battery_check *check)
{
	long (*call)(void) = *(long (*const *)(void))check->detail;
	catch_signal(SIGALRM, 0);
	polled = epoll_create1(0);
	uint64_t outside = 1u << (SIGALRM - 1) | 1u << (SIGUSR2 - 1);
	CALL(SYS_rt_sigprocmask, SIG_SETMASK, &outside, 0, 8);
	battery_ready();
	for (uint64_t i = 0; battery_more(); i++) {
		uint64_t wait = 1000000 * (5 + i * 7 % 20), start = battery_now_ns();
		int before = handled;
		arm_once(ITIMER_REAL, (long)(wait / 1000));
		long got = call();
		uint64_t took = battery_now_ns() - start;
		EXPECT(got == -EINTR, "returned %ld", got);
		EXPECT(handled == before + 1, "the handler ran %d times", (int)handled - before);
		EXPECT(blocked_now() == outside, "blocks 0x%llx afterwards",
		       (unsigned long long)blocked_now());
		EXPECT(took >= wait && took <= wait + options.slack_ns, "took %.1f of %.1f ms",
		       (double)took / 1e6, (double)wait / 1e6);
	}
}

// Interrupted by its own handler, nanosleep says what is left.
static void nanosleep_left(const struct battery_check *check)
{
	catch_signal(SIGALRM, 0);
	battery_ready();
	for (uint64_t i = 0; battery_more(); i++) {
		struct timespec want = {1, 0}, left = {0};
		uint64_t start = battery_now_ns();
		int before = handled;
		arm_once(ITIMER_REAL, (long)(5000 + i * 7000 % 20000));
		long got = CALL(SYS_nanosleep, &want, &left);
		uint64_t took = battery_now_ns() - start;
		if (handled == before + 1 && got == 0 && took > 1000000000)
			continue; // the signal came before the call
		uint64_t rest = (uint64_t)left.tv_sec * 1000000000u + (uint64_t)left.tv_nsec;
		EXPECT(got == -EINTR && handled == before + 1, "returned %ld", got);
		EXPECT(rest + took >= 1000000000 && rest + took < 1000000000 + options.slack_ns,
		       "slept %.1f ms, %.1f are left of 1000", (double)took / 1e6,
		       (double)rest / 1e6);
	}
}

static void keep_counting(const struct battery_check *check)
{
	battery_ready();
	while (battery_more()) {
		atomic_fetch_add(&shared->beat, 1);
		usleep(100);
	}
}

// In the supervisor: stops the target, sees that it stays so, lets it go on.
static void observe_stopped(pid_t target)
{
	enum { RUNNING, STOPPING, STOPPED, GOING };
	static int phase;
	static uint64_t since, beat;
	static pid_t whose;
	int status;
	uint64_t now = battery_now_ns();
	if (whose != target) {
		whose = target;
		phase = RUNNING;
		since = now;
	}
	siginfo_t info = {0};
	waitid(P_PID, (id_t)target, &info, WSTOPPED | WCONTINUED | WNOHANG);
	status = info.si_pid ? info.si_code : 0;
	if (phase == RUNNING) {
		EXPECT(status == 0, "the parent is told code %d while the target runs", status);
		if (now - since < 50 * 1000000 || atomic_load(&shared->stop))
			return;
		kill(target, SIGSTOP);
		phase = STOPPING;
		since = now;
	} else if (phase == STOPPING) {
		EXPECT(status == 0 || status == CLD_STOPPED, "the parent is told code %d", status);
		EXPECT(now - since < 5000000000, "SIGSTOP does not stop it");
		if (status == 0)
			return;
		phase = STOPPED;
		since = now;
		beat = atomic_load(&shared->beat);
	} else if (phase == STOPPED) {
		EXPECT(status == 0, "the parent is told code %d while the target is stopped",
		       status);
		EXPECT(atomic_load(&shared->beat) == beat, "it runs although it is stopped");
		if (now - since < 200 * 1000000 && !atomic_load(&shared->stop))
			return;
		kill(target, SIGCONT);
		phase = GOING;
		since = now;
	} else {
		EXPECT(status == 0 || status == CLD_CONTINUED, "the parent is told code %d",
		       status);
		EXPECT(now - since < 5000000000, "SIGCONT does not let it go on");
		if (atomic_load(&shared->beat) == beat || status == 0)
			return;
		phase = RUNNING;
		since = now;
	}
}

#define OWN(n, call)                                                                               \
	{                                                                                          \
		n, "a signal of its own ends it with EINTR, once", own_eintr,                      \
			.detail = &(long (*const)(void))                                           \
		{                                                                                  \
			call                                                                       \
		}                                                                                  \
	}

const struct battery_check signal_checks[] = {
	{"signal-masks", "each thread blocks what it blocked", masks},
	{"all-blocked", "a thread that blocks all signals", all_blocked},
	{"dispositions", "the actions of all signals stay, no handler runs", dispositions},
	{"pending", "blocked signals stay pending, no other comes", pending},
	{"altstack-settings", "sigaltstack() tells what was set", altstack},
	{"signal-flood", "all queued signals arrive, in order", flood},
	{"pause", "returns only after a handler ran", pause_},
	OWN("own-eintr-epoll_pwait", own_epoll_pwait),
	OWN("own-eintr-ppoll", own_ppoll),
	OWN("own-eintr-pselect", own_pselect),
	OWN("own-eintr-sigsuspend", own_sigsuspend),
	{"own-eintr-nanosleep", "tells what is left of its time", nanosleep_left},
	{"stopped", "a stopped process stays so, its parent is told nothing", keep_counting,
	 .observe = observe_stopped},
	{0},
};
