// SPDX-License-Identifier: Apache-2.0
#include "tracepoint/program.h"

#include <stddef.h>

/** What an operation takes from the stack, and gives. */
static const struct {
	uint8_t takes, gives;
} effects[OP_COUNT] = {
	[OP_END] = {0, 0},	   [OP_CONST] = {0, 1},	     [OP_REGISTER] = {0, 1},
	[OP_LOAD] = {1, 1},	   [OP_EXTEND] = {1, 1},     [OP_ADD] = {2, 1},
	[OP_SUB] = {2, 1},	   [OP_MUL] = {2, 1},	     [OP_DIV] = {2, 1},
	[OP_MOD] = {2, 1},	   [OP_AND] = {2, 1},	     [OP_OR] = {2, 1},
	[OP_XOR] = {2, 1},	   [OP_SHL] = {2, 1},	     [OP_SHR] = {2, 1},
	[OP_NEG] = {1, 1},	   [OP_NOT] = {1, 1},	     [OP_IS_ZERO] = {1, 1},
	[OP_EQ] = {2, 1},	   [OP_NE] = {2, 1},	     [OP_LT] = {2, 1},
	[OP_LE] = {2, 1},	   [OP_GT] = {2, 1},	     [OP_GE] = {2, 1},
	[OP_FADD] = {2, 1},	   [OP_FSUB] = {2, 1},	     [OP_FMUL] = {2, 1},
	[OP_FDIV] = {2, 1},	   [OP_FNEG] = {1, 1},	     [OP_FEQ] = {2, 1},
	[OP_FLT] = {2, 1},	   [OP_FLE] = {2, 1},	     [OP_TO_DOUBLE] = {1, 1},
	[OP_FROM_FLOAT] = {1, 1},  [OP_TO_INTEGER] = {1, 1}, [OP_DUP] = {1, 2},
	[OP_DROP] = {1, 0},	   [OP_SWAP] = {2, 2},	     [OP_PICK] = {0, 1},
	[OP_JUMP] = {0, 0},	   [OP_JUMP_ZERO] = {1, 0},  [OP_COPY] = {2, 0},
	[OP_COPY_STRING] = {1, 0}, [OP_REPEAT] = {1, 0},
};

static bool is_width(unsigned width)
{
	return width == 1 || width == 2 || width == 4 || width == 8;
}

/** Is the step one by itself? */
static const char *check_step(const struct program_step *step)
{
	switch (step->op) {
	case OP_REGISTER:
		return step->a <= 17 ? NULL : "a register that there is not";
	case OP_LOAD:
	case OP_EXTEND:
		return is_width(step->a) ? NULL : "a width that is none";
	case OP_COPY:
	case OP_COPY_STRING:
		return step->value <= PROGRAM_COPY_MAX ? NULL : "a copy that is too long";
	default:
		return step->op < OP_COUNT ? NULL : "an operation that there is not";
	}
}

bool program_check(const struct probe_program *program, const char **why)
{
	int8_t depths[PROGRAM_OPS_MAX + 1]; // at each step; -1 = nothing comes there
	*why = NULL;
	if (program->count == 0 || program->count > PROGRAM_OPS_MAX ||
	    program->stack > PROGRAM_STACK_MAX) {
		*why = "too long, or too deep";
		return false;
	}
	for (uint32_t i = 0; i <= program->count; i++)
		depths[i] = -1;
	depths[0] = 0;
	for (uint32_t i = 0; i < program->count && !*why; i++) {
		const struct program_step *step = &program->steps[i];
		int depth = depths[i];
		if (depth < 0)
			continue; // never executed
		if ((*why = check_step(step)))
			break;
		if (depth < effects[step->op].takes || (step->op == OP_PICK && step->a >= depth)) {
			*why = "it takes more than there is";
			break;
		}
		depth += effects[step->op].gives - effects[step->op].takes;
		if (depth > (int)program->stack) {
			*why = "deeper than it says";
			break;
		}
		bool jump = step->op == OP_JUMP || step->op == OP_JUMP_ZERO;
		uint64_t to = i + 1 + step->value;
		if (jump && (step->value > program->count || to > program->count ||
			     (depths[to] >= 0 && depths[to] != depth))) {
			*why = "a jump that leads nowhere, or elsewhere than another";
			break;
		}
		if (jump)
			depths[to] = (int8_t)depth;
		if (step->op == OP_END || step->op == OP_JUMP)
			continue;
		if (depths[i + 1] >= 0 && depths[i + 1] != depth)
			*why = "ways that meet with different depths";
		depths[i + 1] = (int8_t)depth;
	}
	if (!*why && depths[program->count] >= 0)
		*why = "no end";
	return !*why;
}
