// SPDX-License-Identifier: Apache-2.0
#include "recorder/calling.h"

#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "base/error.h"
#include "process/restart.h"

enum { SYSCALL_SIZE = 2, TRAP_FLAG = 0x100 };

static void note_call(struct follower *follower, const struct user_regs_struct *regs,
		      uint64_t number, uint64_t pc)
{
	follower->trace.call = (struct step_call){
		.pending = true,
		.number = number,
		.arguments = {regs->rdi, regs->rsi, regs->rdx, regs->r10, regs->r8, regs->r9},
		.pc = pc,
	};
}

void calling_hide_trap(struct follower *follower)
{
	follower->trap_blocked = tracing_unblock_trap(follower->trace.tid);
}

void calling_show_trap(struct follower *follower)
{
	if (follower->trap_blocked)
		tracing_block_trap(follower->trace.tid);
	follower->trap_blocked = false;
}

void calling_prepare(struct follower *follower)
{
	struct user_regs_struct regs;
	if (tracing_registers(follower->trace.tid, &regs))
		note_call(follower, &regs, regs.rax, regs.rip);
}

struct strobe_error *calling_begin(struct stepper *stepper, struct follower *follower)
{
	struct step_thread *trace = &follower->trace;
	struct strobe_error *error = NULL;
	if (follower->restarting) {
		follower->restarting = false;
		trace->call.pending = true;
		error = step_thread_enable(trace, trace->call.pc);
	}
	if (error || !trace->call.pending || !trace->enabled)
		return error;
	follower->in_call = true;
	stepper_count(stepper);
	return step_thread_called(trace);
}

static bool is_restarted(uint64_t result)
{
	int64_t number = -(int64_t)result;
	return number == KERNEL_ERESTARTSYS || number == KERNEL_ERESTARTNOINTR ||
	       number == KERNEL_ERESTARTNOHAND || number == KERNEL_ERESTART_RESTARTBLOCK;
}

/** True if code may be mapped elsewhere after it. */
static bool changes_code(const struct step_call *call)
{
	switch (call->number) {
	case SYS_mmap:
	case SYS_mprotect:
	case SYS_pkey_mprotect:
		return call->arguments[2] & PROT_EXEC || call->number != SYS_mmap;
	case SYS_munmap:
	case SYS_mremap:
	case SYS_shmat:
	case SYS_shmdt:
	case SYS_remap_file_pages:
		return true;
	default:
		return false;
	}
}

static void mend_flags(pid_t tid, struct user_regs_struct *regs)
{
	if (!(regs->r11 & TRAP_FLAG) || regs->eflags & TRAP_FLAG)
		return;
	regs->r11 &= ~(uint64_t)TRAP_FLAG;
	tracing_set_registers(tid, regs);
}

void calling_clean(pid_t tid)
{
	struct user_regs_struct regs;
	if (tracing_registers(tid, &regs))
		mend_flags(tid, &regs);
}

static struct strobe_error *tell_result(struct follower *follower,
					const struct user_regs_struct *regs)
{
	const struct step_call *call = &follower->trace.call;
	struct recording_event event = {.type = STROBE_EVENT_SYSTEM_CALL_END,
					.has_address = true,
					.address = regs->rip,
					.value = regs->rax,
					.value_2 = call->number};
	if (call->number == SYS_rt_sigreturn) // rax is the interrupted code's
		return NULL;
	return step_thread_event(&follower->trace, &event);
}

struct strobe_error *calling_end(struct stepper *stepper, struct follower *follower)
{
	struct step_thread *trace = &follower->trace;
	struct user_regs_struct regs;
	if (!tracing_registers(trace->tid, &regs))
		return NULL; // killed a moment ago
	struct strobe_error *error = calling_begin(stepper, follower);
	if (error)
		return error;
	follower->in_call = false;
	calling_hide_trap(follower);
	error = tell_result(follower, &regs);
	if (!error && changes_code(&trace->call))
		error = code_watch_scan(trace->watch);
	if (error)
		return error;
	trace->pc = regs.rip;
	if (is_restarted(regs.rax) && trace->call.number != SYS_rt_sigreturn) {
		if (-(int64_t)regs.rax == KERNEL_ERESTART_RESTARTBLOCK)
			trace->call.number = SYS_restart_syscall;
		follower->restarting = true;
		return NULL;
	}
	mend_flags(trace->tid, &regs);
	return stepper_enter(stepper, follower, regs.rip);
}

bool calling_was_interrupted(struct follower *follower, const struct user_regs_struct *regs)
{
	if ((int64_t)regs->orig_rax < 0 || !is_restarted(regs->rax))
		return false;
	uint64_t number = -(int64_t)regs->rax == KERNEL_ERESTART_RESTARTBLOCK ? SYS_restart_syscall
									      : regs->orig_rax;
	note_call(follower, regs, number, regs->rip - SYSCALL_SIZE);
	follower->trace.call.pending = false;
	follower->trace.pc = regs->rip;
	follower->restarting = true;
	return true;
}
