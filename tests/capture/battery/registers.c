// SPDX-License-Identifier: Apache-2.0
// Registers keep what a thread put there. Each check loads patterns, spins in assembler without
// touching them, stores them and compares.
#include "battery.h"

#include <asm/prctl.h>
#include <cpuid.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { SPINS = 2000000 };

struct general {
	uint64_t in[16], out[16]; // rax rbx rcx rdx rsi rdi r8 ... r15, without rsp and rbp: 14
	uint64_t spins, saved_rsp, saved_rbp, rbp_in, rbp_out;
};
static struct general general __attribute__((used));

// Not through the compiler: it needs some registers for itself.
__asm__(".text\n"
	".type spin_general,@function\n"
	"spin_general:\n"
	"	push %rbx\n push %rbp\n push %r12\n push %r13\n push %r14\n push %r15\n"
	"	lea general(%rip), %rax\n"
	"	mov 280(%rax), %rbp\n"
	"	mov 8(%rax), %rbx\n mov 16(%rax), %rcx\n mov 24(%rax), %rdx\n"
	"	mov 32(%rax), %rsi\n mov 40(%rax), %rdi\n mov 48(%rax), %r8\n"
	"	mov 56(%rax), %r9\n mov 64(%rax), %r10\n mov 72(%rax), %r11\n"
	"	mov 80(%rax), %r12\n mov 88(%rax), %r13\n mov 96(%rax), %r14\n"
	"	mov 104(%rax), %r15\n mov 0(%rax), %rax\n"
	"1:	decq general+256(%rip)\n"
	"	jnz 1b\n"
	"	mov %rax, general+128(%rip)\n mov %rbx, general+136(%rip)\n"
	"	mov %rcx, general+144(%rip)\n mov %rdx, general+152(%rip)\n"
	"	mov %rsi, general+160(%rip)\n mov %rdi, general+168(%rip)\n"
	"	mov %r8, general+176(%rip)\n mov %r9, general+184(%rip)\n"
	"	mov %r10, general+192(%rip)\n mov %r11, general+200(%rip)\n"
	"	mov %r12, general+208(%rip)\n mov %r13, general+216(%rip)\n"
	"	mov %r14, general+224(%rip)\n mov %r15, general+232(%rip)\n"
	"	mov %rbp, general+288(%rip)\n"
	"	pop %r15\n pop %r14\n pop %r13\n pop %r12\n pop %rbp\n pop %rbx\n"
	"	ret\n"
	".size spin_general,.-spin_general\n");
void spin_general(void);
_Static_assert(offsetof(struct general, out) == 128 && offsetof(struct general, spins) == 256 &&
		       offsetof(struct general, rbp_in) == 280,
	       "as the assembler has it");

static void general_registers(const struct battery_check *check)
{
	static const char *const names[] = {"rax", "rbx", "rcx", "rdx", "rsi", "rdi", "r8",
					    "r9",  "r10", "r11", "r12", "r13", "r14", "r15"};
	battery_ready();
	for (uint64_t round = 1; battery_more(); round++) {
		for (uint64_t i = 0; i < 14; i++)
			general.in[i] = (round * 0x9e3779b97f4a7c15u) ^ (i * 0x0101010101010101u);
		// Negative, like an error that a call that is made anew would leave.
		general.in[0] = round % 2 ? (uint64_t)-512 - round % 8 : general.in[0];
		general.rbp_in = ~round;
		general.spins = SPINS;
		spin_general();
		for (int i = 0; i < 14; i++)
			EXPECT(general.in[i] == general.out[i], "%s was 0x%llx and is 0x%llx",
			       names[i], (unsigned long long)general.in[i],
			       (unsigned long long)general.out[i]);
		EXPECT(general.rbp_out == general.rbp_in, "rbp changed");
	}
}

// All flags that a program may set, the direction among them.
static void flags(const struct battery_check *check)
{
	battery_ready();
	for (uint64_t round = 0; battery_more(); round++) {
		static const uint64_t patterns[] = {0xcd5, 0x202, 0x8d5, 0x400, 0x0};
		uint64_t in = (patterns[round % 5] & 0xcd5) | 0x202, out, spins = SPINS;
		__asm__ volatile("lea -128(%%rsp), %%rsp\n push %[in]\n popf\n"
				 "1: jrcxz 2f\n lea -1(%%rcx), %%rcx\n jmp 1b\n"
				 "2: pushf\n pop %[out]\n cld\n lea 128(%%rsp), %%rsp\n"
				 : [out] "=&r"(out), "+c"(spins)
				 : [in] "r"(in)
				 : "cc", "memory");
		EXPECT(out == in, "flags were 0x%llx and are 0x%llx", (unsigned long long)in,
		       (unsigned long long)out);
	}
}

static unsigned char vector_in[32 * 64] __attribute__((aligned(64)));
static unsigned char vector_out[32 * 64] __attribute__((aligned(64)));

static void fill_vectors(uint64_t round)
{
	for (size_t i = 0; i < sizeof(vector_in); i++)
		vector_in[i] = (unsigned char)(i * 7 + i / 64 * 31 + round * 13);
	memset(vector_out, 0, sizeof(vector_out));
}

static bool same_vectors(size_t count, size_t width)
{
	for (size_t i = 0; i < count; i++)
		if (memcmp(vector_in + i * 64, vector_out + i * 64, width) != 0) {
			battery_fail("vector register %zu changed", i);
			return false;
		}
	return true;
}

#define ALL16(X)                                                                                   \
	X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14) X(15)
#define UPPER16(X)                                                                                 \
	X(16)                                                                                      \
	X(17) X(18) X(19) X(20) X(21) X(22) X(23) X(24) X(25) X(26) X(27) X(28) X(29) X(30) X(31)
#define LOAD_XMM(n) "movaps " #n "*64(%[in]), %%xmm" #n "\n"
#define STORE_XMM(n) "movaps %%xmm" #n ", " #n "*64(%[out])\n"
#define LOAD_YMM(n) "vmovaps " #n "*64(%[in]), %%ymm" #n "\n"
#define STORE_YMM(n) "vmovaps %%ymm" #n ", " #n "*64(%[out])\n"
#define LOAD_ZMM(n) "vmovaps " #n "*64(%[in]), %%zmm" #n "\n"
#define STORE_ZMM(n) "vmovaps %%zmm" #n ", " #n "*64(%[out])\n"
#define SPIN "1: dec %[spins]\n jnz 1b\n"
#define XMM_CLOBBERS                                                                               \
	"xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10",   \
		"xmm11", "xmm12", "xmm13", "xmm14", "xmm15", "cc", "memory"

static void sse(const struct battery_check *check)
{
	battery_ready();
	for (uint64_t round = 0; battery_more(); round++) {
		uint64_t spins = SPINS;
		fill_vectors(round);
		__asm__ volatile(ALL16(LOAD_XMM) SPIN ALL16(STORE_XMM)
				 : [spins] "+r"(spins)
				 : [in] "r"(vector_in), [out] "r"(vector_out)
				 : XMM_CLOBBERS);
		if (!same_vectors(16, 16))
			return;
	}
}

static void avx(const struct battery_check *check)
{
	if (!__builtin_cpu_supports("avx")) {
		battery_skip("this processor has no AVX");
		return;
	}
	battery_ready();
	for (uint64_t round = 0; battery_more(); round++) {
		uint64_t spins = SPINS;
		fill_vectors(round);
		__asm__ volatile(ALL16(LOAD_YMM) SPIN ALL16(STORE_YMM) "vzeroupper\n"
				 : [spins] "+r"(spins)
				 : [in] "r"(vector_in), [out] "r"(vector_out)
				 : XMM_CLOBBERS);
		if (!same_vectors(16, 32))
			return;
	}
}

static void avx512(const struct battery_check *check)
{
	if (!__builtin_cpu_supports("avx512f")) {
		battery_skip("this processor has no AVX-512");
		return;
	}
	battery_ready();
	for (uint64_t round = 0; battery_more(); round++) {
		uint64_t spins = SPINS, mask_in = 0xa5c3 ^ (round & 0xffff), mask_out = 0;
		fill_vectors(round);
		__asm__ volatile(
			"kmovw %k[mask_in], %%k1\n kmovw %k[mask_in], %%k7\n" ALL16(LOAD_ZMM)
				UPPER16(LOAD_ZMM) SPIN ALL16(STORE_ZMM)
					UPPER16(STORE_ZMM) "kandw %%k1, %%k7, %%k1\n kmovw %%k1, "
							   "%k[mask_out]\n"
							   "vzeroupper\n"
			: [spins] "+r"(spins), [mask_out] "+r"(mask_out)
			: [in] "r"(vector_in), [out] "r"(vector_out), [mask_in] "r"(mask_in)
			: XMM_CLOBBERS);
		EXPECT(mask_in == mask_out, "mask registers changed");
		if (!same_vectors(32, 64))
			return;
	}
}

// arch_prctl(2) and cpuid(7): Documentation/arch/x86/xstate.rst, Intel SDM volume 1, chapter 18.
enum {
	REQUEST_STATE = 0x1023,
	TILE_DATA = 18,
	TILES = 8,
	TILE_ROWS = 16,
	TILE_ROW_BYTES = 64,
	TILE_BYTES = TILE_ROWS * TILE_ROW_BYTES
};

static bool has_tiles(void)
{
	unsigned a = 7, b, c = 0, d;
	__asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
	return d >> 24 & 1;
}

#define EACH_TILE(what) what(0) what(1) what(2) what(3) what(4) what(5) what(6) what(7)
#define LOAD_TILE(n) "tileloadd " #n "*1024(%[in],%[row],1), %%tmm" #n "\n"
#define STORE_TILE(n) "tilestored %%tmm" #n ", " #n "*1024(%[out],%[row],1)\n"

static void amx(const struct battery_check *check)
{
	static uint8_t in[TILES][TILE_BYTES], out[TILES][TILE_BYTES];
	struct {
		uint8_t palette, start, zero[14];
		uint16_t row_bytes[16];
		uint8_t rows[16];
	} configuration = {.palette = 1};
	_Static_assert(sizeof(configuration) == 64, "what ldtilecfg reads");
	if (!has_tiles()) {
		battery_skip("this processor has no AMX");
		return;
	}
	if (syscall(SYS_arch_prctl, REQUEST_STATE, TILE_DATA) != 0) {
		battery_skip("the kernel gives no AMX state");
		return;
	}
	for (int i = 0; i < TILES; i++) {
		configuration.row_bytes[i] = TILE_ROW_BYTES;
		configuration.rows[i] = TILE_ROWS;
	}
	battery_ready();
	for (uint64_t round = 0; battery_more(); round++) {
		uint64_t spins = SPINS, row = TILE_ROW_BYTES;
		for (size_t i = 0; i < sizeof(in); i++)
			in[i / TILE_BYTES][i % TILE_BYTES] =
				(uint8_t)(i * 31 + i / 251 + round * 7);
		memset(out, 0, sizeof(out));
		__asm__ volatile("ldtilecfg (%[configuration])\n" EACH_TILE(LOAD_TILE)
					 SPIN EACH_TILE(STORE_TILE) "tilerelease\n"
				 : [spins] "+r"(spins)
				 : [in] "r"(in), [out] "r"(out), [row] "r"(row),
				   [configuration] "r"(&configuration)
				 : "memory", "cc");
		EXPECT(memcmp(in, out, sizeof(in)) == 0, "tiles changed in round %llu",
		       (unsigned long long)round);
	}
}

static void x87(const struct battery_check *check)
{
	battery_ready();
	for (uint64_t round = 0; battery_more(); round++) {
		static long double in[8], out[8];
		uint64_t spins = SPINS;
		uint16_t control = round % 2 ? 0x27f : 0xf7f, control_out = 0;
		uint32_t mxcsr = round % 2 ? 0x5fa5 : 0x9f80, mxcsr_out = 0, mxcsr_normal = 0x1f80;
		for (int i = 0; i < 8; i++)
			in[i] = 1.0L / (long double)(3 + i + (int)(round % 1000));
		__asm__ volatile(
			"fninit\n fldt (%[in])\n fldt 16(%[in])\n fldt 32(%[in])\n"
			"fldt 48(%[in])\n fldt 64(%[in])\n fldt 80(%[in])\n fldt 96(%[in])\n"
			"fldt 112(%[in])\n fldcw %[control]\n ldmxcsr %[mxcsr]\n" SPIN
			"fnstcw %[control_out]\n stmxcsr %[mxcsr_out]\n"
			"fstpt 112(%[out])\n fstpt 96(%[out])\n fstpt 80(%[out])\n"
			"fstpt 64(%[out])\n fstpt 48(%[out])\n fstpt 32(%[out])\n"
			"fstpt 16(%[out])\n fstpt (%[out])\n fninit\n ldmxcsr %[mxcsr_normal]\n"
			: [spins] "+r"(spins), [control_out] "+m"(control_out),
			  [mxcsr_out] "+m"(mxcsr_out)
			: [in] "r"(in), [out] "r"(out), [control] "m"(control), [mxcsr] "m"(mxcsr),
			  [mxcsr_normal] "m"(mxcsr_normal)
			: "cc", "memory", "st", "st(1)", "st(2)", "st(3)", "st(4)", "st(5)",
			  "st(6)", "st(7)");
		for (int i = 0; i < 8; i++)
			EXPECT(memcmp(&in[i], &out[i], 10) == 0, "st(%d) changed", i);
		EXPECT(control == control_out, "the control word was 0x%x and is 0x%x", control,
		       control_out);
		EXPECT(mxcsr == mxcsr_out, "mxcsr was 0x%x and is 0x%x", mxcsr, mxcsr_out);
	}
}

// A leaf function may use 128 bytes below the stack pointer.
__asm__(".text\n"
	".type spin_red_zone,@function\n"
	"spin_red_zone:\n" // rdi: pattern, rsi: spins; how many words differ
	"	xor %eax, %eax\n"
	"	mov $-16, %rcx\n"
	"1:	lea (%rdi,%rcx), %rdx\n"
	"	mov %rdx, (%rsp,%rcx,8)\n"
	"	inc %rcx\n"
	"	jnz 1b\n"
	"2:	dec %rsi\n"
	"	jnz 2b\n"
	"	mov $-16, %rcx\n"
	"3:	lea (%rdi,%rcx), %rdx\n"
	"	cmp %rdx, (%rsp,%rcx,8)\n"
	"	je 4f\n"
	"	inc %eax\n"
	"4:	inc %rcx\n"
	"	jnz 3b\n"
	"	ret\n"
	".size spin_red_zone,.-spin_red_zone\n");
int spin_red_zone(uint64_t pattern, uint64_t spins);

static void red_zone(const struct battery_check *check)
{
	battery_ready();
	for (uint64_t round = 0; battery_more(); round++) {
		int differ = spin_red_zone(round * 0x9e3779b97f4a7c15u, SPINS);
		EXPECT(differ == 0, "%d of 16 words below the stack pointer changed", differ);
	}
}

static _Thread_local uint64_t own = 1;

static void segment_bases(const struct battery_check *check)
{
	static uint64_t area[8] = {0x1122334455667788};
	EXPECT(CALL(SYS_arch_prctl, ARCH_SET_GS, area) == 0, "arch_prctl failed");
	uint64_t fs, now;
	CALL(SYS_arch_prctl, ARCH_GET_FS, &fs);
	battery_ready();
	for (uint64_t round = 0; battery_more(); round++) {
		uint16_t selector_fs, selector_gs, selector_ds;
		uint64_t through_gs, *address = &own;
		for (int i = 0; i < 100000; i++) {
			__asm__ volatile("mov %%gs:0, %0" : "=r"(through_gs) : : "memory");
			EXPECT(through_gs == area[0], "%%gs:0 reads 0x%llx",
			       (unsigned long long)through_gs);
			__asm__ volatile("mov %%fs:0, %0" : "=r"(now) : : "memory");
			EXPECT(now == fs, "%%fs:0 reads 0x%llx", (unsigned long long)now);
		}
		__asm__ volatile("mov %%fs, %0\n mov %%gs, %1\n mov %%ds, %2"
				 : "=r"(selector_fs), "=r"(selector_gs), "=r"(selector_ds));
		EXPECT(selector_fs == 0 && selector_gs == 0 && selector_ds == 0,
		       "selectors fs 0x%x gs 0x%x ds 0x%x", selector_fs, selector_gs, selector_ds);
		CALL(SYS_arch_prctl, ARCH_GET_GS, &now);
		EXPECT(now == (uint64_t)area, "gs base 0x%llx", (unsigned long long)now);
		CALL(SYS_arch_prctl, ARCH_GET_FS, &now);
		EXPECT(now == fs && address == &own, "fs base 0x%llx", (unsigned long long)now);
	}
}

static void protection_keys(const struct battery_check *check)
{
	unsigned a, b, c = 0, d;
	if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || !(c & 1u << 4)) {
		battery_skip("this processor has no protection keys");
		return;
	}
	uint32_t in = 0x55555550, out, high;
	__asm__ volatile(".byte 0x0f,0x01,0xef" : : "a"(in), "c"(0), "d"(0)); // wrpkru
	battery_ready();
	while (battery_more())
		for (int i = 0; i < 10000; i++) {
			__asm__ volatile(".byte 0x0f,0x01,0xee" : "=a"(out), "=d"(high) : "c"(0));
			EXPECT(in == out, "PKRU was 0x%x and is 0x%x", in, out);
		}
}

static void *keep_errno(void *number)
{
	int value = 1000 + (int)(uintptr_t)number;
	errno = value;
	while (battery_more())
		for (int i = 0; i < 100000; i++) {
			__asm__ volatile("" : : : "memory");
			if (errno != value) {
				battery_fail("errno of thread %d is %d", (int)(uintptr_t)number,
					     errno);
				return NULL;
			}
		}
	return NULL;
}

static void errno_(const struct battery_check *check)
{
	pthread_t thread;
	pthread_create(&thread, NULL, keep_errno, (void *)1);
	battery_ready();
	keep_errno(NULL);
	pthread_join(thread, NULL);
}

// Registers that a system call keeps, in one that sleeps: it may be made anew for us.
static void registers_in_call(const struct battery_check *check)
{
	battery_ready();
	for (uint64_t round = 0; battery_more(); round++) {
		struct timespec {
			long seconds, nanoseconds;
		} time = {0, 4000000};
		uint64_t in = round * 0x9e3779b97f4a7c15u, b = in + 1, d = in + 2, e = in + 3;
		register uint64_t r8 __asm__("r8") = in + 4;
		register uint64_t r9 __asm__("r9") = in + 5;
		register uint64_t r10 __asm__("r10") = in + 6;
		register uint64_t r12 __asm__("r12") = in + 7;
		register uint64_t r13 __asm__("r13") = in + 8;
		register uint64_t r14 __asm__("r14") = in + 9;
		register uint64_t r15 __asm__("r15") = in + 10;
		long ret = SYS_nanosleep;
		void *first = &time, *second = NULL;
		__asm__ volatile("syscall"
				 : "+a"(ret), "+D"(first), "+S"(second), "+b"(b), "+d"(d), "+r"(r8),
				   "+r"(r9), "+r"(r10), "+r"(r12), "+r"(r13), "+r"(r14), "+r"(r15)
				 :
				 : "rcx", "r11", "memory");
		EXPECT(ret == 0, "nanosleep gives %ld", ret);
		EXPECT(first == &time && !second && b == in + 1 && d == in + 2 && e == in + 3,
		       "rdi, rsi, rbx or rdx changed");
		EXPECT(r8 == in + 4 && r9 == in + 5 && r10 == in + 6, "r8, r9 or r10 changed");
		EXPECT(r12 == in + 7 && r13 == in + 8 && r14 == in + 9 && r15 == in + 10,
		       "r12 to r15 changed");
	}
}

const struct battery_check register_checks[] = {
	{"general-registers", "rax to r15, rcx and r11 among them, while spinning",
	 general_registers},
	{"flags", "arithmetic and direction flags while spinning", flags},
	{"sse", "xmm0 to xmm15", sse},
	{"avx", "ymm0 to ymm15", avx},
	{"avx512", "zmm0 to zmm31 and masks", avx512},
	{"amx", "tiles", amx},
	{"x87", "the x87 stack, its control word, mxcsr", x87},
	{"red-zone", "128 bytes below the stack pointer of a leaf function", red_zone},
	{"segment-bases", "fs and gs, their bases and selectors", segment_bases},
	{"protection-keys", "PKRU", protection_keys},
	{"errno", "errno of spinning threads", errno_},
	{"registers-in-call", "registers across a call that sleeps", registers_in_call},
	{0},
};
