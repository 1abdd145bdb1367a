// SPDX-License-Identifier: Apache-2.0
// Alarms and timers arrive, in the right number and never early.
#include "battery.h"

#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

static volatile sig_atomic_t handled;
static uint64_t handled_ns;
enum { TIMER_SIGNAL = 44 };

static void count(int signal)
{
	handled++;
	handled_ns = battery_now_ns();
}

static void catch_signal(int signal)
{
	struct sigaction action = {.sa_handler = count, .sa_flags = SA_RESTART};
	sigaction(signal, &action, NULL);
}

// One shot after another: each gives one signal, in time.
static void one_shots(int which, int signal, bool spin)
{
	catch_signal(signal);
	battery_ready();
	for (uint64_t i = 0; battery_more(); i++) {
		long wait = (long)(3000 + i * 7919 % 20000);
		struct itimerval once = {.it_value = {0, wait}};
		int before = handled;
		uint64_t start = battery_now_ns(), took = 0;
		setitimer(which, &once, NULL);
		while (handled == before && took < 10000000000u) {
			if (!spin)
				usleep(300);
			took = battery_now_ns() - start;
		}
		EXPECT(handled == before + 1, "%d signals came", (int)handled - before);
		took = handled_ns - start;
		EXPECT(spin || took >= (uint64_t)wait * 1000, "came after %.2f of %.2f ms",
		       (double)took / 1e6, (double)wait / 1e3);
		EXPECT(spin || took <= (uint64_t)wait * 1000 + options.slack_ns,
		       "came after %.2f of %.2f ms", (double)took / 1e6, (double)wait / 1e3);
	}
}

static void itimer_real(const struct battery_check *check)
{
	one_shots(ITIMER_REAL, SIGALRM, false);
}

static void itimer_virtual(const struct battery_check *check)
{
	one_shots(ITIMER_VIRTUAL, SIGVTALRM, true);
}

static void itimer_prof(const struct battery_check *check)
{
	one_shots(ITIMER_PROF, SIGPROF, true);
}

// A second in between: the timer must not have been reset or lost.
static void alarm_(const struct battery_check *check)
{
	catch_signal(SIGALRM);
	battery_ready();
	while (battery_more()) {
		int before = handled;
		uint64_t start = battery_now_ns();
		alarm(1);
		while (handled == before && battery_now_ns() - start < 3000000000u)
			usleep(1000);
		EXPECT(handled == before + 1, "%d signals came", (int)handled - before);
		EXPECT(handled_ns - start >= 1000000000 &&
			       handled_ns - start <= 1000000000 + options.slack_ns,
		       "came after %.1f ms", (double)(handled_ns - start) / 1e6);
	}
}

static _Atomic int64_t timer_total;

static void take_timer(int signal, siginfo_t *info, void *context)
{
	atomic_fetch_add(&timer_total, 1 + info->si_overrun);
}

// Signals and overruns together are as many as intervals went by.
static void posix_timer(const struct battery_check *check)
{
	struct sigaction action = {.sa_sigaction = take_timer, .sa_flags = SA_SIGINFO | SA_RESTART};
	sigaction(TIMER_SIGNAL, &action, NULL);
	struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = TIMER_SIGNAL};
	timer_t timer;
	EXPECT(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0, "timer_create failed");
	const int64_t interval = 2000000;
	struct itimerspec every = {{0, interval}, {0, interval}};
	uint64_t start = battery_now_ns();
	timer_settime(timer, 0, &every, NULL);
	battery_ready();
	while (battery_more()) {
		usleep(5000);
		int64_t most = (int64_t)(battery_now_ns() - start) / interval + 2;
		int64_t total = atomic_load(&timer_total);
		EXPECT(total <= most, "%lld expirations, at most %lld can be", (long long)total,
		       (long long)most);
	}
	// The last ones may still be on their way.
	battery_sleep_ns(20000000);
	struct itimerspec off = {0};
	int64_t expected = (int64_t)(battery_now_ns() - start) / interval;
	timer_settime(timer, 0, &off, NULL);
	battery_sleep_ns(5000000);
	int64_t total = atomic_load(&timer_total);
	EXPECT(total >= expected - (int64_t)(options.slack_ns / (uint64_t)interval) &&
		       total <= expected + 2,
	       "%lld expirations, not %lld", (long long)total, (long long)expected);
}

static void timerfd(const struct battery_check *check)
{
	int fd = timerfd_create(CLOCK_MONOTONIC, 0);
	const uint64_t interval = 3000000;
	struct itimerspec every = {{0, (long)interval}, {0, (long)interval}};
	uint64_t start = battery_now_ns(), total = 0;
	timerfd_settime(fd, 0, &every, NULL);
	battery_ready();
	while (battery_more()) {
		uint64_t times = 0;
		long got = CALL(SYS_read, fd, &times, 8);
		EXPECT(got == 8, "read gives %ld", got);
		total += times;
		uint64_t passed = battery_now_ns() - start;
		EXPECT(total * interval <= passed, "%llu expirations in %.1f ms",
		       (unsigned long long)total, (double)passed / 1e6);
		EXPECT((total + 1) * interval + options.slack_ns >= passed,
		       "only %llu expirations in %.1f ms", (unsigned long long)total,
		       (double)passed / 1e6);
	}
}

static void monotonic(const struct battery_check *check)
{
	uint64_t last = battery_now_ns();
	battery_ready();
	while (battery_more())
		for (int i = 0; i < 1000; i++) {
			uint64_t now = battery_now_ns();
			EXPECT(now >= last, "time goes back");
			EXPECT(now - last < options.slack_ns, "stood for %.1f ms",
			       (double)(now - last) / 1e6);
			last = now;
		}
}

const struct battery_check timer_checks[] = {
	{"itimer-real", "each one-shot timer gives one signal, in time", itimer_real},
	{"itimer-virtual", "of virtual time", itimer_virtual},
	{"itimer-prof", "of processor time", itimer_prof},
	{"alarm", "an alarm comes once, in time", alarm_},
	{"posix-timer", "signals and overruns are as many as intervals", posix_timer},
	{"timerfd", "expirations are as many as intervals", timerfd},
	{"clock", "no stop is longer than the slack, as a spinning thread sees it", monotonic},
	{0},
};
