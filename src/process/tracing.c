// SPDX-License-Identifier: Apache-2.0
#include "process/tracing.h"

#include <elf.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "base/error.h"
#include "process/permission.h"
#include "process/threads.h"

// Children are told of, and are traced from their beginning: no instruction of a new thread is missed.
static const long options = PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK |
			    PTRACE_O_TRACEVFORKDONE | PTRACE_O_TRACEEXEC | PTRACE_O_TRACEEXIT |
			    PTRACE_O_TRACESYSGOOD;

enum { CALL_STOP = 0x80 }; // PTRACE_O_TRACESYSGOOD

#ifndef TRAP_HWBKPT
#define TRAP_HWBKPT 4
#endif

static struct strobe_error *begin_one(struct threads *threads, struct stopped_thread *thread,
				      tracing_begin begin, void *context)
{
	struct tracing_start start = {.tid = thread->tid,
				      .stopped = thread->state == THREAD_STOPPED,
				      .group_stopped = thread->group_stopped,
				      .signal = thread->signal};
	if (thread->state != THREAD_STOPPED && thread->state != THREAD_STUCK)
		return NULL;
	(void)threads;
	// Of one that did not stop yet they can be set only when it does.
	if (start.stopped && ptrace(PTRACE_SETOPTIONS, thread->tid, 0, (void *)options))
		return NULL; // killed a moment ago
	return begin(context, &start);
}

static struct strobe_error *begin_all(struct threads *threads, pid_t only, tracing_begin begin,
				      void *context)
{
	struct strobe_error *error = NULL;
	bool found = !only;
	for (size_t i = 0; !error && i < threads->list.count; i++) {
		struct stopped_thread *thread = &threads->list.items[i];
		if (only && thread->tid != only) {
			threads_release_one(threads, thread);
			continue;
		}
		found = true;
		error = begin_one(threads, thread, begin, context);
	}
	if (!error && !found)
		return error_new(STROBE_ERROR_NOT_FOUND, "process %d has no thread %d",
				 (int)threads->pid, (int)only);
	return error;
}

struct strobe_error *tracing_attach(pid_t pid, pid_t only, unsigned stop_limit_ms,
				    tracing_begin begin, void *context)
{
	struct threads threads;
	struct strobe_error *error = threads_seize(&threads, pid, stop_limit_ms);
	if (!error) {
		threads_interrupt(&threads);
		error = threads_wait(&threads);
	}
	if (!error)
		error = begin_all(&threads, only, begin, context);
	if (error)
		threads_release(&threads, NULL);
	threads_fini(&threads);
	return error;
}

void tracing_complete(pid_t tid)
{
	ptrace(PTRACE_SETOPTIONS, tid, 0, (void *)options);
}

struct strobe_error *tracing_adopt(pid_t pid)
{
	if (ptrace(PTRACE_SEIZE, pid, 0, (void *)options))
		return permission_explain(pid, errno);
	return NULL;
}

/** What a SIGTRAP stands for. */
static enum tracing_kind classify_trap(const siginfo_t *info)
{
	switch (info->si_code) {
	case TRAP_BRKPT: // so does a system call end that is stepped over
	case TRAP_TRACE:
		return TRACING_STEPPED;
	case TRAP_HWBKPT:
		return TRACING_BREAKPOINT;
	case SIGTRAP: // ptrace_notify(): the kernel has set up a handler
		return TRACING_HANDLER;
	default: // the program's own: int3, kill()
		return TRACING_SIGNAL;
	}
}

static enum tracing_kind classify_event(int event, int signal)
{
	switch (event) {
	case PTRACE_EVENT_CLONE:
		return TRACING_CLONE;
	case PTRACE_EVENT_FORK:
	case PTRACE_EVENT_VFORK:
		return TRACING_FORK;
	case PTRACE_EVENT_VFORK_DONE:
		return TRACING_VFORK_DONE;
	case PTRACE_EVENT_EXEC:
		return TRACING_EXEC;
	case PTRACE_EVENT_EXIT:
		return TRACING_EXIT;
	default: // PTRACE_EVENT_STOP
		return signal == SIGTRAP ? TRACING_INTERRUPTED : TRACING_GROUP_STOP;
	}
}

/** False if it was killed before it could be asked. */
static bool classify(int status, struct tracing_event *ret)
{
	ret->status = status;
	if (!WIFSTOPPED(status)) {
		ret->kind = TRACING_GONE;
		return true;
	}
	ret->signal = WSTOPSIG(status);
	if (status >> 16) {
		unsigned long message = 0;
		ret->kind = classify_event(status >> 16, ret->signal);
		if (ret->kind != TRACING_INTERRUPTED && ret->kind != TRACING_GROUP_STOP &&
		    ptrace(PTRACE_GETEVENTMSG, ret->tid, 0, &message))
			return false;
		ret->message = message;
		return true;
	}
	if (ret->signal == (SIGTRAP | CALL_STOP)) {
		ret->kind = TRACING_CALL;
		return true;
	}
	if (ptrace(PTRACE_GETSIGINFO, ret->tid, 0, &ret->info))
		return false;
	ret->kind = ret->signal == SIGTRAP ? classify_trap(&ret->info) : TRACING_SIGNAL;
	return true;
}

int tracing_wait(struct tracing_event *ret)
{
	for (;;) {
		int status;
		pid_t tid = waitpid(-1, &status, __WALL | __WNOTHREAD);
		if (tid < 0)
			return errno == EINTR ? 0 : -1;
		*ret = (struct tracing_event){.tid = tid};
		if (classify(status, ret))
			return 1;
	}
}

static bool resume(enum __ptrace_request request, pid_t tid, int signal)
{
	return ptrace(request, tid, 0, (void *)(long)signal) == 0;
}

bool tracing_step(pid_t tid, int signal)
{
	return resume(PTRACE_SINGLESTEP, tid, signal);
}

bool tracing_continue(pid_t tid, int signal)
{
	return resume(PTRACE_CONT, tid, signal);
}

bool tracing_call(pid_t tid)
{
	return resume(PTRACE_SYSCALL, tid, 0);
}

static const uint64_t trap_bit = UINT64_C(1) << (SIGTRAP - 1);

bool tracing_unblock_trap(pid_t tid)
{
	uint64_t mask;
	if (ptrace(PTRACE_GETSIGMASK, tid, sizeof(mask), &mask) || !(mask & trap_bit))
		return false;
	mask &= ~trap_bit;
	return ptrace(PTRACE_SETSIGMASK, tid, sizeof(mask), &mask) == 0;
}

void tracing_block_trap(pid_t tid)
{
	uint64_t mask;
	if (ptrace(PTRACE_GETSIGMASK, tid, sizeof(mask), &mask))
		return;
	mask |= trap_bit;
	ptrace(PTRACE_SETSIGMASK, tid, sizeof(mask), &mask);
}

bool tracing_listen(pid_t tid)
{
	return ptrace(PTRACE_LISTEN, tid, 0, 0) == 0;
}

void tracing_interrupt(pid_t tid)
{
	ptrace(PTRACE_INTERRUPT, tid, 0, 0);
}

bool tracing_registers(pid_t tid, struct user_regs_struct *ret)
{
	struct iovec part = {ret, sizeof(*ret)};
	return ptrace(PTRACE_GETREGSET, tid, (void *)NT_PRSTATUS, &part) == 0;
}

bool tracing_set_registers(pid_t tid, const struct user_regs_struct *regs)
{
	struct iovec part = {(void *)(uintptr_t)regs, sizeof(*regs)};
	return ptrace(PTRACE_SETREGSET, tid, (void *)NT_PRSTATUS, &part) == 0;
}

bool tracing_pc(pid_t tid, uint64_t *ret)
{
	errno = 0;
	*ret = (uint64_t)ptrace(PTRACE_PEEKUSER, tid, offsetof(struct user, regs.rip), 0);
	return errno == 0;
}

static bool set_debug_register(pid_t tid, unsigned index, uint64_t value)
{
	size_t offset = offsetof(struct user, u_debugreg) +
			index * sizeof(((struct user *)NULL)->u_debugreg[0]);
	return ptrace(PTRACE_POKEUSER, tid, offset, value) == 0;
}

bool tracing_set_breakpoints(pid_t tid, const uint64_t *addresses, unsigned count)
{
	uint64_t control = 0;
	// Addresses can be changed only while they are off: a register that is on is checked at once.
	bool done = set_debug_register(tid, 7, 0);
	for (unsigned i = 0; done && i < count && i < TRACING_BREAKPOINTS; i++) {
		done = set_debug_register(tid, i, addresses[i]);
		control |= UINT64_C(1) << (2 * i); // execution of 1 byte, in this thread
	}
	return done && (!control || set_debug_register(tid, 7, control));
}

/** True if a trap of ours has come, and is not told yet: an interrupt is told before. */
static bool has_pending_trap(pid_t tid)
{
	enum { LOOKED_AT = 64 };
	struct __ptrace_peeksiginfo_args what = {.nr = LOOKED_AT};
	siginfo_t queue[LOOKED_AT];
	long count = ptrace(PTRACE_PEEKSIGINFO, tid, &what, queue);
	for (long i = 0; i < count; i++)
		if (queue[i].si_signo == SIGTRAP && classify_trap(&queue[i]) != TRACING_SIGNAL)
			return true;
	return false;
}

void tracing_release(pid_t tid, int signal)
{
	enum { ROUNDS = 8 };
	int status;
	tracing_set_breakpoints(tid, NULL, 0);
	// Let go with it, the thread would die of it: it is told at once, before anything else is executed.
	for (unsigned round = 0; !signal && round < ROUNDS && has_pending_trap(tid); round++) {
		if (!tracing_continue(tid, 0) || waitpid(tid, &status, __WALL) != tid ||
		    !WIFSTOPPED(status))
			return; // it was killed
		bool plain = status >> 16 == 0 && WSTOPSIG(status) != SIGTRAP;
		signal = plain && WSTOPSIG(status) != (SIGTRAP | CALL_STOP) ? WSTOPSIG(status) : 0;
	}
	ptrace(PTRACE_DETACH, tid, 0, (void *)(long)signal);
}

/** Waits for any stop of a thread that was asked to, and lets it go from there. */
static bool release_one(struct threads *threads, struct stopped_thread *thread, bool trap_blocked,
			int64_t deadline_ns)
{
	int status;
	int result = threads_wait_one(thread->tid, deadline_ns, &status);
	if (result < 0)
		return true; // it has ended
	if (result == 0)
		return false;
	if (status >> 16 == 0 && WSTOPSIG(status) != SIGTRAP &&
	    WSTOPSIG(status) != (SIGTRAP | CALL_STOP))
		thread->signal = WSTOPSIG(status);
	if (status >> 16 == 0 && WSTOPSIG(status) == SIGTRAP) {
		siginfo_t info;
		bool known = ptrace(PTRACE_GETSIGINFO, thread->tid, 0, &info) == 0;
		thread->signal = known && classify_trap(&info) == TRACING_SIGNAL ? SIGTRAP : 0;
	}
	threads_mend_call(threads, thread);
	if (trap_blocked)
		tracing_block_trap(thread->tid);
	tracing_release(thread->tid, thread->signal);
	return true;
}

bool tracing_release_running(pid_t pid, const struct tracing_thread *list, size_t count,
			     unsigned limit_ms)
{
	struct threads threads = {.pid = pid, .mem_fd = -1};
	int64_t deadline = threads_clock_ns() + (int64_t)limit_ms * 1000000;
	bool done = true;
	if (!array_reserve(&threads.list, count))
		return !count; // they stay traced until we end
	threads_open_memory(&threads);
	for (size_t i = 0; i < count; i++) {
		struct stopped_thread *thread = &threads.list.items[threads.list.count++];
		*thread = (struct stopped_thread){.tid = list[i].tid, .wait.kind = -1};
		restart_observe(pid, thread->tid, &thread->wait);
		tracing_interrupt(thread->tid);
	}
	for (size_t i = 0; i < count; i++)
		done = release_one(&threads, &threads.list.items[i], list[i].trap_blocked,
				   deadline) &&
		       done;
	threads_fini(&threads);
	return done;
}

size_t tracing_read(pid_t pid, uint64_t address, void *buffer, size_t size)
{
	struct iovec local = {buffer, size}, remote = {(void *)(uintptr_t)address, size};
	ssize_t got = process_vm_readv(pid, &local, 1, &remote, 1, 0);
	enum { PAGE = 4096 };
	size_t first = PAGE - address % PAGE;
	// Parts are not read: what does not cross into a page that is not there is.
	if (got < 0 && first < size) {
		local.iov_len = remote.iov_len = first;
		got = process_vm_readv(pid, &local, 1, &remote, 1, 0);
	}
	return got < 0 ? 0 : (size_t)got;
}

bool tracing_write_word(pid_t tid, uint64_t address, uint64_t value)
{
	return ptrace(PTRACE_POKEDATA, tid, address, value) == 0;
}
