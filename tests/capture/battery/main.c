// SPDX-License-Identifier: Apache-2.0
#include "battery.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct battery_shared *shared;
struct battery_options options = {
	.milliseconds = 1000, .slack_ns = 400 * 1000 * 1000ull, .shared_fd = -1};

static const struct battery_check *const lists[] = {
	child_checks,	signal_checks, timer_checks, register_checks, memory_checks, thread_checks,
	seccomp_checks, file_checks,   timed_checks, event_checks,    ipc_checks,
};
enum { LIST_COUNT = sizeof(lists) / sizeof(lists[0]) };

uint64_t battery_now_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void battery_sleep_ns(uint64_t ns)
{
	uint64_t end = battery_now_ns() + ns;
	struct timespec until = {(time_t)(end / 1000000000u), (long)(end % 1000000000u)};
	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR)
		;
}

long battery_call(long number, long a, long b, long c, long d, long e, long f)
{
	long ret;
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	register long r9 __asm__("r9") = f;
	__asm__ volatile("syscall"
			 : "=a"(ret)
			 : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return ret;
}

void battery_ready_pid(pid_t pid)
{
	atomic_store(&shared->capture_pid, pid);
}

void battery_ready(void)
{
	battery_ready_pid(getpid());
}

bool battery_more(void)
{
	if (atomic_load(&shared->stop) || atomic_load(&shared->failed))
		return false;
	atomic_fetch_add(&shared->rounds, 1);
	return true;
}

void battery_fail(const char *format, ...)
{
	if (atomic_exchange(&shared->failed, 1))
		return;
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(shared->why, sizeof(shared->why), format, arguments);
	va_end(arguments);
}

void battery_skip(const char *why)
{
	snprintf(shared->skip, sizeof(shared->skip), "%s", why);
}

ssize_t battery_read(const char *path, char *buffer, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	size_t length = 0;
	ssize_t got = 0;
	while (length < size - 1 && (got = read(fd, buffer + length, size - 1 - length)) > 0)
		length += (size_t)got;
	close(fd);
	buffer[length] = '\0';
	return got < 0 || length == size - 1 ? -1 : (ssize_t)length;
}

void battery_arm(uint64_t after_ns)
{
	atomic_store(&shared->wake_at_ns, battery_now_ns() + after_ns);
	unsigned armed = atomic_fetch_add(&shared->armed, 1) + 1;
	while (atomic_load(&shared->blocked) != armed && !atomic_load(&shared->failed))
		battery_sleep_ns(100 * 1000);
}

// Wakes the armed call when its time has come; false if there is nothing to do.
static bool wake_once(const struct battery_check *check)
{
	unsigned armed = atomic_load(&shared->armed);
	if (armed == atomic_load(&shared->woken))
		return false;
	if (armed != atomic_load(&shared->blocked)) {
		if (check->block)
			check->block();
		atomic_store(&shared->blocked, armed);
	}
	uint64_t at = atomic_load(&shared->wake_at_ns), now = battery_now_ns();
	if (now < at)
		return false;
	atomic_store(&shared->woken_ns, battery_now_ns());
	atomic_store(&shared->woken, armed);
	check->wake();
	return true;
}

void *battery_waker(void *check)
{
	sigset_t all;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, NULL);
	while (!atomic_load(&shared->finished)) {
		wake_once(check);
		battery_sleep_ns(200 * 1000);
	}
	return NULL;
}

static const struct battery_check *find_check(const char *name)
{
	for (size_t i = 0; i < LIST_COUNT; i++)
		for (const struct battery_check *check = lists[i]; check->name; check++)
			if (strcmp(check->name, name) == 0)
				return check;
	fprintf(stderr, "battery: no check '%s'\n", name);
	exit(2);
}

static void map_shared(int fd)
{
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (shared == MAP_FAILED) {
		perror("battery: mmap");
		exit(2);
	}
}

// What a careless capture would do, done by the target to itself: the checks must notice.
static void *sabotage(void *unused)
{
	sigset_t all;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, NULL);
	while (!atomic_load(&shared->finished) && !atomic_load(&shared->failed)) {
		int signal = options.sabotage == SABOTAGE_FORK ? SIGCHLD : 0;
		if (options.sabotage == SABOTAGE_MEMORY) {
			mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		} else if (CALL(SYS_clone, signal, 0, 0, 0, 0) == 0) {
			battery_sleep_ns(20000000);
			_exit(0);
		}
		battery_sleep_ns(15000000);
	}
	return NULL;
}

__attribute__((noreturn)) static void be_target(const struct battery_check *check)
{
	pthread_t thread;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (options.sabotage)
		pthread_create(&thread, NULL, sabotage, NULL);
	check->run(check);
	atomic_store(&shared->finished, 1);
	// Strict mode allows only the one, threads need the other.
	for (;;)
		CALL(strcmp(check->name, "seccomp-strict") == 0 ? SYS_exit : SYS_exit_group, 0);
}

// Whatever the target held must be free once it is gone: nobody else may keep its descriptors.
static void look_at_life(int life)
{
	struct pollfd fd = {.fd = life, .events = POLLIN};
	if (poll(&fd, 1, 500) != 1 || !(fd.revents & POLLHUP))
		battery_fail("the target is gone, but somebody still holds its descriptors");
}

// Waits for the target's end; true once it is over.
static bool reap(pid_t target, bool observed)
{
	int status;
	// Who observes stops of the target waits for them himself.
	pid_t pid = waitpid(observed ? target : -1, &status, WNOHANG | __WALL);
	if (pid == 0)
		return false;
	// Who adopts orphans is given dropped clones, too.
	int adopts = 0;
	prctl(PR_GET_CHILD_SUBREAPER, &adopts);
	if (adopts && pid > 0 && pid != target && WIFSIGNALED(status) &&
	    WTERMSIG(status) == SIGKILL)
		return false;
	if (pid != target) {
		battery_fail(
			"the supervisor's waitpid gives %d (%s), a child that it does not know",
			pid, pid < 0 ? strerror(errno) : "");
		return pid < 0;
	}
	if (WIFSIGNALED(status))
		battery_fail("the target died of signal %d (%s)", WTERMSIG(status),
			     strsignal(WTERMSIG(status)));
	else if (WEXITSTATUS(status) != 0 || !atomic_load(&shared->finished))
		battery_fail("the target ended with status %d%s", WEXITSTATUS(status),
			     atomic_load(&shared->finished) ? "" : " before its check was over");
	return true;
}

// SIGTERM ends the checks early, and well.
static void end_early(int signal)
{
	atomic_store(&shared->stop, 1);
}

static void supervise(const struct battery_check *check, pid_t target)
{
	uint64_t start = battery_now_ns(), limit = (uint64_t)options.milliseconds * 1000000;
	uint64_t patience = 10 * 1000000000ull;
	bool told = false;
	while (!reap(target, check->observe != NULL)) {
		uint64_t now = battery_now_ns();
		int pid = atomic_load(&shared->capture_pid);
		if (pid && !told) {
			printf("# capture %d\n", pid);
			fflush(stdout);
			told = true;
			start = now;
		}
		if (told && now - start > limit)
			atomic_store(&shared->stop, 1);
		if (now - start > limit + patience) {
			battery_fail("hung for %llu s",
				     (unsigned long long)(patience / 1000000000));
			kill(target, SIGCONT);
			kill(target, SIGKILL);
			waitpid(target, NULL, __WALL);
			break;
		}
		if (check->observe)
			check->observe(target);
		if (check->wake && !options.waker_is_thread)
			wake_once(check);
		battery_sleep_ns(check->wake ? 200 * 1000 : 1000 * 1000);
	}
}

static void run_check(const struct battery_check *check, int number)
{
	memset(shared, 0, sizeof(*shared));
	int life[2];
	if (pipe2(life, O_CLOEXEC) != 0)
		exit(2);
	if (check->open)
		check->open();
	fflush(stdout);
	pid_t target = fork();
	if (target == 0) {
		signal(SIGTERM, SIG_DFL);
		close(life[0]);
		be_target(check);
	}
	close(life[1]);
	supervise(check, target);
	look_at_life(life[0]);
	close(life[0]);
	if (!atomic_load(&shared->failed) && !shared->skip[0] && atomic_load(&shared->rounds) == 0)
		battery_fail("did not do a single round");
	bool failed = atomic_load(&shared->failed);
	if (failed)
		printf("# %s: %s\n", check->name, shared->why);
	printf("%s %d - %s: %s", failed ? "not ok" : "ok", number, check->name, check->proves);
	if (shared->skip[0] && !failed)
		printf(" # SKIP %s", shared->skip);
	printf("\n# %lu rounds\n", atomic_load(&shared->rounds));
	fflush(stdout);
}

// The check that executes the program anew continues here.
static void go_on(const char *name, const char *fd)
{
	options.shared_fd = atoi(fd);
	map_shared(options.shared_fd);
	be_target(find_check(name));
}

static void list_checks(void)
{
	for (size_t i = 0; i < LIST_COUNT; i++)
		for (const struct battery_check *check = lists[i]; check->name; check++)
			printf("%s\t%s\t%s\n", check->name, check->wake ? "waits" : "",
			       check->proves);
}

static int sabotage_named(const char *name)
{
	static const char *const names[] = {"", "fork", "clone", "memory"};
	for (int i = 1; i < 4; i++)
		if (strcmp(name, names[i]) == 0)
			return i;
	fprintf(stderr, "battery: --sabotage fork, clone or memory\n");
	exit(2);
}

int main(int argc, char **argv)
{
	int at = 1;
	if (argc == 4 && strcmp(argv[1], "--again") == 0)
		go_on(argv[2], argv[3]);
	for (; at < argc && strncmp(argv[at], "--", 2) == 0; at++) {
		if (strcmp(argv[at], "--list") == 0) {
			list_checks();
			return 0;
		}
		if (strcmp(argv[at], "--waker-thread") == 0)
			options.waker_is_thread = true;
		else if (at + 1 < argc && strcmp(argv[at], "--ms") == 0)
			options.milliseconds = (unsigned)atoi(argv[++at]);
		else if (at + 1 < argc && strcmp(argv[at], "--slack-ms") == 0)
			options.slack_ns = (uint64_t)atoi(argv[++at]) * 1000000;
		else if (at + 1 < argc && strcmp(argv[at], "--sabotage") == 0)
			options.sabotage = sabotage_named(argv[++at]);
		else
			at = argc;
	}
	if (at >= argc) {
		fprintf(stderr,
			"usage: battery [--ms N] [--slack-ms N] [--waker-thread] [--sabotage HOW] "
			"CHECK...\n"
			"       battery --list\n");
		return 2;
	}
	options.shared_fd = (int)syscall(SYS_memfd_create, "battery", 0);
	if (options.shared_fd < 0 || ftruncate(options.shared_fd, sizeof(*shared)) != 0) {
		perror("battery: memfd_create");
		return 2;
	}
	map_shared(options.shared_fd);
	bool failed = false;
	signal(SIGTERM, end_early);
	printf("1..%d\n", argc - at);
	for (int i = at; i < argc; i++) {
		run_check(find_check(argv[i]), i - at + 1);
		failed = failed || atomic_load(&shared->failed);
	}
	return failed ? 1 : 0;
}
