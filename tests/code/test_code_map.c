// SPDX-License-Identifier: Apache-2.0
#include "check.h"
#include "code/code_map.h"

static const uint8_t *code;
static size_t code_size;
enum { BASE = 0x1000 };

static size_t read_code(void *context, uint64_t address, void *buffer, size_t size)
{
	if (address - BASE >= code_size)
		return 0;
	size_t left = code_size - (address - BASE);
	if (size > left)
		size = left;
	memcpy(buffer, code + (address - BASE), size);
	return size;
}

static struct code_map *make(const uint8_t *bytes, size_t size)
{
	struct code_map *map = NULL;
	code = bytes;
	code_size = size;
	CHECK_OK(code_map_new(NULL, read_code, NULL, &map));
	return map;
}

static const struct code_stretch *find(struct code_map *map, uint64_t address, unsigned bits)
{
	uint32_t index = 0;
	CHECK_OK(code_map_find(map, address, bits, &index));
	return index == CODE_NONE ? NULL : code_map_stretch(map, index);
}

static void test_stretch(void)
{
	static const uint8_t bytes[] = {
		0x55,			// push %rbp
		0x48, 0x89, 0xe5,	// mov %rsp,%rbp
		0xe8, 0x02, 0,	  0, 0, // call +2
		0x74, 0xfe,		// je self
		0xc3,			// ret
	};
	struct code_map *map = make(bytes, sizeof(bytes));
	const struct code_stretch *stretch = find(map, BASE, 64);
	CHECK(stretch != NULL);
	CHECK_EQUAL(stretch->count, 3);
	CHECK_EQUAL(stretch->flow, STROBE_FLOW_CALL);
	CHECK(stretch->has_target);
	CHECK_EQUAL(stretch->target, BASE + 11);
	CHECK_EQUAL(stretch->end, BASE + 9);
	CHECK_EQUAL(code_map_address(map, stretch, 2), BASE + 4);
	CHECK_EQUAL(code_map_lengths(map, stretch)[1], 3);
	CHECK(find(map, BASE, 64) == stretch);
	CHECK_EQUAL(find(map, BASE + 9, 64)->flow, STROBE_FLOW_COND_JUMP);
	CHECK_EQUAL(find(map, BASE + 9, 64)->target, BASE + 9);
	CHECK_EQUAL(find(map, BASE + 11, 64)->flow, STROBE_FLOW_RETURN);
	CHECK(!find(map, BASE + 11, 64)->has_target);
	CHECK(find(map, BASE + 12, 64) == NULL);
	CHECK(find(map, BASE + 12, 64) == NULL);
	CHECK_EQUAL(code_map_count(map), 4);
	CHECK(code_map_bytes(map) > 0);
	code_map_free(map);
}

static void test_flows(void)
{
	static const struct {
		uint8_t bytes[8], size;
		enum strobe_flow flow;
	} flows[] = {
		{{0x0f, 0x05}, 2, STROBE_FLOW_FAR_CALL},	  // syscall
		{{0xcd, 0x80}, 2, STROBE_FLOW_FAR_CALL},	  // int $0x80
		{{0xcc}, 1, STROBE_FLOW_FAR_CALL},		  // int3
		{{0x48, 0xcf}, 2, STROBE_FLOW_FAR_RETURN},	  // iretq
		{{0x48, 0x0f, 0x07}, 3, STROBE_FLOW_FAR_RETURN},  // sysretq
		{{0x48, 0xcb}, 2, STROBE_FLOW_FAR_RETURN},	  // lretq
		{{0xff, 0xd0}, 2, STROBE_FLOW_CALL},		  // call *%rax
		{{0xff, 0xe0}, 2, STROBE_FLOW_JUMP},		  // jmp *%rax
		{{0x48, 0xff, 0x18}, 3, STROBE_FLOW_FAR_CALL},	  // rex.w lcall *(%rax)
		{{0xff, 0x28}, 2, STROBE_FLOW_FAR_JUMP},	  // ljmp *(%rax)
		{{0xf3, 0xc3}, 2, STROBE_FLOW_RETURN},		  // repz ret
		{{0xc2, 8, 0}, 3, STROBE_FLOW_RETURN},		  // ret $8
		{{0xe3, 0}, 2, STROBE_FLOW_COND_JUMP},		  // jrcxz
		{{0xe2, 0}, 2, STROBE_FLOW_COND_JUMP},		  // loop
		{{0xf2, 0xe9, 0, 0, 0, 0}, 6, STROBE_FLOW_JUMP},  // bnd jmp
		{{0x0f, 0x0b}, 2, STROBE_FLOW_OTHER},		  // ud2
		{{0xc7, 0xf8, 0, 0, 0, 0}, 6, STROBE_FLOW_OTHER}, // xbegin
	};
	for (size_t i = 0; i < sizeof(flows) / sizeof(flows[0]); i++) {
		struct code_map *map = make(flows[i].bytes, flows[i].size);
		const struct code_stretch *stretch = find(map, BASE, 64);
		CHECK(stretch != NULL);
		CHECK_EQUAL(stretch->count, 1);
		CHECK_EQUAL(stretch->end, BASE + flows[i].size);
		CHECK_EQUAL(stretch->flow, flows[i].flow);
		code_map_free(map);
	}
}

static void test_bits(void)
{
	// 40 is INC EAX in 32-bit code and a prefix in 64-bit code; e9 has two bytes behind it with 16 bits.
	static const uint8_t bytes[] = {0x40, 0x90, 0xe9, 0xfc, 0xff, 0xff, 0xff};
	struct code_map *map = make(bytes, sizeof(bytes));
	CHECK_EQUAL(find(map, BASE, 32)->count, 3);
	CHECK_EQUAL(find(map, BASE, 64)->count, 2);
	CHECK_EQUAL(find(map, BASE + 2, 16)->end, BASE + 5);
	CHECK_EQUAL(find(map, BASE + 2, 16)->target, BASE + 1);
	CHECK_EQUAL(find(map, BASE + 2, 32)->target, BASE + 3);
	code_map_free(map);
}

static void test_long(void)
{
	enum { SIZE = 200000 };
	uint8_t *bytes = malloc(SIZE);
	CHECK(bytes != NULL);
	memset(bytes, 0x90, SIZE);
	struct code_map *map = make(bytes, SIZE);
	for (uint64_t at = 0; at + CODE_STRETCH_MAX < SIZE; at += 3) {
		const struct code_stretch *stretch = find(map, BASE + at, 64);
		CHECK_EQUAL(stretch->count, CODE_STRETCH_MAX);
		CHECK_EQUAL(stretch->flow, STROBE_FLOW_OTHER);
		CHECK_EQUAL(stretch->end, BASE + at + CODE_STRETCH_MAX);
	}
	const struct code_stretch *first = find(map, BASE, 64);
	CHECK_EQUAL(first->address, BASE);
	CHECK_EQUAL(code_map_lengths(map, first)[255], 1);
	CHECK_EQUAL(find(map, BASE + SIZE - 5, 64)->count, 5);
	code_map_free(map);
	free(bytes);
}

CHECK_MAIN({"a stretch ends with the first branch", test_stretch},
	   {"each kind of branch has its flow", test_flows},
	   {"code is decoded for the bits it runs with", test_bits},
	   {"long straight code is cut, and what was given stays", test_long}, )
