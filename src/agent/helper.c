// SPDX-License-Identifier: Apache-2.0
#include "agent/helper.h"

#include <elf.h>
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>

#include "base/error.h"
#include "process/clone.h"
#include "process/proc.h"
#include "process/threads.h"

enum { STOP_LIMIT_MS = 300, TEND_LIMIT_MS = 50, SYSCALL_STOP = SIGTRAP | 0x80, STOPS_MAX = 1000 };

static char *read_maps(pid_t pid)
{
	char name[32];
	struct text text = {0};
	snprintf(name, sizeof(name), "%d/maps", (int)pid);
	if (proc_read(name, &text) || !text.size) {
		text_fini(&text);
		return NULL;
	}
	return text_steal(&text);
}

/** With `only` not 0, that thread alone stands for some 100 us; the others run. */
static struct strobe_error *inject(struct helper *helper, pid_t target, pid_t only)
{
	struct threads threads;
	struct clone clone = {.shares_memory = true};
	struct strobe_error *error = threads_seize_one(&threads, target, only, STOP_LIMIT_MS);
	if (!error) {
		clone_prepare(&clone, &threads);
		threads_interrupt(&threads);
		error = threads_wait(&threads);
	}
	if (!error) {
		clone_end_last(&threads);
		char *maps = read_maps(threads_alive(&threads));
		bool made = maps && clone_make(&clone, &threads, maps);
		free(maps);
		threads_release(&threads, made ? clone.maker : NULL);
		clone_finish(&clone, &threads);
		if (made)
			clone_await_end(&clone);
		else
			error = error_new(STROBE_ERROR_UNSUPPORTED,
					  "process %d takes no helper: %s", (int)target,
					  clone.why[0] ? clone.why : "its maps cannot be read");
	} else {
		threads_give_up(&threads);
	}
	threads_tend_for(&threads, TEND_LIMIT_MS);
	threads_fini(&threads);
	helper->pid = clone.pid;
	helper->target = target;
	helper->inner = clone.inner_pid;
	helper->syscall_at = clone.gadgets.syscall_ret;
	return error;
}

struct strobe_error *helper_open(struct helper *helper, pid_t target)
{
	*helper = (struct helper){0};
	struct strobe_error *error = inject(helper, target, target);
	if (error && strobe_error_code(error) == STROBE_ERROR_UNSUPPORTED) {
		// Its first thread cannot: any other may, but to find one all have to stand.
		strobe_error_free(error);
		error = inject(helper, target, 0);
	}
	if (error)
		return error;
	ptrace(PTRACE_SETOPTIONS, helper->pid, 0, PTRACE_O_EXITKILL | PTRACE_O_TRACESYSGOOD);
	// It runs for microseconds; without CAP_SYS_NICE it may have to wait for a processor.
	(void)sched_setscheduler(helper->pid, SCHED_FIFO,
				 &(struct sched_param){.sched_priority = 1});
	return NULL;
}

static bool set_registers(pid_t tid, struct user_regs_struct *regs)
{
	struct iovec part = {regs, sizeof(*regs)};
	return ptrace(PTRACE_SETREGSET, tid, (void *)NT_PRSTATUS, &part) == 0;
}

static bool get_registers(pid_t tid, struct user_regs_struct *regs)
{
	struct iovec part = {regs, sizeof(*regs)};
	return ptrace(PTRACE_GETREGSET, tid, (void *)NT_PRSTATUS, &part) == 0;
}

/** Lets it run to the stop `wanted`; what others send it meanwhile is not for it. */
static bool run_to(struct helper *helper, int request, int wanted)
{
	int status;
	for (unsigned i = 0; i < STOPS_MAX; i++) {
		if (ptrace(request, helper->pid, 0, 0))
			break;
		pid_t pid;
		while ((pid = waitpid(helper->pid, &status, __WALL)) < 0 && errno == EINTR)
			;
		if (pid != helper->pid || !WIFSTOPPED(status)) {
			helper->pid = 0; // killed
			return false;
		}
		if (status >> 8 == wanted)
			return true;
		int signal = WSTOPSIG(status);
		if (!(status >> 16) && (signal == SIGSEGV || signal == SIGBUS || signal == SIGILL))
			break;
	}
	helper_close(helper);
	return false;
}

bool helper_call(struct helper *helper, long number, const uint64_t arguments[6], int64_t *ret)
{
	struct user_regs_struct regs;
	if (!helper->pid)
		return false;
	if (!get_registers(helper->pid, &regs)) { // killed
		helper_close(helper);
		return false;
	}
	regs.rax = (unsigned long long)number;
	regs.rdi = arguments[0];
	regs.rsi = arguments[1];
	regs.rdx = arguments[2];
	regs.r10 = arguments[3];
	regs.r8 = arguments[4];
	regs.r9 = arguments[5];
	regs.rip = helper->syscall_at;
	regs.orig_rax = (unsigned long long)-1;
	if (!set_registers(helper->pid, &regs) || !run_to(helper, PTRACE_SYSCALL, SYSCALL_STOP) ||
	    !run_to(helper, PTRACE_SYSCALL, SYSCALL_STOP) || !get_registers(helper->pid, &regs))
		return false;
	*ret = (int64_t)regs.rax;
	return true;
}

bool helper_run(struct helper *helper, uint64_t address, const uint64_t registers[4], int64_t *ret)
{
	struct user_regs_struct regs;
	if (!helper->pid)
		return false;
	if (!get_registers(helper->pid, &regs)) { // killed
		helper_close(helper);
		return false;
	}
	regs.rip = address;
	regs.r12 = registers[0];
	regs.r13 = registers[1];
	regs.r14 = registers[2];
	regs.r15 = registers[3];
	regs.eflags = 0x202;
	regs.orig_rax = (unsigned long long)-1;
	if (!set_registers(helper->pid, &regs) || !run_to(helper, PTRACE_CONT, SIGTRAP) ||
	    !get_registers(helper->pid, &regs))
		return false;
	*ret = (int64_t)regs.rbx;
	return true;
}

void helper_close(struct helper *helper)
{
	int status;
	if (helper->pid <= 0)
		return;
	kill(helper->pid, SIGKILL);
	for (;;) {
		pid_t pid = waitpid(helper->pid, &status, __WALL);
		if ((pid < 0 && errno != EINTR) ||
		    (pid == helper->pid && (WIFEXITED(status) || WIFSIGNALED(status))))
			break;
	}
	helper->pid = 0;
	if (helper->inner > 0)
		clone_reap(helper->target, helper->inner);
}
