// SPDX-License-Identifier: Apache-2.0
#include "agent/trampoline.h"

#include <stddef.h>

#include "agent/inside.h"
#include "agent/relocate.h"

static void put_push(struct emit *code, unsigned number, bool pop)
{
	uint8_t bytes[2] = {0x41, (uint8_t)((pop ? 0x58 : 0x50) | (number & 7))};
	emit_put(code, number >= 8 ? bytes : bytes + 1, number >= 8 ? 2 : 1);
}

/** Flags into ax, and back: a third of what pushf and popf take. */
static void put_save(struct emit *code, unsigned saved)
{
	EMIT(code, "\x50"	      // push %rax
		   "\x9f\x0f\x90\xc0" // lahf; seto %al
		   "\x51");	      // push %rcx
	for (unsigned i = 0; i < saved; i++)
		put_push(code, condition_register(i), false);
}

static void put_restore(struct emit *code, unsigned saved)
{
	for (unsigned i = saved; i-- > 0;)
		put_push(code, condition_register(i), true);
	EMIT(code, "\x59"     // pop %rcx
		   "\x04\x7f" // add $127, %al: overflow where it was
		   "\x9e"     // sahf
		   "\x58");   // pop %rax
}

/**
 * Counts for this thread; rcx and rdx are free. Threads are told apart by where their stacks are (8 MiB apart, or 128 KiB, or in
 * between): to read fs_base takes 4 ns where the kernel's hypervisor is another's guest.
 */
static void put_count(struct emit *code, const struct trampoline *trampoline)
{
	EMIT(code, "\x48\x89\xe1"     // mov %rsp, %rcx
		   "\x48\x89\xe2"     // mov %rsp, %rdx
		   "\x48\xc1\xe9\x17" // shr $23, %rcx
		   "\x48\xc1\xea\x11" // shr $17, %rdx
		   "\x01\xd1"	      // add %edx, %ecx
		   "\x83\xe1\x3f"     // and $63, %ecx
		   "\xc1\xe1\x06"     // shl $6, %ecx
		   "\x48\x8d\x15");   // lea shards(%rip), %rdx
	emit_put_relative(code, trampoline->data + offsetof(struct inside_site, shards), 0);
	EMIT(code, "\x48\xff\x04\x0a"); // incq (%rdx, %rcx)
}

static void put_record(struct emit *code, const struct trampoline *trampoline, bool unsure)
{
	EMIT(code, "\x9c"			      // pushf
		   "\x57\x56\x52\x51\x50"	      // push rdi, rsi, rdx, rcx, rax
		   "\x41\x50\x41\x51\x41\x52\x41\x53" // push r8 ... r11
		   "\x53\x55"			      // push rbx, rbp
		   "\x41\x54\x41\x55\x41\x56\x41\x57" // push r12 ... r15
		   "\xfc"			      // cld
		   "\x48\x89\xe7"		      // mov %rsp, %rdi
		   "\x48\x89\xe3"		      // mov %rsp, %rbx
		   "\x48\x83\xe4\xf0"		      // and $-16, %rsp
		   "\x48\x8d\x35");		      // lea data(%rip), %rsi
	emit_put_relative(code, trampoline->data + (unsure ? INSIDE_UNSURE : 0), 0);
	EMIT(code, "\xe8"); // call
	emit_put_relative(code, trampoline->hit, 0);
	EMIT(code, "\x48\x89\xdc" // mov %rbx, %rsp
		   "\x41\x5f\x41\x5e\x41\x5d\x41\x5c"
		   "\x5d\x5b"
		   "\x41\x5b\x41\x5a\x41\x59\x41\x58"
		   "\x58\x59\x5a\x5e\x5f"
		   "\x9d");
}

static void put_enter(struct emit *code)
{
	EMIT(code, "\x48\x8d\x64\x24\x80"); // lea -128(%rsp), %rsp: not the red zone
}

static void put_leave(struct emit *code)
{
	EMIT(code, "\x48\x8d\xa4\x24\x80\0\0\0"); // lea 128(%rsp), %rsp
}

static bool put_hit(struct emit *code, const struct trampoline *trampoline, bool unsure,
		    const char **why)
{
	put_record(code, trampoline, unsure);
	put_leave(code);
	return relocate(code, trampoline->instruction, trampoline->available, trampoline->address,
			trampoline->until, why);
}

/** The condition, then what happens where it is false, up to the end. */
static bool put_conditional(const struct trampoline *trampoline, struct emit *code, unsigned depth,
			    const char **why)
{
	struct condition_frame frame = {
		.saved = depth,
		.address = trampoline->address,
		.fsgsbase = trampoline->fsgsbase,
		.load = trampoline->load,
		.transactions = trampoline->transactions,
		.is_mapped = trampoline->is_mapped,
		.context = trampoline->context,
	};
	struct condition_exits no = {.count = 0}, unsure = {.count = 0};
	put_enter(code);
	put_save(code, depth);
	if (!condition_put(code, trampoline->condition, &frame, &no, &unsure))
		return false;
	put_restore(code, depth);
	if (!put_hit(code, trampoline, false, why))
		return false;
	for (unsigned i = 0; i < no.count; i++)
		emit_land(code, no.at[i]);
	put_count(code, trampoline);
	put_restore(code, depth);
	put_leave(code);
	if (!relocate(code, trampoline->instruction, trampoline->available, trampoline->address,
		      trampoline->until, why))
		return false;
	if (!unsure.count)
		return true;
	for (unsigned i = 0; i < unsure.count; i++)
		emit_land(code, unsure.at[i]);
	put_restore(code, depth);
	return put_hit(code, trampoline, true, why);
}

bool trampoline_make(const struct trampoline *trampoline, struct emit *code, bool *checked,
		     const char **why)
{
	unsigned depth = trampoline->condition ? condition_depth(trampoline->condition) : 0;
	*checked = false;
	if (depth) {
		*why = NULL;
		*checked = put_conditional(trampoline, code, depth, why);
		if (*checked && !code->failed)
			return true;
		*checked = false;
		emit_init(code, code->base);
	}
	*why = "the code for it would be too far away";
	put_enter(code);
	return put_hit(code, trampoline, true, why) && !code->failed;
}
