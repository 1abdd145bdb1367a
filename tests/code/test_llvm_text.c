// SPDX-License-Identifier: Apache-2.0
#include "code/llvm_text.h"

#include <stdio.h>
#include <string.h>

#include "check.h"

enum { BASE = 0x401000, INSTRUCTION_SIZE = 15 };

/** Code at BASE, and what LLVM 22 writes for it. */
static const struct {
	const char *code, *text;
} known[] = {
	{"48d1eb", "shrq %rbx"},
	{"48d1a558f9ffff", "shlq -0x6a8(%rbp)"},
	{"b8ffffffff", "movl $0xffffffff, %eax"},
	{"2555d5ffff", "andl $0xffffd555, %eax"},
	{"81fade120495", "cmpl $0x950412de, %edx"},
	{"6642c74400feffff", "movw $0xffff, -0x2(%rax,%r8)"},
	{"48c7c0ffffffff", "movq $-0x1, %rax"},
	{"41c74508fdffffff", "movl $0xfffffffd, 0x8(%r13)"},
	{"80c1fd", "addb $-0x3, %cl"},
	{"f00fb110", "lock cmpxchgl %edx, (%rax)"},
	{"f3ab", "rep stosl %eax, %es:(%rdi)"},
	{"f3a4", "rep movsb (%rsi), %es:(%rdi)"},
	{"f2ae", "repne scasb %es:(%rdi), %al"},
	{"dec9", "fmulp %st, %st(1)"},
	{"dfe9", "fucompi %st(1), %st"},
	{"4887fe", "xchgq %rsi, %rdi"},
	{"91", "xchgl %ecx, %eax"},
	{"f2480f2ac2", "cvtsi2sd %rdx, %xmm0"},
	{"f20f2a02", "cvtsi2sdl (%rdx), %xmm0"},
	{"ff20", "jmpq *(%rax)"},
	{"ffd0", "callq *%rax"},
	{"660f1f0400", "nopw (%rax,%rax)"},
	{"cb", "lretl"},
	{"48cf", "iretq"},
	{"cc", "int3"},
	{"cd80", "int $0x80"},
	{"48b8f0debc9a78563412", "movabsq $0x123456789abcdef0, %rax"},
	{"0f0b", "ud2"},
	{"c8010002", "enter $0x1, $0x2"},
	{"c9", "leave"},
	{"6a01", "pushq $0x1"},
	{"6845230100", "pushq $0x12345"},
	{"6650", "pushw %ax"},
	{"660fbec0", "movsbw %al, %ax"},
	{"0f20d8", "movq %cr3, %rax"},
	{"8cd8", "movl %ds, %eax"},
	{"ec", "inb %dx, %al"},
	{"e603", "outb %al, $0x3"},
	{"f20f1000", "movsd (%rax), %xmm0"},
	{"66480f7ec0", "movq %xmm0, %rax"},
	{"660f6ec0", "movd %eax, %xmm0"},
	{"9c", "pushfq"},
	{"9d", "popfq"},
	{"c20800", "retq $0x8"},
	{"d7", "xlatb"},
	{"648b042504000000", "movl %fs:0x4, %eax"},
	{"e2fe", "loop 0x401000"},
	{"e3fe", "jrcxz 0x401000"},
	{"660fbcc8", "bsfw %ax, %cx"},
	{"0f1808", "prefetcht0 (%rax)"},
	{"f390", "pause"},
	{"f30f1efa", "endbr64"},
	{"f30fbcc0", "tzcntl %eax, %eax"},
	{"480fc708", "cmpxchg16b (%rax)"},
	{"6432042530000000", "xorb %fs:0x30, %al"},
	{"660f6f0554211700", "movdqa 0x172154(%rip), %xmm0"},
	{"4863f6", "movslq %esi, %rsi"},
	{"db6c2418", "fldt 0x18(%rsp)"},
	{"ddd8", "fstp %st(0)"},
	{"410f95c4", "setne %r12b"},
	{"480f44f8", "cmoveq %rax, %rdi"},
	{"c5fe6f4c1680", "vmovdqu -0x80(%rsi,%rdx), %ymm1"},
	{"480fbcc7", "bsfq %rdi, %rax"},
	{"0f1f00", "nopl (%rax)"},
	{"4898", "cltq"},
	{"dee1", "fsubp %st, %st(1)"},
	{"dbe9", "fucomi %st(1), %st"},
	{"4269742854e01f0000", "imull $0x1fe0, 0x54(%rax,%r13), %esi"},
	{"0fbef1", "movsbl %cl, %esi"},
	{"48393da6ea1a00", "cmpq %rdi, 0x1aeaa6(%rip)"},
};

static bool write_one(const char *code, char *text, size_t size)
{
	uint8_t bytes[INSTRUCTION_SIZE] = {0};
	size_t count = 0;
	for (; code[2 * count]; count++) {
		unsigned byte;
		CHECK(sscanf(code + 2 * count, "%2x", &byte) == 1);
		bytes[count] = (uint8_t)byte;
	}
	ZydisDecoder decoder;
	ZydisDecodedInstruction decoded;
	ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
	CHECK(ZYAN_SUCCESS(
		ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64)));
	CHECK(ZYAN_SUCCESS(ZydisDecoderDecodeFull(&decoder, bytes, count, &decoded, operands)));
	CHECK_EQUAL(decoded.length, count);
	return llvm_text(&decoded, operands, BASE, text, size);
}

static void writes_as_llvm_does(void)
{
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		char text[128];
		CHECK(write_one(known[i].code, text, sizeof(text)));
		CHECK_STRING(text, known[i].text);
	}
}

static void leaves_masked_vectors_to_others(void)
{
	char text[128];
	CHECK(!write_one("62f17fc96f0f", text, sizeof(text))); // vmovdqu8 (%rdi), %zmm1 {%k1} {z}
}

static void writes_no_more_than_there_is_room(void)
{
	char text[8] = "", after = 7;
	CHECK(write_one("4269742854e01f0000", text, sizeof(text)));
	CHECK_STRING(text, "imull $");
	CHECK_EQUAL(after, 7);
}

CHECK_MAIN({"writes as LLVM does", writes_as_llvm_does},
	   {"leaves masked vectors to others", leaves_masked_vectors_to_others},
	   {"writes no more than there is room", writes_no_more_than_there_is_room})
