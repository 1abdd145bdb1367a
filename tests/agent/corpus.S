// SPDX-License-Identifier: Apache-2.0
// Instructions that can be probed, each in a small function, at all 16 places within 16 bytes. corpus_table: function, site.

// One at `pad`: what goes before the site, the instruction there, what follows.
.macro ONE pad, pre, insn, post
	.balign 16
	.skip \pad
9:	\pre
8:	\insn
	\post
	.balign 16
	.pushsection .data.rel.ro, "aw"
	.quad 9b, 8b
	.popsection
.endm
.macro SN pre, insn, post
	.irp pad, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15
	ONE \pad, "\pre", "\insn", "\post"
	.endr
.endm
// With flags from a comparison, and both ways told apart.
.macro JUMPS name
	SN "xor %eax, %eax; cmp %rsi, %rdi", "\name 1f", "add $3, %rax; 1: lea 7(%rax), %rax; ret"
	SN "xor %eax, %eax; cmp %rsi, %rdi", "\name far_1_\name", "add $3, %rax; ret"
.endm

.pushsection .data.rel.ro, "aw"
	.globl corpus_table
	.hidden corpus_table
	.balign 8
corpus_table:
pointer_to_leaf:
	.popsection
.pushsection .data, "aw"
	.balign 16
number: .quad 0x123456789abcdef0, 0x0fedcba987654321
leaf_pointer: .quad leaf
scratch: .quad -1
.popsection

.text
leaf:	lea 5(%rdi, %rsi, 2), %rax
	ret
leaf_of_stack: // takes an argument from the stack, and looks at where it returns to
	mov 8(%rsp), %rax
	add (%rsp), %rax
	sub (%rsp), %rax
	ret
.irp name, jo, jno, jb, jae, je, jne, jbe, ja, js, jns, jp, jnp, jl, jge, jle, jg
far_1_\name: lea 77(%rax), %rax
	ret
.endr
.skip 256, 0x90

// What is executed as it is.
SN "", "lea 3(%rdi), %rax", "ret"
SN "", "mov %rdi, %rax", "ret"
SN "mov %rdi, %rax", "nop", "ret"
SN "mov %rdi, %rax", "inc %eax", "ret"
SN "mov %rdi, %rax", "add $1234567, %rax", "ret"
SN "mov %rdi, %rax", "bswap %rax", "ret"
SN "mov %rdi, %rax", "imul $77, %rsi, %rax", "ret"
SN "", "movabs $0x1122334455667788, %rax", "xor %rdi, %rax; ret"
SN "mov %rdi, %rax; xor %edx, %edx; or $1, %rsi", "div %rsi", "ret"
SN "mov %rsi, %rcx; mov %rdi, %rax", "shl %cl, %rax", "ret"
SN "mov %rdi, %rax", "xchg %rax, %rsi", "ret"
SN "mov %rdi, (%rdx); mov %rsi, %rcx; mov %rdi, %rax", "lock cmpxchg %rcx, (%rdx)", "mov (%rdx), %rax; ret"
SN "mov %rdi, (%rdx)", "lock incq (%rdx)", "mov (%rdx), %rax; ret"
SN "", "movzbl %dil, %eax", "ret"
SN "movq %rdi, %xmm0; movq %rsi, %xmm1", "paddq %xmm1, %xmm0", "movq %xmm0, %rax; ret"
SN "cvtsi2sd %rdi, %xmm0", "addsd %xmm0, %xmm0", "movq %xmm0, %rax; ret"
SN "mov %rdx, %rdi; mov $16, %ecx; mov $0x5a, %eax", "rep stosb", "mov 8(%rdx), %rax; ret"
SN "", "endbr64", "mov %rdi, %rax; ret"
// The stack.
SN "", "push %rdi", "pop %rax; ret"
SN "push %rdi", "pop %rax", "ret"
SN "", "pushq $77", "pop %rax; ret"
SN "push %rbp; mov %rsp, %rbp; push %rdi; pop %rax", "leave", "ret"
SN "mov %rdi, %rax", "ret", "nop"
SN "mov %rdi, -8(%rsp); mov %rsi, -120(%rsp)", "mov -120(%rsp), %rax", "add -8(%rsp), %rax; ret"
SN "mov %rsi, -128(%rsp)", "mov %rdi, -16(%rsp)", "mov -16(%rsp), %rax; add -128(%rsp), %rax; ret"
SN "sub $24, %rsp; mov %rdi, (%rsp)", "add $24, %rsp", "mov -24(%rsp), %rax; ret"
SN "mov %rsp, %rax", "lea 8(%rsp), %rcx", "sub %rax, %rcx; mov %rcx, %rax; xor %ecx, %ecx; ret"
SN "mov %rdi, %rax; cmp %rsi, %rdi; pushfq", "popfq", "adc $0, %rax; ret"
SN "mov %rdi, %rax; cmp %rsi, %rdi", "pushfq", "pop %rax; and $0x8d5, %eax; ret"
// Flags that are alive.
SN "cmp %rsi, %rdi", "mov %rdi, %rax", "adc $0, %rax; ret"
SN "mov $0x7fffffff, %ecx; add %edi, %ecx", "mov $0, %eax", "seto %al; ret"
SN "xor %eax, %eax; cmp %rsi, %rdi", "setp %al", "ret"
SN "mov %rdi, %rax; cmp %rsi, %rdi", "cmovl %rsi, %rax", "ret"
SN "mov %rdi, %rax; cmp %rsi, %rdi", "sbb %rsi, %rax", "ret"
SN "std; mov %rdi, %rax", "mov %rax, %rcx", "cld; lea 1(%rcx), %rax; xor %ecx, %ecx; ret"
SN "mov %rdi, %rax; cmp %rsi, %rdi", "lahf", "ret"
// Relative to the pc.
SN "", "lea number(%rip), %rax", "mov (%rax), %rax; xor %rdi, %rax; ret"
SN "", "mov number(%rip), %rax", "add %rdi, %rax; ret"
SN "mov %rdi, %rax", "cmpl $77, number(%rip)", "setb %al; ret"
SN "", "movups number(%rip), %xmm0", "movq %xmm0, %rax; ret"
SN "", "vmovups number(%rip), %xmm0", "movq %xmm0, %rax; ret"
SN "mov %rdi, %rax", "andb $0x0f, scratch(%rip)", "ret"
// Calls.
SN "", "call leaf", "lea 1(%rax), %rax; ret"
SN "sub $8, %rsp", "call leaf", "add $8, %rsp; ret"
SN "lea leaf(%rip), %rcx", "call *%rcx", "xor %ecx, %ecx; lea 1(%rax), %rax; ret"
SN "lea leaf(%rip), %r11", "call *%r11", "xor %r11d, %r11d; lea 1(%rax), %rax; ret"
SN "", "call *leaf_pointer(%rip)", "lea 1(%rax), %rax; ret"
SN "lea leaf_pointer-8(%rip), %rcx", "call *8(%rcx)", "xor %ecx, %ecx; lea 1(%rax), %rax; ret"
SN "push %rdi; lea leaf_of_stack(%rip), %rcx; push %rcx", "call *(%rsp)", "pop %rcx; pop %rcx; xor %ecx, %ecx; sub %eax, %eax; ret"
SN "lea leaf_of_stack(%rip), %rcx; push %rcx; push %rdi", "call *8(%rsp)", "pop %rcx; pop %rcx; xor %ecx, %ecx; ret"
// Jumps.
SN "mov %rdi, %rax", "jmp 1f", "ud2; 1: lea 2(%rax), %rax; ret"
SN "mov %rdi, %rax", "jmp leaf", "ud2"
SN "", "jmp *leaf_pointer(%rip)", "ud2"
SN "lea leaf(%rip), %rax", "jmp *%rax", "ud2"
JUMPS jo
JUMPS jno
JUMPS jb
JUMPS jae
JUMPS je
JUMPS jne
JUMPS jbe
JUMPS ja
JUMPS js
JUMPS jns
JUMPS jp
JUMPS jnp
JUMPS jl
JUMPS jge
JUMPS jle
JUMPS jg
SN "mov %rdi, %rax; mov $3, %ecx; 1: add %rsi, %rax", "loop 1b", "ret"
SN "mov %rdi, %rax; mov $3, %ecx; 1: add $1, %rax; cmp %rax, %rsi", "loopne 1b", "xor %ecx, %ecx; ret"
SN "mov %rdi, %rcx; and $1, %ecx", "jrcxz 1f", "lea 5(%rcx), %rax; ret; 1: mov $9, %eax; ret"
// A loop whose head is the site, and a branch to right behind it.
SN "mov $5, %ecx; xor %eax, %eax; 1:", "add %rdi, %rax", "dec %ecx; jnz 1b; ret"
SN "xor %eax, %eax; cmp %rsi, %rdi; jb 1f", "add %rdi, %rax", "1: lea 4(%rax), %rax; ret"

.pushsection .data.rel.ro, "aw"
	.quad 0, 0
.popsection

// void corpus_run(function rdi, a rsi, b rdx, buffer rcx, out r8): results are rax, flags, rcx, rdx, r8 to r11, rsp kept.
	.globl corpus_run
	.hidden corpus_run
	.type corpus_run, @function
corpus_run:
	push %rbx
	push %rbp
	push %r12
	push %r13
	push %r14
	mov %r8, %rbx
	mov %rsp, %rbp
	mov %rdi, %rax
	mov %rsi, %rdi
	mov %rdx, %rsi
	mov %rcx, %rdx
	mov $1, %r8d
	mov $2, %r9d
	mov $3, %r10d
	mov $4, %r11d
	mov $5, %ecx
	xor %r12d, %r12d
	call *%rax
	pushfq
	pop %r12
	and $0xcd5, %r12d
	mov %rax, (%rbx)
	mov %r12, 8(%rbx)
	mov %rcx, 16(%rbx)
	mov %r8, 24(%rbx)
	mov %r9, 32(%rbx)
	mov %r10, 40(%rbx)
	mov %r11, 48(%rbx)
	sub %rsp, %rbp
	mov %rbp, 56(%rbx)
	add %rbp, %rsp
	pop %r14
	pop %r13
	pop %r12
	pop %rbp
	pop %rbx
	ret
	.section .note.GNU-stack, "", @progbits
