// SPDX-License-Identifier: Apache-2.0
#include "pt/damage.h"

#include "check.h"
#include "view/build.h"

#include "fixture.h"

static struct image image;
static struct damage *damage;
static struct strobe_view *view;
enum { BASE = 0x401000, SIZE = 256 };

// Code of NOPs (of two bytes: not padding) with `bytes` at `offset`.
static void make(const uint8_t *before, size_t before_size, uint64_t target)
{
	uint8_t code[SIZE];
	for (size_t i = 0; i < SIZE; i += 2)
		memcpy(code + i, "\x31\xc0", 2); // xor %eax,%eax
	memcpy(code + (target - BASE) - before_size, before, before_size);
	view = code_view(BASE, code, sizeof(code));
	CHECK_OK(image_init(&image, view));
	damage = calloc(1, sizeof(*damage));
	CHECK(damage != NULL);
	damage->image = &image;
	CHECK_OK(code_map_new(view, image_read, &image, &damage->map));
}

static void end(void)
{
	code_map_free(damage->map);
	free(damage);
	image_fini(&image);
	strobe_view_close(view);
}

static const struct code_stretch *stretch(uint64_t address)
{
	uint32_t index = 0;
	CHECK_OK(code_map_find(damage->map, address, 64, &index));
	CHECK(index != CODE_NONE);
	return code_map_stretch(damage->map, index);
}

static void test_calls(void)
{
	static const struct {
		uint8_t bytes[8], size;
		bool call;
	} befores[] = {
		{{0xe8, 1, 2, 3, 4}, 5, true},
		{{0xff, 0xd0}, 2, true},		   // call *%rax
		{{0x41, 0xff, 0xd4}, 3, true},		   // call *%r12
		{{0xff, 0x15, 1, 2, 3, 4}, 6, true},	   // call *x(%rip)
		{{0xff, 0x94, 0xc3, 1, 2, 3, 4}, 7, true}, // call *x(%rbx,%rax,8)
		{{0xff, 0x50, 0x18}, 3, true},		   // call *24(%rax)
		{{0x0f, 0x05}, 2, true},		   // syscall
		{{0x31, 0xc0}, 2, false},
		{{0x48, 0x8b, 0x07}, 3, false},
		{{0xe9, 1, 2, 3, 4}, 5, false},
		{{0xff, 0xe0}, 2, false}, // jmp *%rax
	};
	for (size_t i = 0; i < sizeof(befores) / sizeof(befores[0]); i++) {
		uint64_t target = BASE + 101;
		make(befores[i].bytes, befores[i].size, target);
		CHECK_EQUAL(damage_check_return(damage, stretch(BASE + 4), target, false),
			    befores[i].call);
		CHECK_EQUAL(damage_check_return(damage, stretch(BASE + 4), target, true),
			    befores[i].call);
		end();
	}
}

static void test_false_alarms(void)
{
	static const uint8_t other[] = {0x31, 0xc9};
	static const struct {
		uint8_t bytes[16], size;
	} returns[] = {
		{{0x48, 0x89, 0x04, 0x24, 0xc3}, 5},	      // mov %rax,(%rsp)
		{{0x51, 0x31, 0xc0, 0xc3}, 4},		      // push %rcx
		{{0x48, 0x89, 0xcc, 0xc3}, 4},		      // mov %rcx,%rsp
		{{0x48, 0x8b, 0xa7, 0xa0, 0, 0, 0, 0xc3}, 8}, // mov 160(%rdi),%rsp
		{{0x48, 0x8d, 0x64, 0x24, 0x08, 0xc3}, 6},    // lea 8(%rsp),%rsp
		{{0xff, 0x77, 0x10, 0xc3}, 4},		      // push 16(%rdi)
	};
	static const struct {
		uint8_t bytes[12], size;
	} targets[] = {
		{{0xf3, 0x0f, 0x1e, 0xfa}, 4},			    // endbr64
		{{0x55, 0x48, 0x89, 0xe5}, 4},			    // push %rbp
		{{0x48, 0xc7, 0xc0, 0x0f, 0, 0, 0, 0x0f, 0x05}, 9}, // rt_sigreturn
	};
	uint64_t target = BASE + 101;
	for (size_t i = 0; i < sizeof(returns) / sizeof(returns[0]); i++) {
		// The return's own code ends right before some other place.
		make(returns[i].bytes, returns[i].size, BASE + 50);
		CHECK(damage_check_return(damage, stretch(BASE + 50 - returns[i].size), target,
					  false));
		CHECK(!damage_check_return(damage, stretch(BASE + 60), target, false));
		CHECK(!damage_check_return(damage, stretch(BASE + 50 - returns[i].size), target,
					   true));
		end();
	}
	for (size_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++) {
		make(targets[i].bytes, targets[i].size, target + targets[i].size);
		CHECK(damage_check_return(damage, stretch(BASE), target, false));
		end();
	}
	// Functions begin at multiples of 16; and where nothing can be read, nothing is said.
	make(other, sizeof(other), target);
	CHECK(damage_check_return(damage, stretch(BASE), BASE + 96, false));
	CHECK(damage_check_return(damage, stretch(BASE), BASE + SIZE + 8, false));
	CHECK(damage_check_return(damage, stretch(BASE), BASE, false));
	end();
}

static void test_boundaries(void)
{
	static const uint8_t long_one[] = {0x48, 0xb8, 1, 2, 3, 4, 5, 6, 7, 8}; // movabs
	make(long_one, sizeof(long_one), BASE + 130);
	CHECK(damage_check_boundary(damage, BASE + 120));
	CHECK(damage_check_boundary(damage, BASE + 130));
	CHECK(!damage_check_boundary(damage, BASE + 123));
	CHECK(damage_check_boundary(damage, BASE + 3)); // too near to where reading begins
	end();
}

// `bytes` in the middle of a function; is a jump to `skip` bytes into them one into an instruction?
static bool is_inside(const uint8_t *bytes, size_t size, unsigned skip, uint64_t function_end)
{
	struct function_range range = {BASE, function_end};
	struct function_table table = {.start = BASE, .end = BASE + SIZE};
	struct functions functions = {0};
	make(bytes, size, BASE + 120 + size);
	CHECK(array_push(&table.symbols, range));
	CHECK(array_push(&functions.tables, table));
	damage->functions = &functions;
	bool inside = damage_is_inside(damage, BASE + 120 + skip);
	CHECK_EQUAL(damage_is_inside(damage, BASE + 120 + skip), inside);
	functions_fini(&functions);
	end();
	return inside;
}

static void test_insides(void)
{
	static const uint8_t move[] = {0x48, 0xb8, 1, 2, 3, 4, 5, 6, 7, 8};   // movabs
	static const uint8_t locked[] = {0xf0, 0x0f, 0xb1, 0x17, 0x31, 0xc0}; // lock cmpxchg
	static const uint8_t no_code[] = {0x06, 0x31, 0xc0, 0x48, 0xb8, 1, 2,
					  3,	4,    5,    6,	  7,	8, 0x90};
	CHECK(!is_inside(move, sizeof(move), 0, BASE + SIZE));
	CHECK(is_inside(move, sizeof(move), 3, BASE + SIZE));
	CHECK(!is_inside(move, sizeof(move), sizeof(move), BASE + SIZE));
	// On purpose: past a prefix. Not known: where the function ends before, or within an instruction, or has data.
	CHECK(!is_inside(locked, sizeof(locked), 1, BASE + SIZE));
	CHECK(is_inside(locked, sizeof(locked), 2, BASE + SIZE));
	CHECK(!is_inside(move, sizeof(move), 3, BASE + 120));
	CHECK(!is_inside(move, sizeof(move), 3, BASE + 125));
	CHECK(!is_inside(no_code, sizeof(no_code), 5, BASE + SIZE));
}

static size_t find_zeros(size_t zeros, bool enabled, bool strict)
{
	uint8_t packets[128];
	size_t size = 0, count = 0;
	struct pt_config config;
	for (unsigned i = 0; i < 8; i++, size += 2)
		memcpy(packets + size, "\x02\x82", 2);
	if (enabled) {
		memcpy(packets + size, "\x7d\x00\x10\x40\x00\x00\x00", 7); // FUP
		size += 7;
	}
	memcpy(packets + size, "\x02\x23", 2); // PSBEND
	size += 2;
	memset(packets + size, 0, zeros);
	size += zeros;
	packets[size++] = 0x06; // TNT
	pt_config_init(&config);
	return damage_find_zeros(&config, packets, size, strict, &count);
}

static void test_zeros(void)
{
	CHECK_EQUAL(find_zeros(40, true, false), 25);
	CHECK_EQUAL(find_zeros(17, true, false), 25);
	CHECK_EQUAL(find_zeros(16, true, false), SIZE_MAX);
	CHECK_EQUAL(find_zeros(16, true, true), 25);
	CHECK_EQUAL(find_zeros(8, true, true), SIZE_MAX);
	CHECK_EQUAL(find_zeros(40, false, true), SIZE_MAX);
}

CHECK_MAIN({"a return goes behind a call", test_calls},
	   {"code that makes its returns, and what is no return's, is left alone",
	    test_false_alarms},
	   {"a place within an instruction is told", test_boundaries},
	   {"a jump into an instruction is certain, or none", test_insides},
	   {"zero bytes that are no padding are found", test_zeros}, )
