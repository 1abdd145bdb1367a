// SPDX-License-Identifier: Apache-2.0
#include "agent/relocate.h"

#include <Zydis/Zydis.h>
#include <string.h>

enum { LENGTH_MAX = 15, FIELD_CALL = 2, FIELD_JUMP = 4, FIELD_PUSH = 6 };

struct instruction {
	ZydisDecodedInstruction decoded;
	ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
	const uint8_t *bytes;
	uint64_t address, next;
};

static bool decode(const uint8_t *bytes, size_t size, struct instruction *ret)
{
	ZydisDecoder decoder;
	ret->bytes = bytes;
	return ZYAN_SUCCESS(ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64,
					     ZYDIS_STACK_WIDTH_64)) &&
	       ZYAN_SUCCESS(ZydisDecoderDecodeFull(&decoder, bytes,
						   size < LENGTH_MAX ? size : LENGTH_MAX,
						   &ret->decoded, ret->operands));
}

unsigned relocate_length(const uint8_t *bytes, size_t size, enum relocate_kind *kind)
{
	static const uint8_t five[] = {0x0f, 0x1f, 0x44, 0, 0};
	struct instruction instruction;
	*kind = RELOCATE_OTHER;
	if (!decode(bytes, size, &instruction))
		return 0;
	unsigned length = instruction.decoded.length;
	ZydisInstructionCategory category = instruction.decoded.meta.category;
	if ((length == 1 && bytes[0] == 0x90) ||
	    (length == sizeof(five) && memcmp(bytes, five, sizeof(five)) == 0))
		*kind = RELOCATE_ROOM;
	else if (category == ZYDIS_CATEGORY_RET || category == ZYDIS_CATEGORY_UNCOND_BR)
		*kind = RELOCATE_END;
	return length;
}

static const ZydisDecodedOperand *memory_of(const struct instruction *instruction)
{
	for (unsigned i = 0; i < instruction->decoded.operand_count; i++)
		if (instruction->operands[i].type == ZYDIS_OPERAND_TYPE_MEMORY)
			return &instruction->operands[i];
	return NULL;
}

static bool is_relative_to_pc(const ZydisDecodedOperand *memory)
{
	return memory &&
	       (memory->mem.base == ZYDIS_REGISTER_RIP || memory->mem.base == ZYDIS_REGISTER_EIP);
}

/** The bytes, with field `field` (-1 = as it is) in the ModRM byte, and a distance from the pc kept. */
static bool put_with_field(struct emit *code, const struct instruction *instruction, int field)
{
	uint8_t bytes[LENGTH_MAX];
	const ZydisDecodedInstruction *decoded = &instruction->decoded;
	const ZydisDecodedOperand *memory = memory_of(instruction);
	memcpy(bytes, instruction->bytes, decoded->length);
	if (field >= 0)
		bytes[decoded->raw.modrm.offset] =
			(uint8_t)((bytes[decoded->raw.modrm.offset] & ~0x38) | (unsigned)field
										       << 3);
	if (is_relative_to_pc(memory)) {
		if (memory->mem.base == ZYDIS_REGISTER_EIP || decoded->raw.disp.size != 32)
			return false;
		uint64_t target = instruction->next + (uint64_t)decoded->raw.disp.value;
		uint64_t from = emit_here(code) + decoded->length;
		uint32_t distance = (uint32_t)(target - from);
		if (!emit_reaches(from, target))
			return false;
		memcpy(bytes + decoded->raw.disp.offset, &distance, sizeof(distance));
	}
	emit_put(code, bytes, decoded->length);
	return true;
}

/** As a call does, with the address behind the original one; no flag is touched. */
static void put_push_return(struct emit *code, uint64_t address)
{
	EMIT(code, "\x68"); // push $low, sign-extended
	emit_put_32(code, (uint32_t)address);
	if ((uint64_t)(int64_t)(int32_t)address == address)
		return;
	EMIT(code, "\xc7\x44\x24\x04"); // movl $high, 4(%rsp)
	emit_put_32(code, (uint32_t)(address >> 32));
}

static bool is_stack(ZydisRegister name)
{
	return name == ZYDIS_REGISTER_RSP || name == ZYDIS_REGISTER_ESP ||
	       name == ZYDIS_REGISTER_SP;
}

static bool put_indirect_call(struct emit *code, const struct instruction *instruction)
{
	const ZydisDecodedOperand *operand = &instruction->operands[0];
	if (operand->type == ZYDIS_OPERAND_TYPE_REGISTER && is_stack(operand->reg.value))
		return false;
	if (operand->type == ZYDIS_OPERAND_TYPE_MEMORY && is_stack(operand->mem.base)) {
		// Where it goes is read before the return address is pushed; then they change places.
		if (!put_with_field(code, instruction, FIELD_PUSH))
			return false;
		put_push_return(code, instruction->next);
		EMIT(code, "\x48\x87\x04\x24"	  // xchg %rax, (%rsp)
			   "\x48\x87\x44\x24\x08" // xchg %rax, 8(%rsp)
			   "\x48\x87\x04\x24"	  // xchg %rax, (%rsp)
			   "\xc3");
		return true;
	}
	put_push_return(code, instruction->next);
	return put_with_field(code, instruction, FIELD_JUMP);
}

static uint64_t branch_target(const struct instruction *instruction)
{
	return instruction->next + (uint64_t)instruction->decoded.raw.imm[0].value.s;
}

/** The branch goes over a jump to what follows, to a jump to its target. */
static void put_short_branch(struct emit *code, const struct instruction *instruction)
{
	emit_put(code, instruction->bytes, instruction->decoded.raw.imm[0].offset);
	size_t at = code->size;
	EMIT(code, "\0");
	emit_put_jump(code, instruction->next);
	if (!code->failed)
		code->bytes[at] = (uint8_t)(code->size - at - 1);
	emit_put_jump(code, branch_target(instruction));
}

static bool put_condition(struct emit *code, const struct instruction *instruction)
{
	const ZydisDecodedInstruction *decoded = &instruction->decoded;
	uint8_t condition = decoded->opcode & 0x0f;
	uint64_t target = branch_target(instruction);
	if (emit_reaches(emit_here(code) + 6, target)) {
		uint8_t bytes[2] = {0x0f, (uint8_t)(0x80 | condition)};
		emit_put(code, bytes, 2);
		emit_put_relative(code, target, 0);
		emit_put_jump(code, instruction->next);
		return true;
	}
	uint8_t bytes[2] = {(uint8_t)(0x70 | (condition ^ 1)), 14}; // over the jump that follows
	emit_put(code, bytes, 2);
	EMIT(code, "\xff\x25\0\0\0\0");
	emit_put_64(code, target);
	emit_put_jump(code, instruction->next);
	return true;
}

static bool is_refused(const ZydisDecodedInstruction *decoded, const char **why)
{
	switch (decoded->mnemonic) {
	case ZYDIS_MNEMONIC_SYSCALL:
	case ZYDIS_MNEMONIC_SYSENTER:
	case ZYDIS_MNEMONIC_INT:
		*why = "it is a system call, in which a thread may stay";
		return true;
	case ZYDIS_MNEMONIC_INT3:
	case ZYDIS_MNEMONIC_INT1:
		*why = "a breakpoint stands there";
		return true;
	case ZYDIS_MNEMONIC_UD0:
	case ZYDIS_MNEMONIC_UD1:
	case ZYDIS_MNEMONIC_UD2:
	case ZYDIS_MNEMONIC_HLT:
		*why = "it is an instruction that ends in a signal";
		return true;
	case ZYDIS_MNEMONIC_XBEGIN:
	case ZYDIS_MNEMONIC_XABORT:
	case ZYDIS_MNEMONIC_XEND:
		*why = "it is of a transaction";
		return true;
	default:
		break;
	}
	if (decoded->meta.branch_type == ZYDIS_BRANCH_TYPE_FAR ||
	    decoded->attributes & ZYDIS_ATTRIB_IS_PRIVILEGED) {
		*why = "it is no instruction of an ordinary program";
		return true;
	}
	return false;
}

static bool put(struct emit *code, const struct instruction *instruction)
{
	const ZydisDecodedInstruction *decoded = &instruction->decoded;
	bool relative = decoded->raw.imm[0].is_relative;
	switch (decoded->meta.category) {
	case ZYDIS_CATEGORY_CALL:
		if (!relative)
			return put_indirect_call(code, instruction);
		put_push_return(code, instruction->next);
		emit_put_jump(code, branch_target(instruction));
		return true;
	case ZYDIS_CATEGORY_UNCOND_BR:
		if (!relative)
			return put_with_field(code, instruction, -1);
		emit_put_jump(code, branch_target(instruction));
		return true;
	case ZYDIS_CATEGORY_COND_BR:
		if (!relative || decoded->raw.imm[0].size == 16)
			return false;
		if (decoded->meta.branch_type == ZYDIS_BRANCH_TYPE_SHORT &&
		    (decoded->opcode & 0xf0) == 0xe0) // loop and jrcxz
			put_short_branch(code, instruction);
		else
			return put_condition(code, instruction);
		return true;
	default:
		if (relative || !put_with_field(code, instruction, -1))
			return false;
		emit_put_jump(code, instruction->next);
		return true;
	}
}

/** What follows it is executed next, and nothing but its bytes is needed. */
static bool is_simple(const struct instruction *instruction)
{
	const char *why;
	switch (instruction->decoded.meta.category) {
	case ZYDIS_CATEGORY_CALL:
	case ZYDIS_CATEGORY_RET:
	case ZYDIS_CATEGORY_UNCOND_BR:
	case ZYDIS_CATEGORY_COND_BR:
		return false;
	default:
		return !instruction->decoded.raw.imm[0].is_relative &&
		       !is_refused(&instruction->decoded, &why);
	}
}

static bool decode_at(const uint8_t *bytes, size_t size, uint64_t address, struct instruction *ret)
{
	if (!decode(bytes, size, ret))
		return false;
	ret->address = address;
	ret->next = address + ret->decoded.length;
	return true;
}

/** The instructions behind the first, up to `until` or to one that is not simple; then a jump to what follows them. */
static void put_followers(struct emit *code, const uint8_t *bytes, size_t size, uint64_t address,
			  uint64_t until)
{
	struct instruction instruction;
	while (address < until && decode_at(bytes, size, address, &instruction) &&
	       is_simple(&instruction) && put_with_field(code, &instruction, -1)) {
		bytes += instruction.decoded.length;
		size -= instruction.decoded.length;
		address = instruction.next;
	}
	emit_put_jump(code, address);
}

bool relocate(struct emit *code, const uint8_t *bytes, size_t size, uint64_t address,
	      uint64_t until, const char **why)
{
	struct instruction instruction;
	if (!decode_at(bytes, size, address, &instruction)) {
		*why = "no instruction can be read there";
		return false;
	}
	if (is_refused(&instruction.decoded, why))
		return false;
	*why = "its operands cannot be reached from elsewhere";
	if (!is_simple(&instruction) || instruction.next >= until)
		return put(code, &instruction) && !code->failed;
	if (!put_with_field(code, &instruction, -1))
		return false;
	unsigned length = instruction.decoded.length;
	put_followers(code, bytes + length, size - length, instruction.next, until);
	return !code->failed;
}
