// SPDX-License-Identifier: Apache-2.0
// What a recorder meets, a situation each: programs SITUATION. Static, so that its addresses are the same in each run. It
// says "ok" when all was as it should be for it, and ends with status 0.

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <unistd.h>

static volatile unsigned long counter;
static volatile sig_atomic_t handled;

int work(int n);
int other(int n);

__attribute__((noinline)) int work(int n)
{
	return n < 2 ? n : work(n - 1) + work(n - 2);
}

__attribute__((noinline)) int other(int n)
{
	for (int i = 0; i < n; i++)
		counter += (unsigned long)work(3);
	return (int)counter;
}

static void require(int good, const char *what)
{
	if (good)
		return;
	printf("failed: %s\n", what);
	fflush(stdout);
	_exit(1);
}

static void on_signal(int number)
{
	(void)number;
	handled++;
}

static void handle(int number, int flags)
{
	struct sigaction action = {.sa_handler = on_signal, .sa_flags = flags};
	sigaction(number, &action, NULL);
}

static void plain(void)
{
	require(work(8) == 21, "work");
}

static void strings(void)
{
	static char from[5000], to[5000];
	void *a = to;
	const void *b = from;
	size_t n = sizeof(from);
	memset(from, 7, sizeof(from));
	__asm__ volatile("rep movsb" : "+D"(a), "+S"(b), "+c"(n) : : "memory");
	require(n == 0 && to[4999] == 7, "rep movsb");
}

static void flags(void)
{
	uint64_t pushed, r11;
	__asm__ volatile("pushfq; popq %0" : "=r"(pushed));
	require(!(pushed & 0x100), "the trap flag shows in pushed flags");
	__asm__ volatile("pushfq; pushfq; popq %0; popfq" : "=r"(pushed));
	require(!(pushed & 0x100), "the trap flag shows in flags pushed twice");
	long number = SYS_getpid;
	__asm__ volatile("syscall; movq %%r11, %1"
			 : "+a"(number), "=r"(r11)
			 :
			 : "rcx", "r11", "memory");
	require(!(r11 & 0x100), "the trap flag shows in r11");
}

static void signals(void)
{
	handle(SIGUSR1, SA_RESTART);
	for (int i = 0; i < 5; i++)
		raise(SIGUSR1);
	require(handled == 5, "SIGUSR1 was handled");
	signal(SIGUSR2, SIG_IGN);
	raise(SIGUSR2);
	signal(SIGUSR2, SIG_DFL);
	sigset_t set, pending;
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	raise(SIGUSR1);
	sigpending(&pending);
	require(sigismember(&pending, SIGUSR1) == 1 && handled == 5, "it is pending");
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	require(handled == 6, "and comes");
}

static sigjmp_buf back;

static void on_fault(int number)
{
	(void)number;
	siglongjmp(back, 1);
}

static void faults(void)
{
	signal(SIGSEGV, on_fault);
	signal(SIGILL, on_fault);
	if (sigsetjmp(back, 1) == 0)
		*(volatile int *)16 = 1;
	else
		handled++;
	if (sigsetjmp(back, 1) == 0)
		__asm__ volatile("ud2");
	else
		handled++;
	if (sigsetjmp(back, 1) == 0)
		((void (*)(void))(uintptr_t)0x10)(); // no code is there
	else
		handled++;
	require(handled == 3, "three faults");
}

static void traps(void)
{
	handle(SIGTRAP, 0);
	__asm__ volatile("int3");
	raise(SIGTRAP);
	__asm__ volatile("int3; nop; int3");
	require(handled == 4, "its own SIGTRAPs");
}

static void jumps(void)
{
	static jmp_buf here;
	volatile int round = 0;
	if (setjmp(here) < 3) {
		round++;
		longjmp(here, round);
	}
	require(round == 3, "setjmp");
}

static void interrupted(void)
{
	struct itimerval soon = {.it_value.tv_usec = 50000};
	int ends[2];
	char byte;
	require(pipe(ends) == 0, "pipe");
	handle(SIGALRM, 0);
	setitimer(ITIMER_REAL, &soon, NULL);
	require(read(ends[0], &byte, 1) == -1 && errno == EINTR && handled == 1, "EINTR");
	handle(SIGALRM, SA_RESTART);
	setitimer(ITIMER_REAL, &soon, NULL);
	if (fork() == 0) {
		usleep(400000);
		_exit(write(ends[1], "x", 1) != 1);
	}
	require(read(ends[0], &byte, 1) == 1 && handled == 2, "SA_RESTART");
	// A signal that is ignored disturbs nobody.
	signal(SIGALRM, SIG_IGN);
	setitimer(ITIMER_REAL, &soon, NULL);
	require(usleep(200000) == 0, "usleep");
	wait(NULL);
}

static void *run_thread(void *argument)
{
	for (int i = 0; i < 20; i++)
		__atomic_add_fetch(&counter, (unsigned long)work(3), __ATOMIC_RELAXED);
	return argument;
}

static void threads(void)
{
	pthread_t list[4];
	for (uintptr_t i = 0; i < 4; i++)
		require(pthread_create(&list[i], NULL, run_thread, (void *)i) == 0, "thread");
	for (uintptr_t i = 0; i < 4; i++) {
		void *result;
		require(pthread_join(list[i], &result) == 0 && (uintptr_t)result == i, "join");
	}
	require(counter == 160, "their work");
}

static void forks(void)
{
	int status;
	pid_t pid = fork();
	if (pid == 0) {
		uint64_t r11 = 0;
		__asm__ volatile("movq %%r11, %0" : "=r"(r11));
		_exit(work(5) == 5 ? 42 : 1);
	}
	require(waitpid(pid, &status, 0) == pid && WEXITSTATUS(status) == 42, "fork");
	pid = vfork();
	if (pid == 0)
		_exit(43);
	require(waitpid(pid, &status, 0) == pid && WEXITSTATUS(status) == 43, "vfork");
}

static void executes(void)
{
	static char program[] = "programs", situation[] = "plain";
	char *const arguments[] = {program, situation, NULL};
	work(3);
	execv("/proc/self/exe", arguments);
	require(0, "execv");
}

static void *execute_now(void *argument)
{
	executes();
	return argument;
}

static void thread_executes(void)
{
	pthread_t thread;
	pthread_create(&thread, NULL, execute_now, NULL);
	pthread_join(thread, NULL);
	require(0, "execv of a thread");
}

static void makes_code(void)
{
	// mov $N, %eax; ret, and another N afterwards at the same place
	unsigned char code[] = {0xb8, 1, 0, 0, 0, 0xc3};
	unsigned char *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
				   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	require(page != MAP_FAILED, "mmap");
	for (int i = 1; i <= 3; i++) {
		code[1] = (unsigned char)i;
		memcpy(page, code, sizeof(code));
		require(((int (*)(void))(uintptr_t)page)() == i, "made code");
	}
	munmap(page, 4096);
}

static void seccomp(void)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOTSUP),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {4, filter};
	require(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
			prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0,
		"seccomp");
	require(syscall(SYS_getppid) == -1 && errno == ENOTSUP, "the filter works");
}

static void spin(void)
{
	for (;;)
		other(100);
}

static void dies(void)
{
	work(4);
	raise(SIGKILL);
}

static void waits(void)
{
	char byte;
	printf("ok\n");
	fflush(stdout);
	require(read(0, &byte, 1) == 1, "read");
}

static void crashes(void)
{
	*(volatile int *)16 = 1;
}

static void parts(void)
{
	other(3);
	work(5);
	other(2);
}

static const struct {
	const char *name;
	void (*run)(void);
} situations[] = {
	{"plain", plain},
	{"strings", strings},
	{"flags", flags},
	{"signals", signals},
	{"faults", faults},
	{"traps", traps},
	{"jumps", jumps},
	{"interrupted", interrupted},
	{"threads", threads},
	{"forks", forks},
	{"executes", executes},
	{"thread-executes", thread_executes},
	{"makes-code", makes_code},
	{"seccomp", seccomp},
	{"spin", spin},
	{"dies", dies},
	{"waits", waits},
	{"crashes", crashes},
	{"parts", parts},
};

int main(int argc, char **argv)
{
	for (size_t i = 0; argc > 1 && i < sizeof(situations) / sizeof(situations[0]); i++)
		if (strcmp(situations[i].name, argv[1]) == 0) {
			situations[i].run();
			static const char done[] = "ok\n";
			return write(1, done, 3) != 3;
		}
	return 2;
}
