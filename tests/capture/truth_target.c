// SPDX-License-Identifier: Apache-2.0
// Threads that hold known values in all registers, in thread-local memory and on their stacks, and
// tell them as JSON. Then nothing changes any more.
#include <asm/prctl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { SPINNING = 3, ASLEEP = 2, THREADS = SPINNING + ASLEEP, STACK_WORDS = 64 };

struct pattern {
	uint8_t ymm[16][32];
	uint8_t x87[8][16];	     // 512
	uint64_t rax, rbx, rcx, rdx; // 640
	uint64_t rsi, rdi, rbp, rsp; // 672
	uint64_t r8, r9, r10, r11;   // 704
	uint64_t r12, r13, r14, r15; // 736
	uint64_t eflags;	     // 768
	uint32_t mxcsr, control;     // 776
	uint64_t call;		     // 784
	// For those who look.
	uint64_t gs_base, fs_base, stack_address, tls_address;
	int tid;
} __attribute__((aligned(64)));

#define LOAD_ALL                                                                                   \
	"	finit\n"                                                                                 \
	"	fldt 624(%rdi)\n fldt 608(%rdi)\n fldt 592(%rdi)\n fldt 576(%rdi)\n"                     \
	"	fldt 560(%rdi)\n fldt 544(%rdi)\n fldt 528(%rdi)\n fldt 512(%rdi)\n"                     \
	"	fldcw 780(%rdi)\n ldmxcsr 776(%rdi)\n"                                                   \
	"	mov %rsp, 696(%rdi)\n"                                                                   \
	"	testb $1, has_avx(%rip)\n jz 1f\n"                                                       \
	"	vmovaps 0(%rdi), %ymm0\n vmovaps 32(%rdi), %ymm1\n vmovaps 64(%rdi), %ymm2\n"            \
	"	vmovaps 96(%rdi), %ymm3\n vmovaps 128(%rdi), %ymm4\n vmovaps 160(%rdi), %ymm5\n"         \
	"	vmovaps 192(%rdi), %ymm6\n vmovaps 224(%rdi), %ymm7\n vmovaps 256(%rdi), %ymm8\n"        \
	"	vmovaps 288(%rdi), %ymm9\n vmovaps 320(%rdi), %ymm10\n vmovaps 352(%rdi), "              \
	"%ymm11\n"                                                                                 \
	"	vmovaps 384(%rdi), %ymm12\n vmovaps 416(%rdi), %ymm13\n"                                 \
	"	vmovaps 448(%rdi), %ymm14\n vmovaps 480(%rdi), %ymm15\n jmp 2f\n"                        \
	"1:	movaps 0(%rdi), %xmm0\n movaps 32(%rdi), %xmm1\n movaps 64(%rdi), %xmm2\n"             \
	"	movaps 96(%rdi), %xmm3\n movaps 128(%rdi), %xmm4\n movaps 160(%rdi), %xmm5\n"            \
	"	movaps 192(%rdi), %xmm6\n movaps 224(%rdi), %xmm7\n movaps 256(%rdi), %xmm8\n"           \
	"	movaps 288(%rdi), %xmm9\n movaps 320(%rdi), %xmm10\n movaps 352(%rdi), %xmm11\n"         \
	"	movaps 384(%rdi), %xmm12\n movaps 416(%rdi), %xmm13\n"                                   \
	"	movaps 448(%rdi), %xmm14\n movaps 480(%rdi), %xmm15\n"                                   \
	"2:	pushq 768(%rdi)\n popf\n"                                                              \
	"	mov 648(%rdi), %rbx\n mov 656(%rdi), %rcx\n mov 664(%rdi), %rdx\n"                       \
	"	mov 672(%rdi), %rsi\n mov 688(%rdi), %rbp\n mov 704(%rdi), %r8\n"                        \
	"	mov 712(%rdi), %r9\n mov 720(%rdi), %r10\n mov 728(%rdi), %r11\n"                        \
	"	mov 736(%rdi), %r12\n mov 744(%rdi), %r13\n mov 752(%rdi), %r14\n"                       \
	"	mov 760(%rdi), %r15\n"

__asm__(".text\n"
	".globl hold_spinning, held_spinning, hold_asleep, held_asleep\n"
	"hold_spinning:\n" LOAD_ALL "	mov 640(%rdi), %rax\n mov 680(%rdi), %rdi\n"
	"held_spinning:\n"
	"	jmp held_spinning\n"
	"hold_asleep:\n" LOAD_ALL "	mov 680(%rdi), %rdi\n"
	"3:	mov $34, %eax\n" // pause
	"	syscall\n"
	"held_asleep:\n"
	"	jmp 3b\n");
void hold_spinning(struct pattern *pattern);
void hold_asleep(struct pattern *pattern);
extern char held_spinning[], held_asleep[];

_Static_assert(__builtin_offsetof(struct pattern, rax) == 640 &&
		       __builtin_offsetof(struct pattern, rsp) == 696 &&
		       __builtin_offsetof(struct pattern, mxcsr) == 776,
	       "as the assembler has it");

uint8_t has_avx __attribute__((visibility("hidden")));
struct pattern patterns[THREADS];
uint64_t global_words[32] = {1};
const char *global_text = "a text to be found";
_Thread_local uint64_t tls_word;
_Thread_local uint32_t tls_zeros[16];
static _Atomic int ready;

static uint64_t mix(uint64_t number)
{
	number = (number + 0x9e3779b97f4a7c15u) * 0xbf58476d1ce4e5b9u;
	return number ^ number >> 29;
}

static void fill(struct pattern *p, int index)
{
	uint64_t seed = (uint64_t)(index + 1) << 32;
	for (int i = 0; i < 16; i++)
		for (int k = 0; k < 32; k++)
			p->ymm[i][k] = (uint8_t)(mix(seed + (uint64_t)(i * 32 + k)) >> 7);
	for (int i = 0; i < 8; i++) {
		long double value = 1.0L / (long double)(index * 8 + i + 3);
		memcpy(p->x87[i], &value, 10);
	}
	uint64_t *words[] = {&p->rax, &p->rbx, &p->rcx, &p->rdx, &p->rsi, &p->rdi, &p->rbp, &p->r8,
			     &p->r9,  &p->r10, &p->r11, &p->r12, &p->r13, &p->r14, &p->r15};
	for (uint64_t i = 0; i < 15; i++)
		*words[i] = mix(seed + 1000 + i);
	static const uint64_t flags[] = {0x202, 0x203, 0x246, 0xa87, 0xad7};
	p->eflags = flags[index % 5];
	p->mxcsr = 0x1f80u | (unsigned)(index % 4) << 13;
	p->control = 0x37fu & ~((unsigned)(index % 2) << 8);
}

static void *hold(void *argument)
{
	struct pattern *p = argument;
	int index = (int)(p - patterns);
	uint64_t stack[STACK_WORDS];
	for (uint64_t i = 0; i < STACK_WORDS; i++)
		stack[i] = mix(((uint64_t)(index + 1) << 40) + i);
	__asm__ volatile("" : : "r"(stack) : "memory");
	tls_word = mix((uint64_t)index + 77);
	for (uint32_t i = 0; i < 16; i++)
		tls_zeros[i] = i * (uint32_t)(index + 1);
	p->stack_address = (uint64_t)stack;
	p->tls_address = (uint64_t)&tls_word;
	p->tid = (int)syscall(SYS_gettid);
	syscall(SYS_arch_prctl, ARCH_SET_GS, &global_words[index]);
	p->gs_base = (uint64_t)&global_words[index];
	syscall(SYS_arch_prctl, ARCH_GET_FS, &p->fs_base);
	atomic_fetch_add(&ready, 1);
	if (index < SPINNING)
		hold_spinning(p);
	else
		hold_asleep(p);
	return NULL;
}

static void tell(const struct pattern *p, int index)
{
	printf("%s{\"tid\": %d, \"spinning\": %s, \"rip\": %llu, \"stack\": %llu, \"tls\": %llu, "
	       "\"registers\": {",
	       index ? ", " : "", p->tid, index < SPINNING ? "true" : "false",
	       (unsigned long long)(index < SPINNING ? held_spinning : held_asleep),
	       (unsigned long long)p->stack_address, (unsigned long long)p->tls_address);
	static const char *const names[] = {"rax", "rbx", "rcx", "rdx", "rsi",	 "rdi",
					    "rbp", "rsp", "r8",	 "r9",	"r10",	 "r11",
					    "r12", "r13", "r14", "r15", "eflags"};
	const uint64_t *values = &p->rax;
	for (int i = 0; i < 17; i++)
		printf("\"%s\": %llu, ", names[i], (unsigned long long)values[i]);
	printf("\"fs_base\": %llu, \"gs_base\": %llu, \"mxcsr\": %u, \"fctrl\": %u},\n "
	       "\"vectors\": [",
	       (unsigned long long)p->fs_base, (unsigned long long)p->gs_base, p->mxcsr,
	       p->control);
	for (int i = 0; i < 16; i++) {
		printf("%s\"", i ? ", " : "");
		for (int k = has_avx ? 31 : 15; k >= 0; k--)
			printf("%02x", p->ymm[i][k]);
		printf("\"");
	}
	printf("], \"x87\": [");
	for (int i = 0; i < 8; i++) {
		printf("%s\"", i ? ", " : "");
		for (int k = 9; k >= 0; k--)
			printf("%02x", p->x87[i][k]);
		printf("\"");
	}
	printf("]}\n");
}

int main(void)
{
	pthread_t thread;
	alarm(600);
	has_avx = __builtin_cpu_supports("avx") ? 1 : 0;
	for (uint64_t i = 0; i < 32; i++)
		global_words[i] = mix(i + 5000);
	for (int i = 0; i < THREADS; i++) {
		fill(&patterns[i], i);
		if (pthread_create(&thread, NULL, hold, &patterns[i]) != 0)
			return 1;
	}
	while (atomic_load(&ready) != THREADS)
		usleep(1000);
	usleep(50000);
	printf("{\"avx\": %s, \"pid\": %d, \"words\": %llu, \"threads\": [",
	       has_avx ? "true" : "false", (int)getpid(), (unsigned long long)&global_words[0]);
	for (int i = 0; i < THREADS; i++)
		tell(&patterns[i], i);
	printf("]}\n");
	fflush(stdout);
	for (;;)
		pause();
}
