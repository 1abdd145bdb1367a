// SPDX-License-Identifier: Apache-2.0
#ifndef TRACEPOINT_PROGRAM_H
#define TRACEPOINT_PROGRAM_H

// Conditions and copies as programs for a small stack machine: compiled from C expressions and DWARF locations (compile.c), run
// where a thread meets a tracepoint (interpret.h: freestanding, no calls, no stores but to the hit) or made machine code of. A program is
// checked before it runs (program_check): jumps go forwards, so it ends; the stack has a bound; loads may fail, and say so.

#include <stdbool.h>
#include <stdint.h>

enum { PROGRAM_OPS_MAX = 4096, PROGRAM_STACK_MAX = 32, PROGRAM_COPY_MAX = 65536 };

enum program_op {
	OP_END,	     // the value on top is the result (0 where there is none)
	OP_CONST,    // push `value`
	OP_REGISTER, // push a register: DWARF number `a` (0-15, 16 = rip), 17 = fs_base
	OP_LOAD, // address -> `a` bytes (1, 2, 4, 8) there, `b` = sign-extended; a fault ends the program with an error
	OP_EXTEND, // value -> its low `a` bytes, `b` = sign-extended
	OP_ADD,
	OP_SUB,
	OP_MUL,
	OP_DIV,
	OP_MOD, // 64 bits; `b` = signed; division by 0 is an error
	OP_AND,
	OP_OR,
	OP_XOR,
	OP_SHL,
	OP_SHR, // `b` = signed: arithmetic
	OP_NEG,
	OP_NOT,
	OP_IS_ZERO,
	OP_EQ,
	OP_NE,
	OP_LT,
	OP_LE,
	OP_GT,
	OP_GE, // 0 or 1; `b` = signed
	OP_FADD,
	OP_FSUB,
	OP_FMUL,
	OP_FDIV,
	OP_FNEG,
	OP_FEQ,
	OP_FLT,
	OP_FLE, // doubles, as bits
	OP_TO_DOUBLE,
	OP_FROM_FLOAT,
	OP_TO_INTEGER, // `b` = signed
	OP_DUP,
	OP_DROP,
	OP_SWAP,
	OP_PICK, // PICK: push a copy of the one `a` below the top
	OP_JUMP,
	OP_JUMP_ZERO, // forwards by `value` ops; JUMP_ZERO takes the top
	OP_COPY, // address, size -> ; copies at most `value` bytes as a chunk; a fault is counted, and is no error
	OP_COPY_STRING, // address -> ; up to its NUL, at most `value` bytes
	OP_REPEAT, // count -> ; the next `a` ops at most `value` times, with the number of the round pushed before each; no
		   // REPEAT within one
	OP_COUNT,
};

struct program_step {
	uint8_t op;
	uint8_t a, b;
	uint8_t padding[5];
	uint64_t value;
};
struct probe_program {
	uint32_t count;
	uint32_t stack; // deepest
	struct program_step steps[];
};

/** Is it one that can be run by anybody, at any place? `*why` (static) if not. */
bool program_check(const struct probe_program *program, const char **why);

#endif
