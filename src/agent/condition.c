// SPDX-License-Identifier: Apache-2.0
// Conditions as machine code: the stack of a program is a row of registers, so that most of its operations are one instruction.
#include <string.h>

#include "agent/trampoline.h"

enum { RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, PAGE_BITS = 12, RED_ZONE = 128 };
static const uint8_t registers[CONDITION_REGISTERS] = {RDX, RSI, RDI, 8, 9, 10, 11};
/** Numbers in instructions, by DWARF's. */
static const uint8_t machine_number[16] = {RAX, RDX, RCX, RBX, RSI, RDI, RBP, RSP,
					   8,	9,   10,  11,  12,  13,	 14,  15};

struct compiler {
	struct emit *code;
	const struct probe_program *program;
	const struct condition_frame *frame;
	struct condition_exits *no, *unsure;
	unsigned depth, deepest;
	bool unreachable, failed;
	struct {
		bool known;
		uint64_t value;
	} constants[CONDITION_REGISTERS];
	struct {
		size_t at;
		uint32_t target;
		unsigned depth;
	} jumps[CONDITION_EXITS];
	unsigned jump_count;
};

unsigned condition_register(unsigned index)
{
	return registers[index];
}

/** `op` with 64-bit registers: ModRM reg = `reg`, r/m = `rm`. */
static void put_rr(struct emit *code, uint8_t op, unsigned reg, unsigned rm)
{
	uint8_t bytes[3] = {(uint8_t)(0x48 | (reg >> 3) << 2 | rm >> 3), op,
			    (uint8_t)(0xc0 | (reg & 7) << 3 | (rm & 7))};
	emit_put(code, bytes, 3);
}

static void put_rr_0f(struct emit *code, bool wide, uint8_t op, unsigned reg, unsigned rm)
{
	uint8_t bytes[4] = {(uint8_t)((wide ? 0x48 : 0x40) | (reg >> 3) << 2 | rm >> 3), 0x0f, op,
			    (uint8_t)(0xc0 | (reg & 7) << 3 | (rm & 7))};
	emit_put(code, bytes, 4);
}

static void put_constant(struct emit *code, unsigned to, uint64_t value)
{
	if (value == (uint32_t)value) {
		uint8_t bytes[2] = {0x41, (uint8_t)(0xb8 | (to & 7))};
		emit_put(code, to >= 8 ? bytes : bytes + 1, to >= 8 ? 2 : 1);
		emit_put_32(code, (uint32_t)value);
	} else if ((uint64_t)(int64_t)(int32_t)value == value) {
		uint8_t bytes[3] = {(uint8_t)(0x48 | to >> 3), 0xc7, (uint8_t)(0xc0 | (to & 7))};
		emit_put(code, bytes, 3);
		emit_put_32(code, (uint32_t)value);
	} else {
		uint8_t bytes[2] = {(uint8_t)(0x48 | to >> 3), (uint8_t)(0xb8 | (to & 7))};
		emit_put(code, bytes, 2);
		emit_put_64(code, value);
	}
}

/** 8b = mov, 8d = lea, of `offset`(%rsp). */
static void put_stack_op(struct emit *code, uint8_t op, unsigned to, uint32_t offset)
{
	uint8_t bytes[4] = {(uint8_t)(0x48 | (to >> 3) << 2), op, (uint8_t)(0x84 | (to & 7) << 3),
			    0x24};
	emit_put(code, bytes, 4);
	emit_put_32(code, offset);
}

static void exit_by(struct compiler *compiler, uint8_t condition, struct condition_exits *exits)
{
	uint8_t bytes[2] = {0x0f, (uint8_t)(0x80 | condition)};
	if (exits->count >= CONDITION_EXITS) {
		compiler->failed = true;
		return;
	}
	emit_put(compiler->code, bytes, 2);
	exits->at[exits->count++] = compiler->code->size;
	emit_put_32(compiler->code, 0);
}

/** A new one on top. */
static unsigned push(struct compiler *compiler)
{
	if (compiler->depth >= CONDITION_REGISTERS) {
		compiler->failed = true;
		return registers[0];
	}
	compiler->constants[compiler->depth].known = false;
	if (++compiler->depth > compiler->deepest)
		compiler->deepest = compiler->depth;
	return registers[compiler->depth - 1];
}

/** The one `below` the top. */
static unsigned peek(struct compiler *compiler, unsigned below)
{
	if (below >= compiler->depth) {
		compiler->failed = true;
		return registers[0];
	}
	return registers[compiler->depth - 1 - below];
}

static void drop(struct compiler *compiler)
{
	if (compiler->depth)
		compiler->depth--;
	else
		compiler->failed = true;
	if (compiler->depth)
		compiler->constants[compiler->depth - 1].known = false;
}

/** The value that the thread has in DWARF register `number`. */
static void put_register(struct compiler *compiler, unsigned to, unsigned number)
{
	const struct condition_frame *frame = compiler->frame;
	struct emit *code = compiler->code;
	if (number == 16) {
		put_constant(code, to, frame->address);
		return;
	}
	if (number == 17 && frame->fsgsbase) {
		uint8_t bytes[5] = {0xf3, (uint8_t)(0x48 | to >> 3), 0x0f, 0xae,
				    (uint8_t)(0xc0 | (to & 7))};
		emit_put(code, bytes, 5);
		return;
	}
	if (number >= 16) {
		compiler->failed = true;
		return;
	}
	unsigned from = machine_number[number];
	uint32_t saved = 8 * frame->saved;
	if (from == RSP) {
		put_stack_op(code, 0x8d, to, saved + 16 + RED_ZONE);
		return;
	}
	if (from == RAX || from == RCX) {
		put_stack_op(code, 0x8b, to, saved + (from == RAX ? 8 : 0));
		return;
	}
	for (unsigned i = 0; i < frame->saved; i++)
		if (registers[i] == from) {
			put_stack_op(code, 0x8b, to, saved - 8 * (i + 1));
			return;
		}
	put_rr(code, 0x8b, to, from);
}

static void put_extend(struct compiler *compiler, unsigned to, unsigned size, bool is_signed)
{
	struct emit *code = compiler->code;
	if (size == 1)
		put_rr_0f(code, is_signed, is_signed ? 0xbe : 0xb6, to, to);
	else if (size == 2)
		put_rr_0f(code, is_signed, is_signed ? 0xbf : 0xb7, to, to);
	else if (size == 4 && is_signed)
		put_rr(code, 0x63, to, to);
	else if (size == 4) {
		uint8_t bytes[3] = {(uint8_t)(0x40 | (to >> 3) << 2 | to >> 3), 0x8b,
				    (uint8_t)(0xc0 | (to & 7) << 3 | (to & 7))};
		emit_put(code, bytes, 3);
	} else if (size != 8)
		compiler->failed = true;
}

/** mov (to), to in its size. */
static void put_load(struct compiler *compiler, unsigned to, unsigned size, bool is_signed)
{
	uint8_t rex = (uint8_t)(0x40 | (to >> 3) << 2 | to >> 3);
	// r8 to r11, rdx, rsi, rdi: none needs a SIB byte or a displacement.
	uint8_t modrm = (uint8_t)((to & 7) << 3 | (to & 7));
	uint8_t wide = (uint8_t)(rex | (is_signed ? 8 : 0));
	uint8_t two[4] = {wide, 0x0f, 0, modrm}, one[3] = {rex, 0x8b, modrm};
	if (size == 1 || size == 2) {
		two[2] = (uint8_t)((is_signed ? 0xbe : 0xb6) + (size == 2));
		emit_put(compiler->code, two, 4);
		return;
	}
	if (size == 4 && is_signed)
		one[1] = 0x63;
	if (size == 8 || (size == 4 && is_signed))
		one[0] |= 8;
	emit_put(compiler->code, one, 3);
}

/** A jump by `condition`, to be led somewhere. */
static size_t put_branch(struct emit *code, uint8_t condition)
{
	uint8_t bytes[2] = {0x0f, (uint8_t)(0x80 | condition)};
	emit_put(code, bytes, 2);
	emit_put_32(code, 0);
	return code->size - 4;
}

/** In a transaction, which a fault ends without anybody being told; so does much else, and then the kernel is to say. */
static void put_transaction(struct compiler *compiler, unsigned to, unsigned size, bool is_signed,
			    size_t *done)
{
	struct emit *code = compiler->code;
	put_rr(code, 0x8b, RCX, RAX);	// eax is why it ended
	EMIT(code, "\xc7\xf8\0\0\0\0"); // xbegin
	size_t ended = code->size - 4;
	put_load(compiler, to, size, is_signed);
	EMIT(code, "\x0f\x01\xd5" // xend
		   "\xe9");
	*done = code->size;
	emit_put_32(code, 0);
	emit_land(code, ended);
	put_rr(code, 0x8b, RAX, RCX);
}

/** The kernel reads it for us, which takes 300 times as long, and notices where nothing is. */
static void put_slow_load(struct compiler *compiler, unsigned to, unsigned size, bool is_signed)
{
	struct emit *code = compiler->code;
	uint8_t push_size[2] = {0x6a, (uint8_t)size};
	put_rr(code, 0x8b, RCX, to);
	emit_put(code, push_size, 2);
	EMIT(code, "\xe8"); // call
	emit_put_relative(code, compiler->frame->load, 0);
	EMIT(code, "\x48\x8d\x64\x24\x08");	// lea 8(%rsp), %rsp
	exit_by(compiler, 2, compiler->unsure); // jc
	put_rr(code, 0x8b, to, RCX);
	if (is_signed)
		put_extend(compiler, to, size, true);
}

/** Only what is in the page of the stack that the thread is writing to is surely there. */
static void put_checked_load(struct compiler *compiler, unsigned to, unsigned size, bool is_signed)
{
	struct emit *code = compiler->code;
	put_rr(code, 0x8b, RCX, to);
	EMIT(code, "\x48\x31\xe1"		// xor %rsp, %rcx
		   "\x48\xc1\xe9\x0c");		// shr $12, %rcx
	size_t elsewhere = put_branch(code, 5); // jnz
	put_rr(code, 0x8b, RCX, to);
	EMIT(code, "\x81\xe1\xff\x0f\0\0" // and $4095, %ecx
		   "\x81\xf9");		  // cmp $, %ecx
	emit_put_32(code, (1U << PAGE_BITS) - size);
	size_t beyond = put_branch(code, 7); // ja
	put_load(compiler, to, size, is_signed);
	EMIT(code, "\xe9");
	size_t done = code->size;
	emit_put_32(code, 0);
	emit_land(code, elsewhere);
	emit_land(code, beyond);
	size_t committed = 0;
	if (compiler->frame->load) {
		if (compiler->frame->transactions)
			put_transaction(compiler, to, size, is_signed, &committed);
		put_slow_load(compiler, to, size, is_signed);
	} else {
		EMIT(code, "\xf9"); // stc
		exit_by(compiler, 2, compiler->unsure);
	}
	if (committed)
		emit_land(code, committed);
	emit_land(code, done);
}

static void compile_load(struct compiler *compiler, const struct program_step *step)
{
	unsigned to = peek(compiler, 0), size = step->a;
	if (compiler->failed || (size != 1 && size != 2 && size != 4 && size != 8)) {
		compiler->failed = true;
		return;
	}
	unsigned top = compiler->depth - 1;
	bool safe = compiler->constants[top].known && compiler->frame->is_mapped &&
		    compiler->frame->is_mapped(compiler->frame->context,
					       compiler->constants[top].value, size);
	if (safe)
		put_load(compiler, to, size, step->b);
	else
		put_checked_load(compiler, to, size, step->b);
	compiler->constants[top].known = false;
}

/** Condition code of a comparison; 0xff = none. */
static uint8_t comparison(const struct program_step *step)
{
	switch (step->op) {
	case OP_EQ:
		return 4;
	case OP_NE:
		return 5;
	case OP_LT:
		return step->b ? 0xc : 2;
	case OP_GE:
		return step->b ? 0xd : 3;
	case OP_LE:
		return step->b ? 0xe : 6;
	case OP_GT:
		return step->b ? 0xf : 7;
	default:
		return 0xff;
	}
}

static void put_bool(struct emit *code, uint8_t condition, unsigned to)
{
	uint8_t set[4] = {(uint8_t)(0x40 | to >> 3), 0x0f, (uint8_t)(0x90 | condition),
			  (uint8_t)(0xc0 | (to & 7))};
	emit_put(code, set, 4);
	put_rr_0f(code, false, 0xb6, to, to);
}

/** Returns true if the end that follows is done with, too. */
static bool compile_comparison(struct compiler *compiler, const struct program_step *step,
			       bool last)
{
	uint8_t condition = comparison(step);
	unsigned right = peek(compiler, 0), left = peek(compiler, 1);
	put_rr(compiler->code, 0x39, right, left); // cmp
	drop(compiler);
	if (last) {
		exit_by(compiler, condition ^ 1, compiler->no);
		return true;
	}
	put_bool(compiler->code, condition, left);
	compiler->constants[compiler->depth - 1].known = false;
	return false;
}

static void compile_shift(struct compiler *compiler, const struct program_step *step)
{
	unsigned right = peek(compiler, 0), left = peek(compiler, 1);
	put_rr(compiler->code, 0x8b, RCX, right);
	put_rr(compiler->code, 0xd3, step->op == OP_SHL ? 4 : step->b ? 7 : 5, left);
	drop(compiler);
}

static void compile_arithmetic(struct compiler *compiler, const struct program_step *step)
{
	static const uint8_t operations[] = {
		[OP_ADD] = 0x01, [OP_SUB] = 0x29, [OP_AND] = 0x21, [OP_OR] = 0x09, [OP_XOR] = 0x31};
	unsigned right = peek(compiler, 0), left = peek(compiler, 1);
	if (step->op == OP_MUL)
		put_rr_0f(compiler->code, true, 0xaf, left, right);
	else
		put_rr(compiler->code, operations[step->op], right, left);
	drop(compiler);
}

static void compile_jump(struct compiler *compiler, uint32_t index, const struct program_step *step)
{
	if (step->value >= compiler->program->count - index ||
	    compiler->jump_count >= CONDITION_EXITS) {
		compiler->failed = true;
		return;
	}
	if (step->op == OP_JUMP_ZERO) {
		unsigned top = peek(compiler, 0);
		put_rr(compiler->code, 0x85, top, top);
		drop(compiler);
		EMIT(compiler->code, "\x0f\x84");
	} else {
		EMIT(compiler->code, "\xe9");
		compiler->unreachable = true;
	}
	unsigned i = compiler->jump_count++;
	compiler->jumps[i].at = compiler->code->size;
	compiler->jumps[i].target = index + 1 + (uint32_t)step->value;
	compiler->jumps[i].depth = compiler->depth;
	emit_put_32(compiler->code, 0);
}

/** Jumps that lead to this step. */
static void land(struct compiler *compiler, uint32_t index)
{
	for (unsigned i = 0; i < compiler->jump_count; i++) {
		if (compiler->jumps[i].target != index)
			continue;
		emit_land(compiler->code, compiler->jumps[i].at);
		if (compiler->unreachable)
			compiler->depth = compiler->jumps[i].depth;
		else if (compiler->depth != compiler->jumps[i].depth)
			compiler->failed = true;
		compiler->unreachable = false;
		for (unsigned j = 0; j < CONDITION_REGISTERS; j++)
			compiler->constants[j].known = false;
	}
}

static void compile_stack(struct compiler *compiler, const struct program_step *step)
{
	unsigned to, from;
	switch (step->op) {
	case OP_DUP:
	case OP_PICK:
		from = peek(compiler, step->op == OP_DUP ? 0 : step->a);
		to = push(compiler);
		put_rr(compiler->code, 0x8b, to, from);
		return;
	case OP_DROP:
		drop(compiler);
		return;
	case OP_SWAP:
		put_rr(compiler->code, 0x87, peek(compiler, 0), peek(compiler, 1));
		if (compiler->depth >= 2)
			compiler->constants[compiler->depth - 1].known =
				compiler->constants[compiler->depth - 2].known = false;
		return;
	case OP_NEG:
		put_rr(compiler->code, 0xf7, 3, peek(compiler, 0));
		break;
	case OP_NOT:
		put_rr(compiler->code, 0xf7, 2, peek(compiler, 0));
		break;
	case OP_IS_ZERO:
		to = peek(compiler, 0);
		put_rr(compiler->code, 0x85, to, to);
		put_bool(compiler->code, 4, to);
		break;
	default: // OP_EXTEND
		put_extend(compiler, peek(compiler, 0), step->a, step->b);
	}
	if (compiler->depth)
		compiler->constants[compiler->depth - 1].known = false;
}

/** The value on top decides. */
static void compile_end(struct compiler *compiler)
{
	if (compiler->depth) {
		unsigned top = peek(compiler, 0);
		put_rr(compiler->code, 0x85, top, top); // test
		exit_by(compiler, 4, compiler->no);
	} else {
		compiler->failed = true;
	}
	compiler->unreachable = true;
}

static bool targeted(const struct compiler *compiler, uint32_t index)
{
	for (unsigned i = 0; i < compiler->jump_count; i++)
		if (compiler->jumps[i].target == index)
			return true;
	return false;
}

/** Returns the index of the next one. */
static uint32_t compile_step(struct compiler *compiler, uint32_t index)
{
	const struct program_step *step = &compiler->program->steps[index];
	bool last = index + 2 == compiler->program->count && step[1].op == OP_END &&
		    !targeted(compiler, index + 1);
	unsigned to;
	switch (step->op) {
	case OP_END:
		compile_end(compiler);
		break;
	case OP_CONST:
		to = push(compiler);
		put_constant(compiler->code, to, step->value);
		if (compiler->depth) {
			compiler->constants[compiler->depth - 1].known = true;
			compiler->constants[compiler->depth - 1].value = step->value;
		}
		break;
	case OP_REGISTER:
		put_register(compiler, push(compiler), step->a);
		break;
	case OP_LOAD:
		compile_load(compiler, step);
		break;
	case OP_ADD:
	case OP_SUB:
	case OP_MUL:
	case OP_AND:
	case OP_OR:
	case OP_XOR:
		compile_arithmetic(compiler, step);
		break;
	case OP_SHL:
	case OP_SHR:
		compile_shift(compiler, step);
		break;
	case OP_EQ:
	case OP_NE:
	case OP_LT:
	case OP_LE:
	case OP_GT:
	case OP_GE:
		return index + (compile_comparison(compiler, step, last) ? 2 : 1);
	case OP_DUP:
	case OP_PICK:
	case OP_DROP:
	case OP_SWAP:
	case OP_NEG:
	case OP_NOT:
	case OP_IS_ZERO:
	case OP_EXTEND:
		compile_stack(compiler, step);
		break;
	case OP_JUMP:
	case OP_JUMP_ZERO:
		compile_jump(compiler, index, step);
		break;
	default: // division, floating point, copies
		compiler->failed = true;
	}
	return index + 1;
}

static bool compile(struct compiler *compiler)
{
	for (uint32_t i = 0; i < compiler->program->count && !compiler->failed;) {
		land(compiler, i);
		if (compiler->unreachable && compiler->program->steps[i].op != OP_END)
			compiler->failed = true; // nobody comes here: not from our compiler
		else if (compiler->unreachable)
			i++;
		else
			i = compile_step(compiler, i);
		// Only the last end may be fallen through from.
		if (!compiler->failed && compiler->unreachable && i < compiler->program->count &&
		    !targeted(compiler, i))
			compiler->failed = true;
		if (!compiler->failed && i < compiler->program->count && i > 0 &&
		    compiler->program->steps[i - 1].op == OP_END)
			compiler->failed = true;
	}
	return !compiler->failed && !compiler->code->failed && compiler->program->count > 0 &&
	       compiler->program->steps[compiler->program->count - 1].op == OP_END;
}

unsigned condition_depth(const struct probe_program *program)
{
	struct emit scratch; // of no interest
	struct condition_exits no = {.count = 0}, unsure = {.count = 0};
	struct condition_frame frame = {.fsgsbase = true};
	struct compiler compiler = {.code = &scratch,
				    .program = program,
				    .frame = &frame,
				    .no = &no,
				    .unsure = &unsure};
	emit_init(&scratch, 0);
	return compile(&compiler) ? compiler.deepest : 0;
}

bool condition_put(struct emit *code, const struct probe_program *program,
		   const struct condition_frame *frame, struct condition_exits *no,
		   struct condition_exits *unsure)
{
	struct compiler compiler = {
		.code = code, .program = program, .frame = frame, .no = no, .unsure = unsure};
	return compile(&compiler);
}
