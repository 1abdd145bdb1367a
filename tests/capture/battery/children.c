// SPDX-License-Identifier: Apache-2.0
// What a process sees of children: only its own.
#include "battery.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static void expect_no_child(int flags)
{
	int status = 0;
	long pid = waitpid(-1, &status, WNOHANG | flags);
	EXPECT(pid == -1 && errno == ECHILD, "waitpid(-1) gives %ld, status 0x%x", pid, status);
	siginfo_t info = {0};
	long done = waitid(P_ALL, 0, &info,
			   WEXITED | WSTOPPED | WCONTINUED | WNOWAIT | WNOHANG | flags);
	EXPECT(done == -1 && errno == ECHILD, "waitid(P_ALL) gives %ld, pid %d", done, info.si_pid);
}

static void wait_any(const struct battery_check *check)
{
	battery_ready();
	while (battery_more())
		expect_no_child(0);
}

static void wait_any_all(const struct battery_check *check)
{
	battery_ready();
	while (battery_more())
		expect_no_child(__WALL);
}

static void wait_any_clone(const struct battery_check *check)
{
	battery_ready();
	while (battery_more())
		expect_no_child(__WCLONE);
}

static pid_t make_child(uint64_t ns, int status)
{
	pid_t pid = fork();
	if (pid == 0) {
		battery_sleep_ns(ns);
		_exit(status);
	}
	return pid;
}

// Waits without a limit for a child that ends some time later; `flags` of waitpid.
static void wait_child(const struct battery_check *check)
{
	int flags = *(const int *)check->detail;
	battery_ready();
	for (uint64_t i = 0; battery_more(); i++) {
		uint64_t wait = (5 + i * 17 % 50) * 1000000, start = battery_now_ns();
		int status = 0, code = (int)(i % 100);
		pid_t child = make_child(wait, code);
		EXPECT(child > 0, "fork: %s", strerror(errno));
		long pid = waitpid(-1, &status, flags);
		uint64_t took = battery_now_ns() - start;
		EXPECT(pid == child, "waitpid gives %ld, not %d (%s)", pid, child,
		       pid < 0 ? strerror(errno) : "");
		EXPECT(WIFEXITED(status) && WEXITSTATUS(status) == code, "status 0x%x", status);
		EXPECT(took >= wait && took <= wait + options.slack_ns, "took %.1f of %.1f ms",
		       (double)took / 1e6, (double)wait / 1e6);
		pid = waitpid(-1, &status, WNOHANG | flags);
		EXPECT(pid == -1 && errno == ECHILD, "then waitpid gives %ld", pid);
	}
}

static void waitid_child(const struct battery_check *check)
{
	battery_ready();
	for (uint64_t i = 0; battery_more(); i++) {
		siginfo_t info = {0};
		pid_t child = make_child((5 + i * 17 % 50) * 1000000, 9);
		long done = waitid(P_ALL, 0, &info, WEXITED);
		EXPECT(done == 0 && info.si_pid == child && info.si_status == 9,
		       "waitid gives %ld (%s), pid %d of %d", done, done ? strerror(errno) : "",
		       info.si_pid, child);
	}
}

static volatile sig_atomic_t child_signals;

static void count_child(int signal)
{
	child_signals++;
}

static void sigchld(const struct battery_check *check)
{
	struct sigaction action = {.sa_handler = count_child};
	sigaction(SIGCHLD, &action, NULL);
	battery_ready();
	while (battery_more()) {
		for (int i = 0; i < 10000; i++)
			EXPECT(child_signals == 0, "the handler of SIGCHLD ran");
		usleep(100);
	}
}

// Every child of every thread, as the kernel lists them.
static void children_list(const struct battery_check *check)
{
	char path[300], text[256];
	snprintf(path, sizeof(path), "/proc/self/task/%d/children", (int)getpid());
	if (battery_read(path, text, sizeof(text)) < 0) {
		battery_skip("no /proc/PID/task/TID/children");
		return;
	}
	battery_ready();
	while (battery_more()) {
		DIR *folder = opendir("/proc/self/task");
		text[0] = '\0';
		for (struct dirent *entry; !text[0] && (entry = readdir(folder));) {
			snprintf(path, sizeof(path), "/proc/self/task/%s/children", entry->d_name);
			if (entry->d_name[0] != '.' && battery_read(path, text, sizeof(text)) < 0)
				text[0] = '\0'; // the thread ended
		}
		closedir(folder);
		EXPECT(!text[0], "children: %s", text);
	}
}

// Looks through /proc for processes whose parent is this one.
static void processes_of_ours(const struct battery_check *check)
{
	char path[300], text[512];
	battery_ready();
	while (battery_more()) {
		DIR *folder = opendir("/proc");
		for (struct dirent *entry; (entry = readdir(folder));) {
			if (entry->d_name[0] < '0' || entry->d_name[0] > '9')
				continue;
			snprintf(path, sizeof(path), "/proc/%s/stat", entry->d_name);
			if (battery_read(path, text, sizeof(text)) < 0)
				continue;
			char state, *after = strrchr(text, ')');
			int parent;
			if (!after || sscanf(after, ") %c %d", &state, &parent) != 2 ||
			    parent != getpid())
				continue;
			closedir(folder);
			battery_fail("process %s is a child of ours, state %c", entry->d_name,
				     state);
			return;
		}
		closedir(folder);
	}
}

static void rusage_children(const struct battery_check *check)
{
	battery_ready();
	while (battery_more()) {
		struct rusage usage;
		getrusage(RUSAGE_CHILDREN, &usage);
		// The child that makes the clone is waited for by the process itself: its peak of
		// memory and its fraction of a millisecond show, as strobe-snap(1) says.
		long used = usage.ru_utime.tv_usec + usage.ru_stime.tv_usec;
		EXPECT(usage.ru_minflt < 100 && usage.ru_majflt == 0 &&
			       usage.ru_utime.tv_sec == 0 && usage.ru_stime.tv_sec == 0 &&
			       used < 100000,
		       "children used %ld us, %ld faults", used, usage.ru_minflt);
	}
}

static void subreaper(const struct battery_check *check)
{
	EXPECT(prctl(PR_SET_CHILD_SUBREAPER, 1) == 0, "prctl failed");
	battery_ready();
	while (battery_more()) {
		// A grandchild comes here when its parent ends; the clones do too, killed as they
		// are when they are dropped: strobe-snap(1) says so.
		pid_t child = fork();
		if (child == 0) {
			if (fork() == 0)
				_exit(4);
			_exit(3);
		}
		int status, threes = 0, fours = 0, others = 0;
		while (!others && threes + fours < 2) {
			EXPECT(waitpid(-1, &status, 0) > 0, "waitpid: %s", strerror(errno));
			threes += WIFEXITED(status) && WEXITSTATUS(status) == 3;
			fours += WIFEXITED(status) && WEXITSTATUS(status) == 4;
			others += !WIFEXITED(status) && WTERMSIG(status) != SIGKILL;
		}
		EXPECT(threes == 1 && fours == 1, "other children than those two");
	}
}

// The supervisor adopts what this process's children leave behind: it must be given nobody.
static void become_subreaper(void)
{
	prctl(PR_SET_CHILD_SUBREAPER, 1);
}

static void under_subreaper(const struct battery_check *check)
{
	battery_ready();
	while (battery_more())
		usleep(200);
}

// PID 1 of a namespace, which is not captured; its child is.
static void watch_as_pid_1(void)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	pid_t child = fork();
	if (child == 0) {
		while (battery_more())
			usleep(200);
		_exit(0);
	}
	for (;;) {
		int status;
		pid_t pid = waitpid(-1, &status, 0);
		if (pid == child)
			break;
		// A dropped clone, which it can wait for like any orphan: strobe-snap(1) says so.
		if (pid >= 0 && !(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL))
			battery_fail("PID 1 is given a child %d that is not its own", pid);
	}
	_exit(0);
}

static void under_pid_1(const struct battery_check *check)
{
	char path[64], text[64];
	if (unshare(CLONE_NEWPID) != 0) {
		battery_skip("a PID namespace is refused");
		return;
	}
	pid_t init = fork();
	if (init == 0)
		watch_as_pid_1();
	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", init, init);
	while (battery_read(path, text, sizeof(text)) <= 0 && !atomic_load(&shared->stop))
		usleep(1000);
	battery_ready_pid(atoi(text));
	int status;
	EXPECT(waitpid(init, &status, 0) == init && status == 0, "PID 1 ended with 0x%x", status);
}

static void as_pid_1(void)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	while (battery_more()) {
		expect_no_child(0);
		usleep(200);
	}
	_exit(atomic_load(&shared->failed) ? 1 : 0);
}

static void pid_1(const struct battery_check *check)
{
	if (unshare(CLONE_NEWPID) != 0) {
		battery_skip("a PID namespace is refused");
		return;
	}
	pid_t child = fork();
	if (child == 0) {
		EXPECT(getpid() == 1, "the child is not PID 1");
		as_pid_1();
	}
	battery_ready_pid(child);
	int status;
	EXPECT(waitpid(-1, &status, 0) == child && status == 0, "PID 1 ended with 0x%x", status);
	expect_no_child(0);
}

static void fork_churn(const struct battery_check *check)
{
	battery_ready();
	for (unsigned i = 0; battery_more(); i++) {
		pid_t children[4];
		for (int k = 0; k < 4; k++)
			EXPECT((children[k] = make_child(0, k)) > 0, "fork: %s", strerror(errno));
		int seen = 0, status;
		for (int k = 0; k < 4; k++) {
			pid_t pid = waitpid(-1, &status, 0);
			for (int j = 0; j < 4; j++)
				if (pid == children[j] && WIFEXITED(status) &&
				    WEXITSTATUS(status) == j)
					seen |= 1 << j;
		}
		EXPECT(seen == 15, "the four children were not seen: %x", (unsigned)seen);
		expect_no_child(0);
	}
}

static void exec_churn(const struct battery_check *check)
{
	char number[16];
	battery_ready();
	expect_no_child(0);
	sigset_t mask;
	sigprocmask(SIG_SETMASK, NULL, &mask);
	for (int i = 1; i < 32; i++)
		EXPECT(!sigismember(&mask, i), "signal %d is blocked after exec", i);
	if (!battery_more())
		return;
	snprintf(number, sizeof(number), "%d", options.shared_fd);
	execl("/proc/self/exe", "battery", "--again", check->name, number, (char *)NULL);
	battery_fail("exec: %s", strerror(errno));
}

// The thread that made it sleeps until its child is done; both use one memory and one stack.
static void vfork_child(const struct battery_check *check)
{
	battery_ready();
	while (battery_more()) {
		uint64_t start = battery_now_ns();
		static struct timespec time = {0, 30 * 1000 * 1000};
		pid_t child = vfork();
		if (child == 0) {
			// Restarted by itself if need be: what is left is for the kernel to know.
			long slept = CALL(SYS_nanosleep, &time, 0);
			_exit(slept == 0 ? 5 : 6);
		}
		uint64_t took = battery_now_ns() - start;
		int status;
		EXPECT(took >= 30 * 1000 * 1000, "vfork came back early, after %.1f ms",
		       (double)took / 1e6);
		EXPECT(took <= 30 * 1000 * 1000 + options.slack_ns, "vfork took %.1f ms",
		       (double)took / 1e6);
		EXPECT(waitpid(-1, &status, 0) == child, "another child than that of vfork");
		EXPECT(WIFEXITED(status) && WEXITSTATUS(status) == 5, "its status: 0x%x", status);
		expect_no_child(0);
	}
}

static const int no_flags, wall = __WALL;

const struct battery_check child_checks[] = {
	{"wait-any", "waitpid(-1) and waitid(P_ALL) see no child", wait_any},
	{"wait-any-wall", "nor with __WALL", wait_any_all},
	{"wait-any-wclone", "nor with __WCLONE", wait_any_clone},
	{"wait-child", "a blocking waitpid(-1) sees its own child, in time", wait_child,
	 .detail = &no_flags},
	{"wait-child-wall", "also with __WALL", wait_child, .detail = &wall},
	{"waitid-child", "a blocking waitid(P_ALL) sees its own child", waitid_child},
	{"sigchld", "the handler of SIGCHLD never runs", sigchld},
	{"children-list", "/proc/self/task/TID/children stays empty", children_list},
	{"no-process", "no process has this one as its parent, zombies neither", processes_of_ours},
	{"rusage-children", "hardly anything of children is accounted", rusage_children},
	{"subreaper", "a child subreaper is given its own orphans, and dropped clones", subreaper},
	{"pid-1", "PID 1 of a PID namespace is given no orphan", pid_1},
	{"under-subreaper", "a subreaper above it is given dropped clones only", under_subreaper,
	 .open = become_subreaper},
	{"under-pid-1", "and so is PID 1 of its namespace", under_pid_1},
	{"fork-churn", "a process that forks all the time", fork_churn},
	{"exec-churn", "a process that executes a program all the time", exec_churn},
	{"vfork", "a process in vfork while its child sleeps", vfork_child},
	{0},
};
