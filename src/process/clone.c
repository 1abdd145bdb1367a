// SPDX-License-Identifier: Apache-2.0
#include "process/clone.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/xsave.h"
#include "process/chain.h"
#include "process/dead_stack.h"
#include "process/proc.h"
#include "process/seccomp.h"

#ifndef SYS_close_range
#define SYS_close_range 436
#endif
#ifndef PTRACE_GET_SYSCALL_USER_DISPATCH_CONFIG
#define PTRACE_GET_SYSCALL_USER_DISPATCH_CONFIG 0x4211
#endif
enum {
	USER_CS = 0x33,
	NO_SUCH_PID = 0x7ffffffe,
	RSEQ_CS_AT = 8,	  // in struct rseq
	SHARER_CALLS = 8, // see seccomp_lets()
	PID_LEVELS = 33,  // of PID namespaces: the kernel's limit is 32 below the first
};
static const uint64_t helper_flags = CLONE_VM | CLONE_FS | CLONE_PARENT_SETTID;
static const uint64_t clone_flags = 0; // and no exit signal
// Seizing one thread for the call that takes a dead child away.
enum { REAP_TRIES = 20, REAP_STOP_LIMIT_MS = 200 };
static const int64_t millisecond_ns = 1000000;
// What is left of a chain takes some 100 us, and longer only where there is no processor for it. Who is
// asked to stop before it got one has not come any further: each time it is given twice as long.
static const int64_t step_ns = 20 * 1000, step_limit_ns = 50 * 1000000;
static const int64_t own_chain_ns = 500 * 1000000; // nobody stands meanwhile
static const int64_t first_look_ns = 5 * 1000000, later_look_ns = 50 * 1000000;
// Copying page tables takes some 13 ms per GiB: longer than this, something is wrong.
static const int64_t patience_ns = INT64_C(120) * 1000000000;

static bool refuse(struct clone *clone, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
static bool refuse(struct clone *clone, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	vsnprintf(clone->why, sizeof(clone->why), format, args);
	va_end(args);
	return false;
}

/** The numbers of a line like "NSpid: 4711 1": a process's ids, from our namespace to its own. How many. */
static size_t ids_of(pid_t pid, uint64_t *ids, size_t limit)
{
	char name[32];
	cleanup_text struct text status = {0};
	const char *at;
	size_t count = 0, size;
	snprintf(name, sizeof(name), "%d/status", (int)pid);
	if (proc_read(name, &status) || !status.size)
		return 0;
	size = proc_field(status.data, "NSpid", &at);
	for (const char *end = at + size; at && at < end && count < limit;) {
		char *next;
		ids[count] = strtoull(at, &next, 10);
		if (next == at)
			break;
		count++;
		at = next + strspn(next, " \t");
	}
	return count;
}

/** True if its children are born into another PID namespace than its own: the first of them would be its
 *  init, and nothing could be born there after its end. */
static bool children_elsewhere(pid_t pid)
{
	char names[2][64], links[2][64] = {"", ""};
	snprintf(names[0], sizeof(names[0]), "/proc/%d/ns/pid", (int)pid);
	snprintf(names[1], sizeof(names[1]), "/proc/%d/ns/pid_for_children", (int)pid);
	for (unsigned i = 0; i < 2; i++)
		if (readlink(names[i], links[i], sizeof(links[i]) - 1) <= 0)
			// Where no child was born yet, the second cannot be read.
			return i == 1;
	return strcmp(links[0], links[1]) != 0;
}

void clone_prepare(struct clone *clone, const struct threads *threads)
{
	char name[64];
	cleanup_text struct text status = {0}, maps = {0};
	const char *at;
	snprintf(name, sizeof(name), "%d/status", (int)threads->pid);
	if (proc_read(name, &status) || !status.size)
		return;
	if (proc_field(status.data, "x86_Thread_features", &at) && strstr(at, "shstk") &&
	    strstr(at, "shstk") < strchrnul(at, '\n')) {
		refuse(clone, "it runs with shadow stacks");
		return;
	}
	uint64_t ids[PID_LEVELS];
	clone->target = threads->pid;
	clone->target_level = ids_of(threads->pid, ids, PID_LEVELS);
	clone->hidden = clone->target_level > 0 && ids[clone->target_level - 1] == 1;
	if (children_elsewhere(threads->pid)) {
		refuse(clone, "its children are born into another PID namespace");
		return;
	}
	if (syscall(SYS_close_range, ~0U, ~0U, 0) != 0) {
		refuse(clone, "the kernel has no close_range(2) (Linux 5.9)");
		return;
	}
	snprintf(name, sizeof(name), "%d/maps", (int)threads_alive(threads));
	if (proc_read(name, &maps) || !maps.size)
		return;
	xsave_places(); // asks the processor: not in the stop
	gadgets_find(threads->mem_fd, maps.data, &clone->gadgets);
	if (!clone->gadgets.found)
		refuse(clone, "its code holds no system call to run one by");
}

static bool in_rseq(const struct threads *threads, const struct stopped_thread *thread)
{
	uint64_t section = 0;
	return thread->has_rseq && thread->rseq_address &&
	       pread(threads->mem_fd, &section, sizeof(section),
		     (off_t)(thread->rseq_address + RSEQ_CS_AT)) == sizeof(section) &&
	       section != 0;
}

static int fitness(const struct threads *threads, const struct stopped_thread *thread)
{
	if (thread->state != THREAD_STOPPED || thread->signal || thread->regs.cs != USER_CS ||
	    !thread->has_blocked || !thread->xstate || in_rseq(threads, thread))
		return 0;
	int fit = thread->tid == threads->pid ? 2 : 1;
	return restart_kind(&thread->running) == RESTART_BLOCK ? fit : fit + 2;
}

static struct stopped_thread *choose(const struct threads *threads)
{
	struct stopped_thread *best = NULL;
	int most = 0;
	for (size_t i = 0; i < threads->list.count && most < 4; i++) {
		int fit = fitness(threads, &threads->list.items[i]);
		if (fit > most) {
			most = fit;
			best = &threads->list.items[i];
		}
	}
	return best;
}

/** Where every thread was about to take a signal, one takes it first. */
static struct stopped_thread *choose_one(struct threads *threads)
{
	struct stopped_thread *maker = choose(threads);
	for (size_t i = 0; !maker && i < threads->list.count; i++) {
		struct stopped_thread *thread = &threads->list.items[i];
		if (thread->state == THREAD_STOPPED && thread->signal &&
		    threads_deliver(threads, thread))
			maker = choose(threads);
	}
	return maker;
}

static struct seccomp_data call_data(const struct gadgets *gadgets, int number, uint64_t first)
{
	struct seccomp_data data = {
		.nr = number,
		.arch = AUDIT_ARCH_X86_64,
		.instruction_pointer = gadgets->syscall_ret + 2,
		.args = {first},
	};
	return data;
}

/** Of the clone proper, or of what stands for it. */
static uint64_t flags_of(const struct clone *clone)
{
	return (clone->shares_memory ? (uint64_t)CLONE_VM : clone_flags) |
	       (clone->hidden ? (uint64_t)CLONE_PARENT : 0);
}

static bool seccomp_lets(struct clone *clone, const struct stopped_thread *thread)
{
	const char *at;
	if (!thread->status || !proc_field(thread->status, "Seccomp", &at) || *at == '0')
		return true;
	if (*at == '1')
		return refuse(clone, "seccomp's strict mode would kill it");
	const struct gadgets *gadgets = &clone->gadgets;
	struct seccomp_data calls[] = {
		call_data(gadgets, SYS_clone, helper_flags),
		call_data(gadgets, SYS_clone, flags_of(clone)),
		call_data(gadgets, SYS_wait4, 1),
		call_data(gadgets, SYS_rt_sigreturn, 0),
		call_data(gadgets, SYS_exit_group, 0),
		call_data(gadgets, SYS_close_range, 0),
		call_data(gadgets, SYS_rt_sigtimedwait, 0),
		call_data(gadgets, SYS_mmap, 0),
		call_data(gadgets, SYS_mprotect, 0),
		call_data(gadgets, SYS_munmap, 0),
		call_data(gadgets, SYS_madvise, 0),
		call_data(gadgets, SYS_membarrier, 0),
		call_data(gadgets, SYS_memfd_create, 0),
		call_data(gadgets, SYS_gettid, 0),
		call_data(gadgets, SYS_process_vm_readv, 0),
	};
	// The last ones are made by a process in its memory, and by its threads where they meet what that put there.
	size_t count = sizeof(calls) / sizeof(calls[0]) - (clone->shares_memory ? 0 : SHARER_CALLS);
	calls[5].args[1] = UINT32_MAX;
	switch (seccomp_ask(thread->tid, calls, count)) {
	case SECCOMP_ALLOWED:
		return true;
	case SECCOMP_REFUSED:
		return refuse(clone, "its seccomp filter forbids it");
	default:
		return refuse(clone, "its seccomp filter cannot be read (needs CAP_SYS_ADMIN)");
	}
}

static bool dispatches_calls(pid_t tid)
{
	uint64_t configuration[4] = {0}; // mode, selector, offset, length
	return ptrace(PTRACE_GET_SYSCALL_USER_DISPATCH_CONFIG, tid, sizeof(configuration),
		      configuration) == 0 &&
	       configuration[0] != 0;
}

static int64_t next_step(int64_t step)
{
	return 2 * step < step_limit_ns ? 2 * step : step_limit_ns;
}

void clone_end_last(struct threads *threads)
{
	static const uint64_t all = ~(UINT64_C(1) << (SIGKILL - 1) | UINT64_C(1) << (SIGSTOP - 1));
	// Not to wait for it would mean to copy instead, which takes longer.
	int64_t deadline = threads_clock_ns() + (int64_t)threads->stop_limit_ns, step = step_ns;
	for (size_t i = 0; i < threads->list.count; i++) {
		struct stopped_thread *thread = &threads->list.items[i];
		while (thread->state == THREAD_STOPPED && !thread->signal && thread->has_blocked &&
		       thread->blocked == all && threads_clock_ns() < deadline &&
		       chain_is_running(threads->mem_fd, &thread->regs) &&
		       threads_let_run(threads, thread, step))
			step = next_step(step);
	}
}

/** Adds the chain's last links: `clone->end`, and before it `clone->forget`. */
static void add_ends(struct clone *clone, const struct threads *threads, struct chain *chain)
{
	const struct stopped_thread *maker = clone->maker;
	uint64_t base = chain->base;
	struct user_regs_struct last = maker->running;
	struct restart_scratch scratch = {.address = chain_position(chain)};
	chain->size += sizeof(scratch.words);
	restart_in_user_mode(&last, &maker->wait, threads->mem_fd, &scratch);
	if (scratch.used)
		memcpy(chain->bytes + (scratch.address - base), scratch.words,
		       sizeof(scratch.words));
	clone->end = chain_add_end(chain, &last, maker->blocked, maker->xstate, maker->xstate_size);
	// Were we to die while it stands at the entry or exit of a call, the kernel would send it a
	// SIGTRAP, which waits as all are blocked: it is taken away before the end.
	uint64_t forgotten[3] = {UINT64_C(1) << (SIGTRAP - 1), 0, 0}; // a mask; no time
	uint64_t forgotten_at = chain_position(chain);
	memcpy(chain->bytes + (forgotten_at - base), forgotten, sizeof(forgotten));
	chain->size += 64;
	struct chain_call forget = {.number = SYS_rt_sigtimedwait,
				    .arguments = {forgotten_at, 0, forgotten_at + 8, 8}};
	clone->forget = chain_add_call(chain, &forget, clone->end);
}

/** Writes the chain: links of the maker, the helper and the clone. */
static bool write_chain(struct clone *clone, const struct threads *threads, struct chain *chain,
			uint64_t base, struct user_regs_struct *start)
{
	const struct stopped_thread *maker = clone->maker;
	chain_init(chain, &clone->gadgets, base);
	struct chain_call end_call = {.number = SYS_exit_group};
	struct chain_call close_call = {.number = SYS_close_range, .arguments = {0, UINT32_MAX}};
	uint64_t exit_link = chain_add_call(chain, &end_call, base);
	struct chain_call second = {.number = SYS_clone, .arguments = {flags_of(clone), exit_link}};
	uint64_t second_link = chain_add_call(chain, &second, exit_link);
	uint64_t helper_link = chain_add_call(chain, &close_call, second_link);
	add_ends(clone, threads, chain);
	struct chain_call wait_call = {.number = SYS_wait4,
				       .arguments = {NO_SUCH_PID, 0, __WALL, 0}};
	uint64_t wait_link = chain_add_call(chain, &wait_call, clone->end);
	// The kernel writes the helper's id into the frame of the call that waits for it.
	clone->id_at = chain_argument(wait_link, chain, 0);
	struct chain_call first = {.number = SYS_clone,
				   .arguments = {helper_flags, helper_link, clone->id_at}};
	*start = maker->running;
	chain_start(chain->gadgets, &first, wait_link, start);
	return pwrite(threads->mem_fd, chain->bytes, chain->size, (off_t)base) ==
	       (ssize_t)chain->size;
}

static bool set_registers(pid_t tid, const struct user_regs_struct *regs)
{
	struct iovec part = {(void *)regs, sizeof(*regs)};
	return ptrace(PTRACE_SETREGSET, tid, (void *)NT_PRSTATUS, &part) == 0;
}

static bool get_registers(pid_t tid, struct user_regs_struct *regs)
{
	struct iovec part = {regs, sizeof(*regs)};
	return ptrace(PTRACE_GETREGSET, tid, (void *)NT_PRSTATUS, &part) == 0;
}

static bool set_mask(pid_t tid, uint64_t mask)
{
	return ptrace(PTRACE_SETSIGMASK, tid, sizeof(mask), &mask) == 0;
}

/** True while the maker is on its chain: before its own registers are back. */
static bool on_chain(const struct clone *clone, pid_t tid)
{
	struct user_regs_struct regs;
	const struct gadgets *gadgets = &clone->gadgets;
	if (!get_registers(tid, &regs))
		return false;
	uint64_t places[] = {gadgets->syscall_ret, gadgets->restorer, gadgets->pop_rax_ret};
	for (unsigned i = 0; i < 3; i++)
		if (places[i] && regs.rip >= places[i] && regs.rip < places[i] + 10 &&
		    regs.rsp != clone->maker->running.rsp)
			return true;
	return false;
}

/** A stop that is not the event waited for: what is it, and on it goes. False: it is over. */
static bool pass_stop(struct clone *clone, struct threads *threads, pid_t tid, int status)
{
	int signal = status >> 16 ? 0 : WSTOPSIG(status);
	if (signal == SIGSTOP)
		threads->stop_again = true; // not to be blocked: sent again when all is done
	if (tid == clone->maker->tid && !on_chain(clone, tid)) {
		clone->maker->signal = signal; // it was let run a little: as it is now
		if (get_registers(tid, &clone->maker->regs))
			clone->maker->running = clone->maker->regs;
		return false;
	}
	return ptrace(PTRACE_CONT, tid, 0, 0) == 0;
}

/** A process's first thread that was killed is not reported before all others are: the kernel keeps it back. */
static bool has_died(pid_t tid)
{
	char name[32];
	struct text stat = {0};
	snprintf(name, sizeof(name), "%d/stat", tid);
	const char *state = proc_read(name, &stat) == 0 ? proc_stat_field(stat.data, 3) : NULL;
	bool died = !state || *state == 'Z' || *state == 'X';
	text_fini(&stat);
	return died;
}

/** Waits until `tid` has made a process; its id, 0 = it could not, -1 = gone. */
static pid_t wait_for_child(struct clone *clone, struct threads *threads, pid_t tid)
{
	int64_t start = threads_clock_ns(), look = start + first_look_ns;
	for (;;) {
		int status;
		int result = threads_wait_one(tid, look, &status);
		if (result < 0 || (result == 0 && has_died(tid)))
			return -1;
		if (result == 0) {
			if (threads_clock_ns() - start > patience_ns)
				return 0;
			ptrace(PTRACE_INTERRUPT, tid, 0, 0); // to look where it is
			look = threads_clock_ns() + later_look_ns;
			continue;
		}
		int event = status >> 16;
		unsigned long child = 0;
		if (event == PTRACE_EVENT_CLONE || event == PTRACE_EVENT_FORK ||
		    event == PTRACE_EVENT_VFORK) {
			ptrace(PTRACE_GETEVENTMSG, tid, 0, &child);
			return (pid_t)child;
		}
		if (!pass_stop(clone, threads, tid, status))
			return 0;
	}
}

static bool wait_for_birth(pid_t pid)
{
	int status;
	return threads_wait_one(pid, threads_clock_ns() + 10000 * millisecond_ns, &status) == 1;
}

/** The helper copies the page tables, for which the whole process stands: it need not wait for a
 *  processor as well. It ends right after, and what it makes does not inherit this. */
static void hurry(pid_t helper)
{
	struct sched_param priority = {.sched_priority = 1};
	// Without CAP_SYS_NICE it takes as long as it takes.
	(void)sched_setscheduler(helper, SCHED_FIFO | SCHED_RESET_ON_FORK, &priority);
}

/** The helper is told to make the clone; it is let go, and exits. */
static bool run_helper(struct clone *clone, struct threads *threads)
{
	if (!wait_for_birth(clone->helper))
		return refuse(clone, "its helper ended before it began");
	hurry(clone->helper);
	// What is in the target's own memory must never run on alone, not even from its first instruction: it is
	// born with this option.
	if (clone->shares_memory &&
	    ptrace(PTRACE_SETOPTIONS, clone->helper, 0, PTRACE_O_TRACECLONE | PTRACE_O_EXITKILL))
		return refuse(clone, "its helper was killed");
	if (ptrace(PTRACE_CONT, clone->helper, 0, 0))
		return refuse(clone, "its helper was killed");
	pid_t pid = wait_for_child(clone, threads, clone->helper);
	if (pid <= 0)
		return refuse(clone, "the kernel refused a copy of its address space (memory "
				     "limit, overcommit or process limit)");
	if (!wait_for_birth(pid))
		return refuse(clone, "its clone was killed at once");
	ptrace(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_EXITKILL);
	ptrace(PTRACE_DETACH, clone->helper, 0, 0);
	clone->pid = pid;
	return true;
}

static bool run_maker(struct clone *clone, struct threads *threads,
		      const struct user_regs_struct *start)
{
	pid_t tid = clone->maker->tid;
	ptrace(PTRACE_SETOPTIONS, tid, 0,
	       PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK);
	// The chain's end gives the mask back.
	if (!set_registers(tid, start) || !set_mask(tid, ~UINT64_C(0)) ||
	    ptrace(PTRACE_CONT, tid, 0, 0)) {
		refuse(clone, "its registers could not be set: %s", strerror(errno));
		set_mask(tid, clone->maker->blocked);
		set_registers(tid, &clone->maker->running);
		return false;
	}
	clone->helper = wait_for_child(clone, threads, tid);
	if (clone->helper > 0)
		return true;
	if (clone->helper < 0) {
		clone->maker->state = THREAD_GONE;
		return refuse(clone, "the thread that was to make it was killed");
	}
	return refuse(clone, "the kernel refused a new process (process limit)");
}

/** Lets the maker run until its next stop in a call or trap. */
static bool step(struct clone *clone, int request, int *status)
{
	if (ptrace(request, clone->maker->tid, 0, 0) ||
	    threads_wait_one(clone->maker->tid, threads_clock_ns() + 1000 * millisecond_ns,
			     status) != 1)
		return false;
	return true;
}

/** At a trap that PTRACE_INTERRUPT causes before it goes back to its own code. */
static bool stop_at_trap(struct clone *clone)
{
	int status;
	for (unsigned i = 0; i < 4; i++) {
		if (ptrace(PTRACE_INTERRUPT, clone->maker->tid, 0, 0) ||
		    !step(clone, PTRACE_CONT, &status))
			return false;
		if (status >> 16 == PTRACE_EVENT_STOP)
			return true;
	}
	return false;
}

/** The maker makes `call` under our hand, and gets its registers back by ptrace, at a trap. Were we to die
 *  meanwhile, the chain's end does that. `regs` are its registers now, and then those after the call. */
static bool call_exactly(struct clone *clone, const struct chain_call *call,
			 struct user_regs_struct *regs)
{
	struct stopped_thread *maker = clone->maker;
	int status;
	chain_start(&clone->gadgets, call, clone->forget, regs);
	if (!set_registers(maker->tid, regs) || !step(clone, PTRACE_SYSCALL, &status) ||
	    !step(clone, PTRACE_SYSCALL, &status) || !get_registers(maker->tid, regs) ||
	    !stop_at_trap(clone))
		return false;
	return set_mask(maker->tid, maker->blocked) && set_registers(maker->tid, &maker->running);
}

/**
 * rt_sigreturn would cost the maker its restart block, and with it the rest of its nanosleep() or
 * poll(): so it waits for the helper under our hand, and gets its registers back by ptrace at a
 * trap, where the kernel restarts calls. Were we to die meanwhile, the chain's end does nearly as
 * well: the call begins anew, its time limit shortened.
 */
static bool finish_exactly(struct clone *clone, int mem_fd)
{
	struct stopped_thread *maker = clone->maker;
	struct user_regs_struct regs;
	if (!stop_at_trap(clone) || !get_registers(maker->tid, &regs))
		return false;
	uint64_t id = 0;
	if (pread(mem_fd, &id, sizeof(id), (off_t)clone->id_at) != sizeof(id))
		return false;
	struct chain_call call = {.number = SYS_wait4, .arguments = {id, 0, __WALL, 0}};
	return call_exactly(clone, &call, &regs);
}

/** Lets the chain run to its end while we watch: a group stop would freeze it half way. */
static void finish_watched(struct clone *clone)
{
	enum { ROUNDS = 20 };
	int64_t step = step_ns;
	for (unsigned i = 0; i < ROUNDS; i++, step = next_step(step)) {
		struct timespec pause = {.tv_nsec = step};
		int status;
		if (ptrace(PTRACE_CONT, clone->maker->tid, 0, 0))
			return;
		nanosleep(&pause, NULL);
		ptrace(PTRACE_INTERRUPT, clone->maker->tid, 0, 0);
		if (threads_wait_one(clone->maker->tid, threads_clock_ns() + 1000 * millisecond_ns,
				     &status) != 1 ||
		    !on_chain(clone, clone->maker->tid))
			return;
	}
}

/** The maker, stopped where it made the helper, gets its own registers back, and stands. */
static void end_chain(struct clone *clone, int mem_fd)
{
	if (!clone->exact || !finish_exactly(clone, mem_fd))
		finish_watched(clone);
}

bool clone_make(struct clone *clone, struct threads *threads, const char *maps)
{
	struct user_regs_struct start;
	if (clone->why[0])
		return false;
	if (!clone->gadgets.found)
		return refuse(clone, "its maps could not be read");
	clone->maker = choose_one(threads);
	if (!clone->maker)
		return refuse(clone, "no thread of it can make one now");
	if (!seccomp_lets(clone, clone->maker))
		return false;
	if (dispatches_calls(clone->maker->tid))
		return refuse(clone, "it handles system calls itself (user dispatch)");
	if (!gadgets_check(threads->mem_fd, &clone->gadgets))
		return refuse(clone, "its code changed meanwhile");
	struct chain *chain = malloc(sizeof(*chain));
	size_t size = 6 * chain_link_size() + chain_end_size(clone->maker->xstate_size) + 256;
	uint64_t base = chain ? dead_stack_find(threads, clone->maker, maps, size) : 0;
	bool written = base && write_chain(clone, threads, chain, base, &start);
	free(chain);
	if (!base)
		return refuse(clone, "no dead stack to work on was found");
	if (!written)
		return refuse(clone, "its stack could not be written to");
	clone->exact = restart_kind(&clone->maker->running) == RESTART_BLOCK ||
		       clone->maker->group_stopped; // not one instruction may it run
	if (run_maker(clone, threads, &start)) {
		if (run_helper(clone, threads))
			return true;
		ptrace(PTRACE_DETACH, clone->helper, 0, 0);
		end_chain(clone, threads->mem_fd);
	}
	return false;
}

static void prefer_for_oom(pid_t pid)
{
	char path[64];
	snprintf(path, sizeof(path), "/proc/%d/oom_score_adj", (int)pid);
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	// It is the kernel's to give up first; where that cannot be said, nothing is lost.
	if (fd >= 0 && write(fd, "1000", 4) != 4)
		errno = 0;
	if (fd >= 0)
		close(fd);
}

/** The clone's id in the target's PID namespace; 0 = it is gone. */
static pid_t inner_pid(const struct clone *clone)
{
	uint64_t ids[PID_LEVELS];
	size_t count = ids_of(clone->pid, ids, PID_LEVELS);
	return count >= clone->target_level && clone->target_level > 0
		       ? (pid_t)ids[clone->target_level - 1]
		       : 0;
}

void clone_finish(struct clone *clone, struct threads *threads)
{
	struct stopped_thread *maker = clone->maker;
	if (clone->pid && maker->state == THREAD_STOPPED) {
		// Elsewhere the chain ends by itself.
		if (clone->exact || maker->group_stopped)
			end_chain(clone, threads->mem_fd);
		threads_release_one(threads, maker);
	}
	if (clone->pid && clone->hidden)
		clone->inner_pid = inner_pid(clone);
	// (Of processes that share their memory, the kernel would change all.)
	if (clone->pid && !clone->shares_memory)
		prefer_for_oom(clone->pid);
	if (threads->stop_again) {
		kill(threads->pid, SIGSTOP);
		threads->stop_again = false;
	}
}

void clone_await_end(const struct clone *clone)
{
	struct timespec pause = {.tv_nsec = step_ns};
	int64_t deadline = threads_clock_ns() + own_chain_ns;
	// The maker waits for its helper, then does nothing more but go back to its own code.
	while (clone->helper > 0 && (kill(clone->helper, 0) == 0 || errno == EPERM) &&
	       threads_clock_ns() < deadline)
		nanosleep(&pause, NULL);
}

/** In the stop of one thread: it takes the dead child `inner` away. */
static bool reap_stopped(struct clone *clone, struct threads *threads, uint64_t inner)
{
	char name[32];
	cleanup_text struct text maps = {0};
	snprintf(name, sizeof(name), "%d/maps", (int)threads_alive(threads));
	clone->maker = choose(threads);
	if (!clone->gadgets.found || !clone->maker || proc_read(name, &maps) || !maps.size ||
	    !gadgets_check(threads->mem_fd, &clone->gadgets))
		return false;
	struct chain *chain = malloc(sizeof(*chain));
	size_t size = 2 * chain_link_size() + chain_end_size(clone->maker->xstate_size) + 256;
	uint64_t base = chain ? dead_stack_find(threads, clone->maker, maps.data, size) : 0;
	bool written = false;
	if (base) {
		chain_init(chain, &clone->gadgets, base);
		add_ends(clone, threads, chain);
		written = pwrite(threads->mem_fd, chain->bytes, chain->size, (off_t)base) ==
			  (ssize_t)chain->size;
	}
	free(chain);
	struct chain_call call = {.number = SYS_wait4,
				  .arguments = {inner, 0, WNOHANG | __WALL, 0}};
	struct user_regs_struct regs = clone->maker->running;
	return written && set_mask(clone->maker->tid, ~UINT64_C(0)) &&
	       call_exactly(clone, &call, &regs) && (pid_t)regs.rax == (pid_t)inner;
}

/** False: not now. */
static bool reap_once(pid_t target, pid_t only, uint64_t inner)
{
	struct threads threads;
	struct clone clone = {0};
	struct strobe_error *error = threads_seize_one(&threads, target, only, REAP_STOP_LIMIT_MS);
	if (!error) {
		clone_prepare(&clone, &threads);
		threads_interrupt(&threads);
		error = threads_wait(&threads);
	}
	bool reaped = false;
	if (!error) {
		clone_end_last(&threads);
		reaped = reap_stopped(&clone, &threads, inner);
		threads_release(&threads, NULL);
	} else {
		threads_give_up(&threads);
	}
	threads_tend_for(&threads, REAP_STOP_LIMIT_MS);
	threads_fini(&threads);
	strobe_error_free(error);
	return reaped;
}

void clone_reap(pid_t target, pid_t inner)
{
	struct timespec pause = {.tv_nsec = 5 * millisecond_ns};
	for (unsigned i = 0; i < REAP_TRIES && kill(target, 0) == 0; i++) {
		// Its first thread if that can; any other may, but to find one all have to stand.
		if (reap_once(target, i % 2 == 0 ? target : 0, (uint64_t)inner))
			return;
		nanosleep(&pause, NULL);
	}
}

/** It has ended, and we have waited for it. */
static void forget(struct clone *clone)
{
	clone->pid = 0;
	if (clone->inner_pid > 0)
		clone_reap(clone->target, clone->inner_pid);
}

bool clone_tend(struct clone *clone)
{
	int status;
	if (clone->pid <= 0 || clone->target_level <= 1)
		return false;
	if (waitpid(clone->pid, &status, __WALL | __WNOTHREAD | WNOHANG) != clone->pid ||
	    !(WIFEXITED(status) || WIFSIGNALED(status)))
		return true;
	forget(clone);
	return false;
}

void clone_drop(struct clone *clone)
{
	int status;
	if (clone->pid <= 0)
		return;
	kill(clone->pid, SIGKILL);
	for (;;) {
		pid_t pid = waitpid(clone->pid, &status, __WALL | __WNOTHREAD);
		if ((pid < 0 && errno != EINTR) ||
		    (pid == clone->pid && (WIFEXITED(status) || WIFSIGNALED(status))))
			break;
	}
	forget(clone);
}
