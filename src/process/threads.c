// SPDX-License-Identifier: Apache-2.0
#include "process/threads.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"
#include "base/xsave.h"
#include "process/permission.h"
#include "process/proc.h"

#ifndef PTRACE_GET_RSEQ_CONFIGURATION
#define PTRACE_GET_RSEQ_CONFIGURATION 0x420f
#endif
enum { RED_ZONE = 128, SPIN_ROUNDS = 200, ROUND_LIMIT = 10000 };

struct rseq_configuration { // struct ptrace_rseq_configuration, Linux 5.13
	uint64_t pointer;
	uint32_t size, signature, flags, padding;
};

int64_t threads_clock_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static struct stopped_thread *find(struct threads *threads, pid_t tid)
{
	size_t low = 0, high = threads->list.count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (threads->list.items[middle].tid < tid)
			low = middle + 1;
		else
			high = middle;
	}
	return low < threads->list.count && threads->list.items[low].tid == tid
		       ? &threads->list.items[low]
		       : NULL;
}

static int order_threads(const void *a, const void *b)
{
	const struct stopped_thread *x = a, *y = b;
	return (x->tid > y->tid) - (x->tid < y->tid);
}

static char *read_task(pid_t pid, pid_t tid, const char *file)
{
	char name[64];
	struct text text = {0};
	snprintf(name, sizeof(name), "%d/task/%d/%s", (int)pid, (int)tid, file);
	if (proc_read(name, &text) || !text.size) {
		text_fini(&text);
		return NULL;
	}
	return text_steal(&text);
}

/** What is gone once it stands: its state, and how long it has been waiting. */
static void observe(struct threads *threads, struct stopped_thread *thread)
{
	char *stat = read_task(threads->pid, thread->tid, "stat");
	const char *state = stat ? proc_stat_field(stat, 3) : NULL;
	thread->state_before = state ? *state : 0;
	free(stat);
	if (thread->state_before == 'S')
		restart_observe(threads->pid, thread->tid, &thread->wait);
}

/** Seizes what is new among the threads; `*count` = how many. */
static struct strobe_error *seize_new(struct threads *threads, bool interrupt, size_t *count)
{
	struct proc_tids tids = {0};
	int problem = proc_threads(threads->pid, &tids);
	size_t known = threads->list.count, failed = 0;
	int first_error = 0;
	*count = 0;
	for (size_t i = 0; !problem && i < tids.list.count; i++) {
		struct stopped_thread thread = {.tid = tids.list.items[i], .wait.kind = -1};
		if (threads->only && thread.tid != threads->only)
			continue;
		// Only what was there before is sorted; a tid comes once in a folder.
		size_t now = threads->list.count;
		threads->list.count = known;
		bool is_new = !find(threads, thread.tid);
		threads->list.count = now;
		if (!is_new)
			continue;
		if (!interrupt)
			observe(threads, &thread);
		if (ptrace(PTRACE_SEIZE, thread.tid, 0, 0)) {
			int errnum = errno;
			char *stat = read_task(threads->pid, thread.tid, "stat");
			const char *state = stat ? proc_stat_field(stat, 3) : NULL;
			bool dead = state && (*state == 'Z' || *state == 'X');
			bool gone = !state || errnum == ESRCH;
			free(stat);
			if (gone && !dead)
				continue;
			if (dead && thread.tid != threads->pid)
				continue;
			if (!dead) {
				failed++;
				first_error = first_error ? first_error : errnum;
				continue;
			}
			thread.state = THREAD_DEAD;
			thread.state_before = 'Z';
		} else if (interrupt) {
			ptrace(PTRACE_INTERRUPT, thread.tid, 0, 0);
		}
		if (!array_push(&threads->list, thread))
			problem = ENOMEM;
		(*count)++;
	}
	array_fini(&tids.list);
	if (*count)
		qsort(threads->list.items, threads->list.count, sizeof(struct stopped_thread),
		      order_threads);
	if (problem == ENOMEM)
		return error_no_memory();
	if (problem || failed || !threads->list.count)
		return permission_explain(threads->pid, problem	 ? problem
							: failed ? first_error
								 : ESRCH);
	return NULL;
}

pid_t threads_alive(const struct threads *threads)
{
	for (size_t i = 0; i < threads->list.count; i++) {
		enum thread_state state = threads->list.items[i].state;
		if (state == THREAD_STOPPED || state == THREAD_SEIZED || state == THREAD_STUCK)
			return threads->list.items[i].tid;
	}
	return threads->pid;
}

bool threads_open_memory(struct threads *threads)
{
	char path[64];
	snprintf(path, sizeof(path), "/proc/%d/mem", (int)threads_alive(threads));
	threads->mem_fd = open(path, O_RDWR | O_CLOEXEC);
	return threads->mem_fd >= 0;
}

struct strobe_error *threads_seize(struct threads *threads, pid_t pid, unsigned stop_limit_ms)
{
	return threads_seize_one(threads, pid, 0, stop_limit_ms);
}

struct strobe_error *threads_seize_one(struct threads *threads, pid_t pid, pid_t tid,
				       unsigned stop_limit_ms)
{
	size_t count;
	*threads = (struct threads){.pid = pid, .only = tid, .mem_fd = -1};
	threads->stop_limit_ns = (uint64_t)stop_limit_ms * 1000000;
	struct strobe_error *error = permission_check(pid);
	if (!error)
		error = seize_new(threads, false, &count);
	if (error)
		return error;
	return threads_open_memory(threads) ? NULL : permission_explain(pid, errno);
}

void threads_interrupt(struct threads *threads)
{
	threads->first_stop_ns = threads_clock_ns();
	for (size_t i = 0; i < threads->list.count; i++)
		if (threads->list.items[i].state == THREAD_SEIZED)
			ptrace(PTRACE_INTERRUPT, threads->list.items[i].tid, 0, 0);
}

/**
 * 1: it stands, 0: not yet, -1: it is gone. A stop for a signal is looked at, not consumed: the
 * kernel would forget the signal with it, and were we to die before we let the thread go, it would
 * be lost. (Other stops are: what is left of those when we die is taken for a signal.)
 */
static int look_at(pid_t tid, int *status)
{
	siginfo_t info = {0};
	int kinds = WEXITED | WSTOPPED | WNOHANG | __WALL | __WNOTHREAD;
	if (waitid(P_PID, (id_t)tid, &info, kinds | WNOWAIT))
		return errno == EINTR ? 0 : -1;
	if (info.si_pid != tid)
		return 0;
	*status = info.si_status << 8 | 0x7f; // as waitpid() has it
	if (info.si_code == CLD_TRAPPED && info.si_status != SIGTRAP && info.si_status >> 8 == 0)
		return 1;
	pid_t pid = waitpid(tid, status, __WALL | __WNOTHREAD | WNOHANG);
	if (pid == tid)
		return WIFSTOPPED(*status) ? 1 : -1;
	return pid < 0 && errno != EINTR ? -1 : 0;
}

int threads_wait_one(pid_t tid, int64_t deadline_ns, int *status)
{
	for (unsigned round = 0;; round++) {
		int result = look_at(tid, status);
		if (result)
			return result;
		if (threads_clock_ns() >= deadline_ns)
			return 0;
		// A stop takes tens of microseconds: give the processor to the one we wait for.
		if (round < SPIN_ROUNDS) {
			sched_yield();
		} else {
			struct timespec pause = {.tv_nsec = round < 1000 ? 20000 : 200000};
			nanosleep(&pause, NULL);
		}
	}
}

static bool read_registers(struct stopped_thread *thread)
{
	struct iovec part = {&thread->regs, sizeof(thread->regs)};
	if (ptrace(PTRACE_GETREGSET, thread->tid, (void *)NT_PRSTATUS, &part))
		return false;
	thread->running = thread->regs;
	return true;
}

/** What read_state() reads again. */
static void forget_state(struct stopped_thread *thread)
{
	free(thread->xstate);
	free(thread->queue);
	free(thread->status);
	free(thread->stat);
	thread->xstate = NULL;
	thread->queue = NULL;
	thread->status = thread->stat = NULL;
	thread->queue_count = thread->queue_shared = 0;
}

static void read_xstate(struct stopped_thread *thread)
{
	uint8_t buffer[XSTATE_LIMIT];
	struct iovec part = {buffer, sizeof(buffer)};
	if (ptrace(PTRACE_GETREGSET, thread->tid, (void *)NT_X86_XSTATE, &part) != 0 ||
	    part.iov_len < XSAVE_HEADER_END)
		return;
	// Tiles take 8 of its 11 KiB, and hardly any thread has them: without, it is as large as debuggers expect it.
	size_t size = part.iov_len;
	uint64_t enabled, present;
	memcpy(&enabled, buffer + XSAVE_ENABLED_AT, sizeof(enabled));
	memcpy(&present, buffer + XSAVE_PRESENT_AT, sizeof(present));
	if (enabled & XSAVE_TILES && !(present & XSAVE_TILES))
		size = xsave_end(enabled & ~XSAVE_TILES, size);
	thread->xstate = malloc(size);
	if (thread->xstate) {
		memcpy(thread->xstate, buffer, size);
		thread->xstate_size = size;
	}
}

/** Signals that wait: peeked at, they stay where they are. */
static size_t peek_signals(struct stopped_thread *thread, const char *field, unsigned flags)
{
	enum { QUEUE_LIMIT = 64 };
	siginfo_t found[QUEUE_LIMIT];
	uint64_t pending = 0;
	if (!thread->status || !proc_field_number(thread->status, field, 16, &pending) || !pending)
		return 0;
	struct __ptrace_peeksiginfo_args what = {.flags = flags, .nr = QUEUE_LIMIT};
	long count = ptrace(PTRACE_PEEKSIGINFO, thread->tid, &what, found);
	if (count <= 0)
		return 0;
	size_t size = (thread->queue_count + (size_t)count) * sizeof(siginfo_t);
	siginfo_t *grown = realloc(thread->queue, size);
	if (!grown)
		return 0;
	memcpy(grown + thread->queue_count, found, (size_t)count * sizeof(siginfo_t));
	thread->queue = grown;
	thread->queue_count += (size_t)count;
	return (size_t)count;
}

static void read_state(struct threads *threads, struct stopped_thread *thread)
{
	struct rseq_configuration rseq = {0};
	read_xstate(thread);
	thread->has_blocked = ptrace(PTRACE_GETSIGMASK, thread->tid, sizeof(thread->blocked),
				     &thread->blocked) == 0;
	void *head = NULL;
	size_t size = 0;
	thread->has_robust = syscall(SYS_get_robust_list, thread->tid, &head, &size) == 0;
	thread->robust_list = (uint64_t)(uintptr_t)head;
	thread->robust_size = size;
	thread->has_rseq =
		ptrace(PTRACE_GET_RSEQ_CONFIGURATION, thread->tid, sizeof(rseq), &rseq) > 0;
	thread->rseq_address = rseq.pointer;
	thread->rseq_size = rseq.size;
	thread->rseq_signature = rseq.signature;
	thread->rseq_flags = rseq.flags;
	thread->status = read_task(threads->pid, thread->tid, "status");
	thread->stat = read_task(threads->pid, thread->tid, "stat");
	peek_signals(thread, "SigPnd", 0);
	if (thread->tid == threads->pid)
		thread->queue_shared = peek_signals(thread, "ShdPnd", PTRACE_PEEKSIGINFO_SHARED);
}

/** What a call that only our stop ended needs, at once: were we to die now, it is mended. */
static void mend_call(struct threads *threads, struct stopped_thread *thread)
{
	enum restart_kind kind = restart_kind(&thread->regs);
	if (thread->signal || kind == RESTART_NONE || kind == RESTART_BY_KERNEL)
		return;
	restart_confirm(threads->pid, thread->tid, &thread->wait);
	if (kind != RESTART_ENDED)
		return;
	struct user_regs_struct regs = thread->regs;
	struct restart_scratch scratch = {.address = (regs.rsp - RED_ZONE - 128) & ~UINT64_C(15)};
	restart_again(&regs, &thread->wait, threads->mem_fd, &scratch);
	if (scratch.used && pwrite(threads->mem_fd, scratch.words, sizeof(scratch.words),
				   (off_t)scratch.address) != sizeof(scratch.words)) {
		regs = thread->regs; // its whole time limit, then
		regs.rax = (unsigned long long)-(long long)KERNEL_ERESTARTNOHAND;
	}
	struct iovec part = {&regs, sizeof(regs)};
	if (ptrace(PTRACE_SETREGSET, thread->tid, (void *)NT_PRSTATUS, &part) == 0)
		thread->running = regs;
}

void threads_mend_call(struct threads *threads, struct stopped_thread *thread)
{
	if (read_registers(thread))
		mend_call(threads, thread);
}

static bool is_stop_signal(int signal)
{
	return signal == SIGSTOP || signal == SIGTSTP || signal == SIGTTIN || signal == SIGTTOU;
}

static void note_stop(struct threads *threads, struct stopped_thread *thread, int status)
{
	thread->state = THREAD_STOPPED;
	if (status >> 16 == PTRACE_EVENT_STOP)
		thread->group_stopped = is_stop_signal(WSTOPSIG(status));
	else
		thread->signal = WSTOPSIG(status); // given back when it is let go
	if (!read_registers(thread)) {
		thread->state = THREAD_GONE; // killed a moment ago
		thread->unburied = true;
		threads->unburied_count++;
		return;
	}
	threads->stopped_count++;
	mend_call(threads, thread);
}

static void read_texts(struct threads *threads, struct stopped_thread *thread)
{
	thread->status = read_task(threads->pid, thread->tid, "status");
	thread->stat = read_task(threads->pid, thread->tid, "stat");
}

// Who only waits for a processor will stop: what a busy machine may take, in units of the limit.
enum { BUSY_FACTOR = 25 };

static bool sleeps_deaf(const struct threads *threads, const struct stopped_thread *thread)
{
	char *stat = read_task(threads->pid, thread->tid, "stat");
	const char *state = stat ? proc_stat_field(stat, 3) : NULL;
	bool deaf = state && *state == 'D';
	free(stat);
	return deaf;
}

/** As threads_wait_one(), until the deadline or, if it only waits for a processor, `busy_ns`. */
static int wait_patiently(const struct threads *threads, const struct stopped_thread *thread,
			  int64_t deadline_ns, int64_t busy_ns, int *status)
{
	int result = threads_wait_one(thread->tid, deadline_ns, status);
	if (result || sleeps_deaf(threads, thread))
		return result;
	return threads_wait_one(thread->tid, busy_ns, status);
}

/** It runs, and will stop soon: its state is read again then. */
static bool await_again(struct threads *threads, struct stopped_thread *thread)
{
	int status;
	int64_t now = threads_clock_ns(), limit = (int64_t)threads->stop_limit_ns;
	thread->signal = 0;
	threads->stopped_count--;
	int result =
		wait_patiently(threads, thread, now + limit, now + BUSY_FACTOR * limit, &status);
	if (result != 1) {
		thread->state = result ? THREAD_GONE : THREAD_STUCK;
		threads->stuck_count += result == 0;
		return false;
	}
	note_stop(threads, thread, status);
	forget_state(thread);
	read_state(threads, thread);
	return thread->state == THREAD_STOPPED;
}

bool threads_deliver(struct threads *threads, struct stopped_thread *thread)
{
	// The trap is pending before it runs: it comes before the handler's first instruction.
	return ptrace(PTRACE_INTERRUPT, thread->tid, 0, 0) == 0 &&
	       ptrace(PTRACE_CONT, thread->tid, 0, (void *)(long)thread->signal) == 0 &&
	       await_again(threads, thread) && !thread->signal;
}

bool threads_let_run(struct threads *threads, struct stopped_thread *thread, int64_t run_ns)
{
	struct timespec pause = {.tv_nsec = (long)run_ns};
	if (ptrace(PTRACE_CONT, thread->tid, 0, (void *)(long)thread->signal))
		return false;
	nanosleep(&pause, NULL);
	return ptrace(PTRACE_INTERRUPT, thread->tid, 0, 0) == 0 && await_again(threads, thread);
}

/** A stuck thread's pc and sp, as far as the kernel tells them of one that sleeps. */
static void read_stuck(struct threads *threads, struct stopped_thread *thread)
{
	char *text = read_task(threads->pid, thread->tid, "syscall");
	unsigned long long number, a[6], sp, pc;
	if (text &&
	    sscanf(text, "%lld %llx %llx %llx %llx %llx %llx %llx %llx", (long long *)&number,
		   &a[0], &a[1], &a[2], &a[3], &a[4], &a[5], &sp, &pc) == 9) {
		thread->regs = (struct user_regs_struct){
			.orig_rax = number,
			.rdi = a[0],
			.rsi = a[1],
			.rdx = a[2],
			.r10 = a[3],
			.r8 = a[4],
			.r9 = a[5],
			.rsp = sp,
			.rip = pc,
		};
	}
	free(text);
	read_texts(threads, thread);
}

// Who slept without listening before we came, most likely still does: the others need not wait.
static const int64_t sleeper_limit_ns = 20 * 1000000;

/** As threads_wait_one(). */
static int wait_for_stop(const struct threads *threads, const struct stopped_thread *thread,
			 int64_t deadline_ns, int *status)
{
	int64_t limit = threads->first_stop_ns + sleeper_limit_ns;
	if (thread->state_before != 'D' || limit > deadline_ns)
		limit = deadline_ns;
	return wait_patiently(
		threads, thread, limit,
		threads->first_stop_ns + BUSY_FACTOR * (int64_t)threads->stop_limit_ns, status);
}

static void collect(struct threads *threads, int64_t deadline_ns)
{
	// The leader last: its end is told only when the others' ends were waited for.
	for (size_t i = threads->list.count; i-- > 0;) {
		struct stopped_thread *thread = &threads->list.items[i];
		int status;
		if (thread->state != THREAD_SEIZED)
			continue;
		switch (wait_for_stop(threads, thread, deadline_ns, &status)) {
		case 1:
			note_stop(threads, thread, status);
			break;
		case 0:
			thread->state = THREAD_STUCK;
			threads->stuck_count++;
			break;
		default:
			thread->state = THREAD_GONE;
		}
	}
}

struct strobe_error *threads_wait(struct threads *threads)
{
	int64_t deadline = threads->first_stop_ns + (int64_t)threads->stop_limit_ns;
	size_t fresh = 1;
	struct strobe_error *error = NULL;
	// A thread that still ran may have made others: until nobody new is there.
	for (unsigned round = 0; !error && fresh && round < ROUND_LIMIT; round++) {
		collect(threads, deadline);
		error = seize_new(threads, true, &fresh);
	}
	if (error)
		return error;
	for (size_t i = 0; i < threads->list.count; i++) {
		struct stopped_thread *thread = &threads->list.items[i];
		if (thread->state == THREAD_STOPPED)
			read_state(threads, thread);
		else if (thread->state == THREAD_STUCK)
			read_stuck(threads, thread);
		else if (thread->state == THREAD_DEAD)
			read_texts(threads, thread);
	}
	if (!threads->stopped_count && !threads->stuck_count)
		return error_new(STROBE_ERROR_NOT_FOUND, "process %d ended while it was captured",
				 (int)threads->pid);
	return NULL;
}

void threads_release_one(struct threads *threads, struct stopped_thread *thread)
{
	if (thread->state != THREAD_STOPPED || thread->released)
		return;
	thread->released = true;
	// It was killed: its parent is not told before we, who trace it, have waited for it.
	if (ptrace(PTRACE_DETACH, thread->tid, 0, (void *)(long)thread->signal)) {
		thread->unburied = true;
		threads->unburied_count++;
	}
}

void threads_release(struct threads *threads, const struct stopped_thread *but)
{
	for (size_t i = 0; i < threads->list.count; i++)
		if (&threads->list.items[i] != but)
			threads_release_one(threads, &threads->list.items[i]);
	if (!threads->released_ns)
		threads->released_ns = threads_clock_ns();
}

void threads_tend_for(struct threads *threads, unsigned limit_ms)
{
	for (unsigned i = 0; i < limit_ms && threads_tend(threads); i++)
		threads_wait_one(threads_alive(threads), threads_clock_ns() + 1000000, &(int){0});
}

void threads_give_up(struct threads *threads)
{
	threads_interrupt(threads);
	collect(threads, threads->first_stop_ns + (int64_t)threads->stop_limit_ns);
	threads_release(threads, NULL);
}

static bool bury(struct threads *threads, struct stopped_thread *thread)
{
	int status;
	void *signal = (void *)(long)thread->signal;
	if (ptrace(PTRACE_DETACH, thread->tid, 0, signal) != 0 && // should it live
	    threads_wait_one(thread->tid, 0, &status) == 0)
		return false;
	thread->unburied = false;
	threads->unburied_count--;
	return true;
}

bool threads_tend(struct threads *threads)
{
	bool left = false;
	if (!threads->stuck_count && !threads->unburied_count)
		return false;
	for (size_t i = threads->list.count; i-- > 0;) { // the leader last
		struct stopped_thread *thread = &threads->list.items[i];
		int status;
		if (thread->unburied)
			left = !bury(threads, thread) || left;
		if (thread->state != THREAD_STUCK)
			continue;
		int result = threads_wait_one(thread->tid, 0, &status);
		if (result == 0) {
			left = true;
			continue;
		}
		if (result == 1) {
			note_stop(threads, thread, status);
			threads_release_one(threads, thread);
			left = left || thread->unburied;
		}
		thread->state = THREAD_GONE;
		threads->stuck_count--;
	}
	return left;
}

void threads_fini(struct threads *threads)
{
	for (size_t i = 0; i < threads->list.count; i++)
		forget_state(&threads->list.items[i]);
	array_fini(&threads->list);
	if (threads->mem_fd >= 0)
		close(threads->mem_fd);
	threads->mem_fd = -1;
}
