// SPDX-License-Identifier: Apache-2.0
#include "agent/inside.h"

#include <stddef.h>
#include <sys/syscall.h>

// No vector registers, and nothing that compilers add for their own purposes.
#define INSIDE_PLAIN                                                                               \
	target("general-regs-only"), no_stack_protector, no_instrument_function,                   \
		no_profile_instrument_function, no_sanitize("address", "undefined", "thread")
#define INSIDE __attribute__((section("strobe_inside"), noinline, INSIDE_PLAIN))
#define INSIDE_PART static inline __attribute__((always_inline, INSIDE_PLAIN))

extern const uint8_t __start_strobe_inside[] __attribute__((visibility("hidden")));
extern const uint8_t __stop_strobe_inside[] __attribute__((visibility("hidden")));
extern const uint8_t inside_patch[] __attribute__((visibility("hidden")));
extern const uint8_t inside_calls[] __attribute__((visibility("hidden")));
extern const uint8_t inside_load[] __attribute__((visibility("hidden")));
void inside_hit(const struct inside_frame *frame, struct inside_site *site);

// See inside.h. A store is made if the bytes are as they are expected to be.
__asm__(".pushsection strobe_inside,\"ax\",@progbits\n"
	".balign 16\n"
	"inside_patch:\n"
	"mov $1, %ebp\n"
	"mov %r12, %r10\n"
	"mov %r13, %r9\n"
	"1: mov (%r10), %rdi\n"
	"mov 8(%r10), %rsi\n"
	"mov 16(%r10), %rdx\n"
	"mov $10, %eax\n" // mprotect
	"syscall\n"
	"mov %rax, 32(%r10)\n"
	"test %rax, %rax\n"
	"jnz 4f\n"
	"add $40, %r10\n"
	"dec %r9\n"
	"jnz 1b\n"
	"2: mov (%r14), %rdi\n"
	"mov 8(%r14), %rax\n"
	"mov 16(%r14), %rdx\n"
	"mov 24(%r14), %rbx\n"
	"mov 32(%r14), %rcx\n"
	"lock cmpxchg16b (%rdi)\n"
	"setz 40(%r14)\n"
	"add $48, %r14\n"
	"dec %r15\n"
	"jnz 2b\n"
	"mov $324, %eax\n" // membarrier
	"mov $32, %edi\n"  // MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE
	"xor %esi, %esi\n"
	"xor %edx, %edx\n"
	"syscall\n"
	"mov %rax, %rbp\n"
	"4: mov (%r12), %rdi\n" // as they were, opened or not
	"mov 8(%r12), %rsi\n"
	"mov 24(%r12), %rdx\n"
	"mov $10, %eax\n"
	"syscall\n"
	"add $40, %r12\n"
	"dec %r13\n"
	"jnz 4b\n"
	"mov %rbp, %rbx\n"
	"int3\n"
	".balign 16\n"
	"inside_calls:\n"
	"mov (%r12), %rax\n"
	"mov 8(%r12), %rdi\n"
	"mov 16(%r12), %rsi\n"
	"mov 24(%r12), %rdx\n"
	"mov 32(%r12), %r10\n"
	"mov 40(%r12), %r8\n"
	"mov 48(%r12), %r9\n"
	"syscall\n"
	"mov %rax, 56(%r12)\n"
	"add $64, %r12\n"
	"dec %r13\n"
	"jnz inside_calls\n"
	"int3\n"
	".popsection\n");

#define TEXT_OF(x) #x
#define TEXT(x) TEXT_OF(x)
// See inside.h. struct inside_control is INSIDE_CODE_SIZE behind the code's beginning: its pid is at 16, `reads` at 20.
__asm__(".pushsection strobe_inside,\"ax\",@progbits\n"
	".balign 16\n"
	"inside_load:\n"
	"push %rax\n"
	"push %rdx\n"
	"push %rsi\n"
	"push %rdi\n"
	"push %r8\n"
	"push %r9\n"
	"push %r10\n"
	"push %r11\n"
	"mov 72(%rsp), %rdx\n" // how many bytes
	"push %rdx\n"	       // iovec of the other side
	"push %rcx\n"
	"push %rdx\n" // of ours: the word below
	"push %rdx\n"
	"push $0\n"
	"mov %rsp, 8(%rsp)\n"
	"lea __start_strobe_inside+" TEXT(INSIDE_CODE_SIZE) "(%rip), %rax\n"
							    "cmpl $0, 20(%rax)\n"
							    "je 1f\n"
							    "mov 16(%rax), %edi\n"
							    "mov $310, %eax\n" // process_vm_readv
							    "lea 8(%rsp), %rsi\n"
							    "mov $1, %edx\n"
							    "lea 24(%rsp), %r10\n"
							    "mov $1, %r8d\n"
							    "xor %r9d, %r9d\n"
							    "syscall\n"
							    "mov (%rsp), %rcx\n"
							    "cmp 32(%rsp), %rax\n"
							    "jne 1f\n"
							    "clc\n"
							    "jmp 2f\n"
							    "1: stc\n"
							    "2: lea 40(%rsp), %rsp\n"
							    "pop %r11\n"
							    "pop %r10\n"
							    "pop %r9\n"
							    "pop %r8\n"
							    "pop %rdi\n"
							    "pop %rsi\n"
							    "pop %rdx\n"
							    "pop %rax\n"
							    "ret\n"
							    ".popsection\n");
_Static_assert(offsetof(struct inside_control, pid) == 16 &&
		       offsetof(struct inside_control, reads) == 20,
	       "known to inside_load");

INSIDE_PART uint64_t read_tsc(void)
{
	uint32_t low, high;
	__asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
	return (uint64_t)high << 32 | low;
}

INSIDE_PART uint64_t read_fs_base(const struct inside_control *control)
{
	uint64_t value = 0;
	if (control->fsgsbase)
		__asm__ volatile("rdfsbase %0" : "=r"(value));
	return value;
}

INSIDE_PART long call(long number, long a, long b, long c, long d, long e)
{
	long result;
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	register long r9 __asm__("r9") = 0;
	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return result;
}

INSIDE_PART void copy(void *to, const void *from, uint64_t size)
{
	__asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(size)::"memory");
}

/** False where something cannot be read, or for no such reason: a fault ends the transaction, and nobody is told. */
INSIDE_PART int copy_in_transaction(const struct inside_control *control, uint64_t to,
				    uint64_t from, uint64_t size)
{
	uint32_t status = ~0U;
	if (!control->transactions || size > INSIDE_TRANSACTION_MAX)
		return 0;
	__asm__ volatile("xbegin 1f\n"
			 "rep movsb\n"
			 "xend\n"
			 "1:"
			 : "+a"(status), "+D"(to), "+S"(from), "+c"(size)::"memory");
	return status == ~0U;
}

/** As far as it can be read: what is left of this page, and the rest by the kernel, which notices where it ends. */
INSIDE_PART uint32_t copy_stack(const struct inside_control *control, uint64_t sp, uint64_t wanted,
				uint8_t *to)
{
	uint64_t size = -sp & 4095;
	if (size > wanted)
		size = wanted;
	copy(to, (const void *)sp, size);
	if (size == wanted ||
	    copy_in_transaction(control, (uint64_t)(to + size), sp + size, wanted - size))
		return (uint32_t)wanted;
	if (!control->reads)
		return (uint32_t)size;
	struct {
		void *base;
		uint64_t size;
	} local = {to + size, wanted - size}, remote = {(void *)(sp + size), wanted - size};
	long more = call(SYS_process_vm_readv, control->pid, (long)&local, 1, (long)&remote, 1);
	return (uint32_t)(more > 0 ? size + (uint64_t)more : size);
}

struct part {
	uint64_t base, size;
};

/** What registers point to, as far as it can be read: bit n = register n. Most that look like pointers are some. */
INSIDE_PART uint32_t copy_pointees(const struct inside_control *control,
				   const struct inside_frame *frame, uint8_t *to)
{
	struct part local[INSIDE_POINTEES], remote[INSIDE_POINTEES];
	uint8_t which[INSIDE_POINTEES];
	uint32_t count = 0, known = 0;
	for (uint32_t i = 0; i < INSIDE_POINTEES; i++) {
		uint64_t address = (&frame->r15)[i];
		if (i == INSIDE_POINTEE_RBP || address < 65536 || address >> 47)
			continue;
		uint32_t same = 0;
		while (same < count && remote[same].base != address)
			same++;
		if (same < count)
			continue; // it is being copied
		if (copy_in_transaction(control, (uint64_t)(to + (uint64_t)i * INSIDE_POINTEE_SIZE),
					address, INSIDE_POINTEE_SIZE)) {
			known |= 1U << i;
			continue;
		}
		local[count].base = (uint64_t)(to + (uint64_t)i * INSIDE_POINTEE_SIZE);
		remote[count].base = address;
		local[count].size = remote[count].size = INSIDE_POINTEE_SIZE;
		which[count++] = (uint8_t)i;
	}
	for (uint32_t at = 0; at < count && control->reads;) {
		long got = call(SYS_process_vm_readv, control->pid, (long)&local[at], count - at,
				(long)&remote[at], count - at);
		for (; got >= INSIDE_POINTEE_SIZE && at < count; got -= INSIDE_POINTEE_SIZE)
			known |= 1U << which[at++];
		at++; // the one that could not be read
	}
	return known;
}

/** A slot of the ring for us alone, and its claim; NULL = full. */
INSIDE_PART struct inside_record *claim(struct inside_ring *ring, uint64_t *ret)
{
	uint64_t position = __atomic_load_n(&ring->head, __ATOMIC_RELAXED);
	for (;;) {
		uint64_t index = position & ring->mask;
		struct inside_record *record =
			(void *)((uint8_t *)ring + INSIDE_RING_HEAD + index * ring->slot_size);
		uint64_t sequence = __atomic_load_n(&record->sequence, __ATOMIC_ACQUIRE) + index;
		int64_t difference = (int64_t)(sequence - position);
		if (difference < 0)
			return NULL;
		if (difference > 0) {
			position = __atomic_load_n(&ring->head, __ATOMIC_RELAXED);
		} else if (__atomic_compare_exchange_n(&ring->head, &position, position + 1, 0,
						       __ATOMIC_ACQ_REL, __ATOMIC_RELAXED)) {
			*ret = position;
			return record;
		}
	}
}

/** There was one just now. One thread of several that come at the same time passes. */
INSIDE_PART int is_paused(struct inside_site *site, const struct inside_frame *frame,
			  uint64_t unsure)
{
	if (!site->pause || (unsure && !site->pauses_unsure))
		return 0;
	uint64_t now = read_tsc(), next = __atomic_load_n(&site->next, __ATOMIC_RELAXED);
	if (now >= next && __atomic_compare_exchange_n(&site->next, &next, now + site->pause, 0,
						       __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		return 0;
	// As trampolines do.
	uint64_t sp = (uint64_t)frame, shard = ((sp >> 23) + (sp >> 17)) % INSIDE_SHARDS;
	__atomic_fetch_add(&site->shards[shard].skipped, 1, __ATOMIC_RELAXED);
	return 1;
}

INSIDE void inside_hit(const struct inside_frame *frame, struct inside_site *site)
{
	uint64_t unsure = (uint64_t)site & INSIDE_UNSURE;
	site = (void *)((uint64_t)site - unsure);
	struct inside_control *control = (void *)site->control;
	if (!control)
		return; // a forked child
	if (is_paused(site, frame, unsure))
		return;
	__atomic_fetch_add(&control->inside, 1, __ATOMIC_SEQ_CST);
	if (__atomic_load_n(&control->live, __ATOMIC_SEQ_CST)) {
		struct inside_ring *ring = (void *)site->ring;
		uint64_t position;
		struct inside_record *record = claim(ring, &position);
		if (record) {
			uint64_t sp = (uint64_t)(frame + 1) + INSIDE_RED_ZONE;
			record->probe = site->probe;
			record->tsc = read_tsc();
			record->fs_base = read_fs_base(control);
			copy(&record->frame, frame, sizeof(*frame));
			record->sp = sp;
			record->unsure = (uint32_t)unsure;
			record->tid = (uint32_t)call(SYS_gettid, 0, 0, 0, 0, 0);
			record->pointees = 0;
			record->stack_size = 0;
			if (site->stack_bytes) {
				record->pointees = copy_pointees(control, frame, record->data);
				copy(record->red_zone, frame + 1, INSIDE_RED_ZONE);
				record->stack_size = copy_stack(control, sp, site->stack_bytes,
								record->data + INSIDE_POINTEE_ROOM);
			}
			// Not if the reader gave us up meanwhile.
			uint64_t claimed = position - (position & ring->mask);
			__atomic_compare_exchange_n(&record->sequence, &claimed, claimed + 1, 0,
						    __ATOMIC_RELEASE, __ATOMIC_RELAXED);
		} else {
			__atomic_fetch_add(&site->dropped, 1, __ATOMIC_RELAXED);
		}
	}
	__atomic_fetch_sub(&control->inside, 1, __ATOMIC_SEQ_CST);
}

const uint8_t *inside_code(uint64_t *size)
{
	*size = (uint64_t)(__stop_strobe_inside - __start_strobe_inside);
	return __start_strobe_inside;
}

uint64_t inside_hit_offset(void)
{
	return (uint64_t)((const uint8_t *)(uintptr_t)inside_hit - __start_strobe_inside);
}

uint64_t inside_patch_offset(void)
{
	return (uint64_t)(inside_patch - __start_strobe_inside);
}

uint64_t inside_calls_offset(void)
{
	return (uint64_t)(inside_calls - __start_strobe_inside);
}

uint64_t inside_load_offset(void)
{
	return (uint64_t)(inside_load - __start_strobe_inside);
}
