// SPDX-License-Identifier: Apache-2.0
#include "recorder/flags.h"

#include "process/tracing.h"

enum {
	TRAP_FLAG = 0x100,
	PROGRAM_FLAGS = 0x44cd5, // CF PF AF ZF SF DF OF NT AC: what a program may set, but for TF
	WORD = 8,
};

static bool read_code(const struct step_thread *thread, uint8_t bytes[4], size_t *size)
{
	*size = tracing_read(thread->pid, thread->pc, bytes, 4);
	return *size > 0;
}

void flags_mend_pushed(const struct step_thread *thread)
{
	struct user_regs_struct regs;
	uint64_t word;
	uint8_t bytes[4];
	size_t size;
	if (!read_code(thread, bytes, &size) || code_flags(bytes, size) != CODE_PUSHES_FLAGS ||
	    !tracing_registers(thread->tid, &regs) ||
	    tracing_read(thread->pid, regs.rsp, &word, sizeof(word)) != sizeof(word))
		return;
	// The kernel shows the flag only where the program has set it.
	if (word & TRAP_FLAG && !(regs.eflags & TRAP_FLAG))
		tracing_write_word(thread->tid, regs.rsp, word & ~(uint64_t)TRAP_FLAG);
}

bool flags_pop(const struct step_thread *thread, uint64_t *ret_next)
{
	struct user_regs_struct regs;
	uint64_t word;
	uint8_t bytes[4];
	size_t size;
	if (!read_code(thread, bytes, &size) || code_flags(bytes, size) != CODE_POPS_FLAGS ||
	    !tracing_registers(thread->tid, &regs) || regs.rip != thread->pc ||
	    tracing_read(thread->pid, regs.rsp, &word, sizeof(word)) != sizeof(word) ||
	    word & TRAP_FLAG) // that one is the program's
		return false;
	regs.eflags = (regs.eflags & ~(uint64_t)PROGRAM_FLAGS) | (word & PROGRAM_FLAGS);
	regs.rsp += WORD;
	regs.rip = *ret_next = step_thread_end(thread);
	return tracing_set_registers(thread->tid, &regs);
}
