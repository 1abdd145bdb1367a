// SPDX-License-Identifier: Apache-2.0
#include "process/seccomp.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>

#ifndef PTRACE_SECCOMP_GET_FILTER
#define PTRACE_SECCOMP_GET_FILTER 0x420c
#endif

/** A machine of classic BPF (Documentation/networking/filter.rst). */
struct machine {
	uint32_t a, x, memory[BPF_MEMWORDS];
};

static uint32_t calculate(uint16_t operation, uint32_t a, uint32_t b)
{
	switch (operation) {
	case BPF_ADD:
		return a + b;
	case BPF_SUB:
		return a - b;
	case BPF_MUL:
		return a * b;
	case BPF_DIV:
		return a / b;
	case BPF_AND:
		return a & b;
	case BPF_OR:
		return a | b;
	case BPF_XOR:
		return a ^ b;
	case BPF_LSH: // as the processor has it
		return a << (b & 31);
	case BPF_RSH:
		return a >> (b & 31);
	default: // BPF_NEG
		return -a;
	}
}

static bool compare(uint16_t operation, uint32_t a, uint32_t b)
{
	switch (operation) {
	case BPF_JEQ:
		return a == b;
	case BPF_JGT:
		return a > b;
	case BPF_JGE:
		return a >= b;
	default: // BPF_JSET
		return a & b;
	}
}

static bool load(struct machine *machine, const struct sock_filter *step,
		 const struct seccomp_data *data, uint32_t *target)
{
	switch (BPF_MODE(step->code)) {
	case BPF_IMM:
		*target = step->k;
		return true;
	case BPF_LEN:
		*target = sizeof(*data);
		return true;
	case BPF_MEM:
		if (step->k >= BPF_MEMWORDS)
			return false;
		*target = machine->memory[step->k];
		return true;
	case BPF_ABS:
		if (step->k > sizeof(*data) - 4 || step->k % 4)
			return false;
		memcpy(target, (const char *)data + step->k, 4);
		return true;
	default:
		return false;
	}
}

uint32_t seccomp_run(const struct sock_filter *program, size_t length,
		     const struct seccomp_data *data)
{
	struct machine machine = {0};
	for (size_t at = 0; at < length; at++) { // jumps go forward only
		const struct sock_filter *step = &program[at];
		uint32_t operand = BPF_SRC(step->code) == BPF_X ? machine.x : step->k;
		switch (BPF_CLASS(step->code)) {
		case BPF_LD:
			if (!load(&machine, step, data, &machine.a))
				return SECCOMP_RET_KILL_PROCESS;
			break;
		case BPF_LDX:
			if (!load(&machine, step, data, &machine.x))
				return SECCOMP_RET_KILL_PROCESS;
			break;
		case BPF_ST:
		case BPF_STX:
			if (step->k >= BPF_MEMWORDS)
				return SECCOMP_RET_KILL_PROCESS;
			machine.memory[step->k] =
				BPF_CLASS(step->code) == BPF_ST ? machine.a : machine.x;
			break;
		case BPF_ALU:
			if (BPF_OP(step->code) == BPF_DIV && !operand)
				return 0; // so ends the kernel's: SECCOMP_RET_KILL_THREAD
			machine.a = calculate(BPF_OP(step->code), machine.a, operand);
			break;
		case BPF_JMP:
			if (BPF_OP(step->code) == BPF_JA)
				at += step->k;
			else
				at += compare(BPF_OP(step->code), machine.a, operand) ? step->jt
										      : step->jf;
			break;
		case BPF_RET:
			return BPF_RVAL(step->code) == BPF_A ? machine.a : step->k;
		default: // BPF_MISC
			if (BPF_MISCOP(step->code) == BPF_TAX)
				machine.x = machine.a;
			else
				machine.a = machine.x;
		}
	}
	return SECCOMP_RET_KILL_PROCESS;
}

static bool allows(const struct sock_filter *program, size_t length,
		   const struct seccomp_data *calls, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		uint32_t action = seccomp_run(program, length, &calls[i]) & SECCOMP_RET_ACTION_FULL;
		if (action != SECCOMP_RET_ALLOW && action != SECCOMP_RET_LOG)
			return false;
	}
	return true;
}

enum seccomp_answer seccomp_ask(pid_t tid, const struct seccomp_data *calls, size_t count)
{
	struct sock_filter *program = calloc(SECCOMP_LENGTH_LIMIT, sizeof(*program));
	enum seccomp_answer answer = program ? SECCOMP_ALLOWED : SECCOMP_UNKNOWN;
	for (unsigned long i = 0; answer == SECCOMP_ALLOWED; i++) {
		long length = i < SECCOMP_FILTER_LIMIT
				      ? ptrace(PTRACE_SECCOMP_GET_FILTER, tid, i, NULL)
				      : -1;
		if (length < 0 && i > 0 && errno == ENOENT)
			break; // that were all
		if (length <= 0 || length > SECCOMP_LENGTH_LIMIT ||
		    ptrace(PTRACE_SECCOMP_GET_FILTER, tid, i, program) != length)
			answer = SECCOMP_UNKNOWN;
		else if (!allows(program, (size_t)length, calls, count))
			answer = SECCOMP_REFUSED;
	}
	free(program);
	return answer;
}
