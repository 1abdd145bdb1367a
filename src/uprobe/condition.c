// SPDX-License-Identifier: Apache-2.0
#include "uprobe/condition.h"

/** Where things stand below the frame pointer, r10. */
enum { SCRATCH = -16, SLOTS = -24, SLOT_COUNT = 32, JUMP_COUNT = 64, CODE_ROOM = 300, COPY_ROOM = 900 };
/** Words of struct pt_regs by DWARF's numbers: rax rdx rcx rbx rsi rdi rbp rsp r8-r15 rip. */
static const uint8_t words[17] = {10, 12, 11, 5, 13, 14, 4, 19, 9, 8, 7, 6, 3, 2, 1, 0, 16};

struct translation {
	struct bpf_code *code;
	unsigned depth;
	unsigned unsure[JUMP_COUNT], unsure_count; // jumps to where nothing is known
	struct {
		unsigned at, depth;
		uint32_t to; // step
	} jumps[JUMP_COUNT];
	unsigned jump_count;
	bool failed;
};

static int16_t slot(const struct translation *t, unsigned below)
{
	return (int16_t)(SLOTS - 8 * (int)(t->depth - 1 - below));
}

static void load(struct translation *t, uint8_t reg, unsigned below)
{
	bpf_put(t->code, BPF_LDX | BPF_MEM | BPF_DW, reg, BPF_REG_10, slot(t, below), 0);
}

static void store(struct translation *t, uint8_t reg, unsigned below)
{
	bpf_put(t->code, BPF_STX | BPF_MEM | BPF_DW, BPF_REG_10, reg, slot(t, below), 0);
}

static void push(struct translation *t, uint8_t reg)
{
	if (++t->depth > SLOT_COUNT) {
		t->failed = true;
		t->depth--;
	}
	store(t, reg, 0);
}

static void put_constant(struct translation *t, uint64_t value)
{
	bpf_put(t->code, BPF_LD | BPF_DW | BPF_IMM, BPF_REG_1, 0, 0, (int32_t)(uint32_t)value);
	bpf_put(t->code, 0, 0, 0, 0, (int32_t)(value >> 32));
	push(t, BPF_REG_1);
}

/** r1 becomes what its low bytes are. */
static void extend(struct translation *t, unsigned bytes, bool is_signed)
{
	if (bytes >= 8)
		return;
	bpf_put(t->code, BPF_ALU64 | BPF_LSH | BPF_K, BPF_REG_1, 0, 0, (int32_t)(64 - 8 * bytes));
	bpf_put(t->code, BPF_ALU64 | (is_signed ? BPF_ARSH : BPF_RSH) | BPF_K, BPF_REG_1, 0, 0,
		(int32_t)(64 - 8 * bytes));
}

static void put_load(struct translation *t, const struct program_step *step)
{
	bpf_put(t->code, BPF_ST | BPF_MEM | BPF_DW, BPF_REG_10, 0, SCRATCH, 0);
	bpf_put(t->code, BPF_ALU64 | BPF_MOV | BPF_X, BPF_REG_1, BPF_REG_10, 0, 0);
	bpf_put(t->code, BPF_ALU64 | BPF_ADD | BPF_K, BPF_REG_1, 0, 0, SCRATCH);
	bpf_put(t->code, BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_2, 0, 0, step->a);
	load(t, BPF_REG_3, 0);
	bpf_put(t->code, BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_probe_read_user);
	if (t->unsure_count == JUMP_COUNT) {
		t->failed = true;
		return;
	}
	t->unsure[t->unsure_count++] = t->code->count;
	bpf_put(t->code, BPF_JMP | BPF_JNE | BPF_K, BPF_REG_0, 0, 0, 0);
	bpf_put(t->code, BPF_LDX | BPF_MEM | BPF_DW, BPF_REG_1, BPF_REG_10, SCRATCH, 0);
	extend(t, step->a, step->b);
	store(t, BPF_REG_1, 0);
}

/** Two values become one. */
static void put_binary(struct translation *t, uint8_t op)
{
	load(t, BPF_REG_1, 1);
	load(t, BPF_REG_2, 0);
	bpf_put(t->code, BPF_ALU64 | op | BPF_X, BPF_REG_1, BPF_REG_2, 0, 0);
	t->depth--;
	store(t, BPF_REG_1, 0);
}

static void put_compare(struct translation *t, uint8_t jump)
{
	load(t, BPF_REG_1, 1);
	load(t, BPF_REG_2, 0);
	bpf_put(t->code, BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_3, 0, 0, 1);
	bpf_put(t->code, BPF_JMP | jump | BPF_X, BPF_REG_1, BPF_REG_2, 1, 0);
	bpf_put(t->code, BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_3, 0, 0, 0);
	t->depth--;
	store(t, BPF_REG_3, 0);
}

static void put_unary(struct translation *t, const struct program_step *step)
{
	load(t, BPF_REG_1, 0);
	if (step->op == OP_NEG) {
		bpf_put(t->code, BPF_ALU64 | BPF_NEG, BPF_REG_1, 0, 0, 0);
	} else if (step->op == OP_NOT) {
		bpf_put(t->code, BPF_ALU64 | BPF_XOR | BPF_K, BPF_REG_1, 0, 0, -1);
	} else if (step->op == OP_EXTEND) {
		extend(t, step->a, step->b);
	} else { // OP_IS_ZERO
		bpf_put(t->code, BPF_ALU64 | BPF_MOV | BPF_X, BPF_REG_2, BPF_REG_1, 0, 0);
		bpf_put(t->code, BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_1, 0, 0, 1);
		bpf_put(t->code, BPF_JMP | BPF_JEQ | BPF_K, BPF_REG_2, 0, 1, 0);
		bpf_put(t->code, BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_1, 0, 0, 0);
	}
	store(t, BPF_REG_1, 0);
}

static void put_jump(struct translation *t, const struct program_step *step, uint32_t index)
{
	bool always = step->op == OP_JUMP;
	if (t->jump_count == JUMP_COUNT) {
		t->failed = true;
		return;
	}
	if (!always) {
		load(t, BPF_REG_1, 0);
		t->depth--;
	}
	t->jumps[t->jump_count].at = t->code->count;
	t->jumps[t->jump_count].depth = t->depth;
	t->jumps[t->jump_count++].to = index + 1 + (uint32_t)step->value;
	bpf_put(t->code, BPF_JMP | (always ? BPF_JA : BPF_JEQ | BPF_K), always ? 0 : BPF_REG_1, 0,
		0, 0);
}

static void put_shuffle(struct translation *t, const struct program_step *step)
{
	switch (step->op) {
	case OP_DUP:
		load(t, BPF_REG_1, 0);
		push(t, BPF_REG_1);
		break;
	case OP_PICK:
		load(t, BPF_REG_1, step->a);
		push(t, BPF_REG_1);
		break;
	case OP_SWAP:
		load(t, BPF_REG_1, 0);
		load(t, BPF_REG_2, 1);
		store(t, BPF_REG_1, 1);
		store(t, BPF_REG_2, 0);
		break;
	default: // OP_DROP
		t->depth--;
	}
}

static const uint8_t binaries[OP_COUNT] = {
	[OP_ADD] = BPF_ADD + 1, [OP_SUB] = BPF_SUB + 1, [OP_MUL] = BPF_MUL + 1,
	[OP_AND] = BPF_AND + 1, [OP_OR] = BPF_OR + 1,	[OP_XOR] = BPF_XOR + 1,
	[OP_SHL] = BPF_LSH + 1, [OP_SHR] = BPF_RSH + 1,
};
static const uint8_t compares[OP_COUNT][2] = {
	[OP_EQ] = {BPF_JEQ, BPF_JEQ},  [OP_NE] = {BPF_JNE, BPF_JNE},  [OP_LT] = {BPF_JLT, BPF_JSLT},
	[OP_LE] = {BPF_JLE, BPF_JSLE}, [OP_GT] = {BPF_JGT, BPF_JSGT}, [OP_GE] = {BPF_JGE, BPF_JSGE},
};

static void put_step(struct translation *t, const struct program_step *step, uint32_t index)
{
	if (binaries[step->op]) {
		put_binary(t, step->op == OP_SHR && step->b ? BPF_ARSH
							    : (uint8_t)(binaries[step->op] - 1));
	} else if (compares[step->op][0]) {
		put_compare(t, compares[step->op][step->b != 0]);
	} else if (step->op == OP_CONST) {
		put_constant(t, step->value);
	} else if (step->op == OP_REGISTER && step->a <= 16) {
		bpf_put(t->code, BPF_LDX | BPF_MEM | BPF_DW, BPF_REG_1, BPF_REG_6,
			(int16_t)(words[step->a] * 8), 0);
		push(t, BPF_REG_1);
	} else if (step->op == OP_LOAD) {
		put_load(t, step);
	} else if (step->op == OP_NEG || step->op == OP_NOT || step->op == OP_EXTEND ||
		   step->op == OP_IS_ZERO) {
		put_unary(t, step);
	} else if (step->op == OP_DUP || step->op == OP_PICK || step->op == OP_SWAP ||
		   step->op == OP_DROP) {
		put_shuffle(t, step);
	} else if (step->op == OP_JUMP || step->op == OP_JUMP_ZERO) {
		put_jump(t, step, index);
	} else {
		t->failed = true; // division, floating point, copies
	}
}

bool bpf_put_condition(struct bpf_code *code, const struct probe_program *program)
{
	struct translation t = {.code = code};
	const char *why;
	if (!program_check(program, &why))
		return false;
	for (uint32_t i = 0; i + 1 < program->count && !t.failed; i++) {
		for (unsigned j = 0; j < t.jump_count; j++)
			if (t.jumps[j].to == i) {
				bpf_land(code, t.jumps[j].at);
				t.depth = t.jumps[j].depth;
			}
		put_step(&t, &program->steps[i], i);
		t.failed |= code->count > CODE_ROOM;
	}
	for (unsigned j = 0; j < t.jump_count; j++)
		if (t.jumps[j].to + 1 == program->count) {
			bpf_land(code, t.jumps[j].at);
			t.depth = t.jumps[j].depth;
		}
	if (t.failed || program->steps[program->count - 1].op != OP_END || t.depth == 0)
		return false;
	bpf_put(code, BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_9, 0, 0, 1);
	load(&t, BPF_REG_1, 0);
	bpf_put(code, BPF_JMP | BPF_JNE | BPF_K, BPF_REG_1, 0, 2, 0);
	bpf_put(code, BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_0, 0, 0, 0);
	bpf_put(code, BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
	if (!t.unsure_count)
		return true; // the verifier refuses what nothing leads to
	unsigned known = code->count;
	bpf_put(code, BPF_JMP | BPF_JA, 0, 0, 0, 0);
	for (unsigned i = 0; i < t.unsure_count; i++)
		bpf_land(code, t.unsure[i]);
	bpf_put(code, BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_9, 0, 0, 0);
	bpf_land(code, known);
	return true;
}

/** Address, size -> : the bytes there go to an item. */
static void put_copy(struct translation *t, const struct program_step *step,
		     const struct bpf_copies *copies, uint32_t item)
{
	uint32_t at = copies->offset + item * copies->item_bytes, room = copies->item_bytes - 16;
	uint32_t size = step->value < room ? (uint32_t)step->value : room;
	if (item == copies->count || t->depth < 2) {
		t->failed = true;
		return;
	}
	load(t, BPF_REG_3, 1);
	bpf_put(t->code, BPF_STX | BPF_MEM | BPF_DW, BPF_REG_7, BPF_REG_3, (int16_t)at, 0);
	bpf_put(t->code, BPF_ALU64 | BPF_MOV | BPF_X, BPF_REG_1, BPF_REG_7, 0, 0);
	bpf_put(t->code, BPF_ALU64 | BPF_ADD | BPF_K, BPF_REG_1, 0, 0, (int32_t)at + 16);
	bpf_put(t->code, BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_2, 0, 0, (int32_t)size);
	bpf_put(t->code, BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_probe_read_user);
	bpf_put(t->code, BPF_JMP | BPF_JNE | BPF_K, BPF_REG_0, 0, 1, 0);
	bpf_put(t->code, BPF_ST | BPF_MEM | BPF_DW, BPF_REG_7, 0, (int16_t)(at + 8), (int32_t)size);
	t->depth -= 2;
}

bool bpf_put_copies(struct bpf_code *code, const struct probe_program *program,
		    const struct bpf_copies *copies)
{
	struct translation t = {.code = code};
	const char *why;
	uint32_t item = 0;
	if (!program_check(program, &why))
		return false;
	for (uint32_t i = 0; i + 1 < program->count && !t.failed; i++) {
		const struct program_step *step = &program->steps[i];
		if (step->op == OP_COPY)
			put_copy(&t, step, copies, item++);
		else if (step->op == OP_JUMP || step->op == OP_JUMP_ZERO)
			t.failed = true;
		else
			put_step(&t, step, i);
		t.failed |= code->count > COPY_ROOM;
	}
	for (unsigned i = 0; i < t.unsure_count; i++)
		bpf_land(code, t.unsure[i]);
	return !t.failed;
}
