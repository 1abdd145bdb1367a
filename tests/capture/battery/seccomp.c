// SPDX-License-Identifier: Apache-2.0
// Filters that kill, fail or trap what is not theirs: a capture may not make the target call it.
#include "battery.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define ALLOW(number)                                                                              \
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (number), 0, 1),                                       \
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)

static void install(uint32_t otherwise, bool sigreturn)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		ALLOW(SYS_read),
		ALLOW(SYS_write),
		ALLOW(SYS_futex),
		ALLOW(SYS_nanosleep),
		ALLOW(SYS_restart_syscall),
		ALLOW(SYS_clock_gettime),
		ALLOW(SYS_exit),
		ALLOW(SYS_exit_group),
		ALLOW(sigreturn ? SYS_rt_sigreturn : SYS_exit),
		BPF_STMT(BPF_RET | BPF_K, otherwise),
	};
	struct sock_fprog program = {sizeof(code) / sizeof(code[0]), code};
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
	    syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &program) != 0)
		battery_skip("a filter is refused");
}

// Sleeps and spins; sees what a call that is not allowed gives.
static void live(long refused)
{
	while (battery_more()) {
		struct timespec {
			long seconds, nanoseconds;
		} time = {0, 2000000};
		EXPECT(CALL(SYS_nanosleep, &time, 0) == 0, "nanosleep is interrupted");
		for (volatile int i = 0; i < 100000; i++)
			;
		if (refused) {
			long got = CALL(SYS_getppid);
			EXPECT(got == refused, "a call that is refused gives %ld", got);
		}
	}
}

static void kill_others(const struct battery_check *check)
{
	int pid = getpid();
	install(SECCOMP_RET_KILL_PROCESS, true);
	battery_ready_pid(pid);
	live(0);
}

static void kill_sigreturn(const struct battery_check *check)
{
	int pid = getpid();
	install(SECCOMP_RET_KILL_PROCESS, false);
	battery_ready_pid(pid);
	live(0);
}

static void fail_others(const struct battery_check *check)
{
	int pid = getpid();
	install(SECCOMP_RET_ERRNO | EPERM, true);
	battery_ready_pid(pid);
	live(-EPERM);
}

static volatile sig_atomic_t trapped;

static void count_trap(int signal)
{
	trapped++;
}

static void trap_others(const struct battery_check *check)
{
	int pid = getpid();
	struct sigaction action = {.sa_handler = count_trap};
	sigaction(SIGSYS, &action, NULL);
	install(SECCOMP_RET_TRAP, true);
	battery_ready_pid(pid);
	live(0);
	EXPECT(trapped == 0, "%d calls were trapped", (int)trapped);
}

static void *live_thread(void *unused)
{
	live(0);
	for (;;) // what the library does at a thread's end is not allowed
		CALL(SYS_exit, 0);
	return NULL;
}

static void kill_threads(const struct battery_check *check)
{
	static pthread_t threads[3];
	int pid = getpid();
	for (int i = 0; i < 3; i++)
		pthread_create(&threads[i], NULL, live_thread, NULL);
	while (atomic_load(&shared->rounds) < 10) // they have started, with calls of their own
		usleep(1000);
	install(SECCOMP_RET_KILL_PROCESS, true);
	battery_ready_pid(pid);
	live(0);
}

// read, write, exit and rt_sigreturn: nothing else, not even to sleep.
static void strict(const struct battery_check *check)
{
	int pid = getpid();
	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT, 0, 0, 0) != 0) {
		battery_skip("strict mode is refused");
		return;
	}
	battery_ready_pid(pid);
	while (battery_more())
		for (volatile int i = 0; i < 100000; i++)
			;
}

const struct battery_check seccomp_checks[] = {
	{"seccomp-kill", "a filter that kills for any call but eight", kill_others},
	{"seccomp-kill-sigreturn", "and for rt_sigreturn too", kill_sigreturn},
	{"seccomp-errno", "a filter that fails them", fail_others},
	{"seccomp-trap", "a filter that sends SIGSYS for them", trap_others},
	{"seccomp-threads", "several threads under a filter that kills", kill_threads},
	{"seccomp-strict", "strict mode", strict},
	{0},
};
