// SPDX-License-Identifier: Apache-2.0
#ifndef TESTS_CAPTURE_BATTERY_H
#define TESTS_CAPTURE_BATTERY_H

// A program that finds out whether it is disturbed. Each check runs in a process of its own, the
// target, which repeats rounds and looks at itself, while somebody else captures it again and
// again. Its parent, the supervisor, ends it in time, wakes it from calls that wait, and tells in
// TAP how it went. docs/capture-tests.md has the list.

#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/** What target and supervisor share: a mapping that also survives exec. */
struct battery_shared {
	_Atomic int capture_pid; // whom to capture, 0 = not ready yet
	_Atomic int stop;	 // the target should finish; read without a system call
	_Atomic int failed;
	_Atomic int finished; // the check came to its end
	_Atomic unsigned long rounds;
	char why[400];
	char skip[200];
	// A call that waits (waits.c) and its waker.
	_Atomic unsigned armed, blocked, woken;
	_Atomic uint64_t wake_at_ns, woken_ns;
	_Atomic int waiter_tid, waiter_pid;
	_Atomic uint64_t
		beat;	   // moved by the target all the time, for those who look whether it runs
	uint32_t words[8]; // futexes
	unsigned char room[2048];
};
extern struct battery_shared *shared;

struct battery_options {
	unsigned milliseconds; // to run each check
	uint64_t slack_ns;     // how late is too late
	bool waker_is_thread;  // of the target, not the supervisor
	int shared_fd;
	int sabotage; // SABOTAGE_...
};
enum { SABOTAGE_FORK = 1, SABOTAGE_CLONE = 2, SABOTAGE_MEMORY = 3 };
extern struct battery_options options;

struct battery_check {
	const char *name;
	const char *proves;
	void (*run)(const struct battery_check *check); // in the target
	void (*open)(void);	       // in the supervisor, before there is a target
	void (*block)(void);	       // in the waker: make the call wait; may be NULL
	void (*wake)(void);	       // in the waker, when the time has come
	void (*observe)(pid_t target); // in the supervisor, every millisecond
	const void *detail;
};

/** The lists, each ended by an entry without a name. */
extern const struct battery_check child_checks[], signal_checks[], timer_checks[],
	register_checks[], memory_checks[], thread_checks[], seccomp_checks[], file_checks[],
	timed_checks[], event_checks[], ipc_checks[];

/** The target may be captured from now on; also says that another round begins. */
void battery_ready(void);
void battery_ready_pid(pid_t pid);
/** Whether another round is wanted; counts it. */
bool battery_more(void);
/** Keeps the first failure; the check should end then. */
void battery_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
void battery_skip(const char *why);
uint64_t battery_now_ns(void);
/** Sleeps without caring about interruptions. */
void battery_sleep_ns(uint64_t ns);
/** A system call as it is: -errno on failure, errno untouched. */
long battery_call(long number, long a, long b, long c, long d, long e, long f);
#define CALL6(number, a, b, c, d, e, f, ...)                                                       \
	battery_call(number, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f))
#define CALL(...) CALL6(__VA_ARGS__, 0, 0, 0, 0, 0, 0)
/** Reads a file whole into `buffer` as a string; its length, -1 if it does not fit or cannot be read. */
ssize_t battery_read(const char *path, char *buffer, size_t size);
/** Arms a call that waits: the waker has blocked it, and wakes it `after_ns` from now or later. */
void battery_arm(uint64_t after_ns);
void *battery_waker(void *check);

/** A call that waits, made again and again by wait_run(), the `run` of such a check. */
struct wait_call {
	long number, argument[6];
};
struct waiting {
	void (*setup)(void); // in the target, once; may be NULL
	/** Fills the call that is to wait for `wait_ns` from `start_ns` on (or until it is woken). */
	void (*prepare)(struct wait_call *call, uint64_t start_ns, uint64_t wait_ns);
	long expected;	     // what it returns; WAIT_DESCRIPTOR = any descriptor, which is closed
	void (*after)(void); // in the target, after each call; may be NULL
	bool begins_anew;    // a capture begins its time limit anew: strobe-snap(1)
};
enum { WAIT_DESCRIPTOR = -100000 };
void wait_run(const struct battery_check *check);

#define EXPECT(condition, ...)                                                                     \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			battery_fail(__VA_ARGS__);                                                 \
			return;                                                                    \
		}                                                                                  \
	} while (0)

#endif
