// SPDX-License-Identifier: Apache-2.0
#include "symbols/expression.h"

#include <dwarf.h>

#include "check.h"
#include "symbols/unit.h"

// A frame with registers 0-16 holding 0x1000 * (n + 1), 16 bytes of memory at 0x5000, CFA 0x7000.
enum { MEMORY_START = 0x5000, MEMORY_SIZE = 16 };

static bool get_register(void *data, unsigned number, void *buffer, size_t *size, uint64_t *address)
{
	uint64_t value = UINT64_C(0x1000) * (number + 1);
	if (number > 16)
		return false;
	memcpy(buffer, &value, sizeof(value));
	*size = sizeof(value);
	return true;
}

static bool get_cfa(void *data, uint64_t *ret)
{
	*ret = 0x7000;
	return true;
}

static bool get_frame_base(void *data, uint64_t *ret)
{
	*ret = 0x6000;
	return true;
}

static bool get_tls(void *data, uint64_t offset, uint64_t *ret)
{
	*ret = 0x900000 + offset;
	return true;
}

static bool get_object(void *data, uint64_t *ret)
{
	*ret = 0xabc0;
	return true;
}

static size_t read_memory(void *data, uint64_t address, void *buffer, size_t size)
{
	uint8_t *bytes = buffer;
	size_t i;
	for (i = 0; i < size; i++) {
		if (address + i < MEMORY_START || address + i >= MEMORY_START + MEMORY_SIZE)
			break;
		bytes[i] = 0xf0 + (address + i - MEMORY_START);
	}
	return i;
}

static bool get_entry_value(void *data, const uint8_t *expression, size_t size, uint64_t *ret)
{
	*ret = 0xe0 + expression[0];
	return size == 1 && expression[0] == DW_OP_reg5;
}

static const uint8_t address_table[] = {0, 1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 9};
static struct unit unit = {.version = 5,
			   .address_size = 8,
			   .offset_size = 4,
			   .addr = address_table,
			   .addr_size = sizeof(address_table)};
static const struct expression_context full = {
	.unit = &unit,
	.bias = 0x10000,
	.get_register = get_register,
	.get_cfa = get_cfa,
	.get_frame_base = get_frame_base,
	.get_tls = get_tls,
	.get_object_address = get_object,
	.read_memory = read_memory,
	.get_entry_value = get_entry_value,
};

/** A heap copy, so that valgrind and ASan see a read past the end. */
static void evaluate_in(const struct expression_context *context, const void *bytes, size_t size,
			struct location *ret)
{
	uint8_t *copy = malloc(size ? size : 1);
	memcpy(copy, bytes, size);
	expression_evaluate(context, copy, size, ret);
	free(copy);
}

static struct location_piece one(const void *bytes, size_t size)
{
	struct location location;
	evaluate_in(&full, bytes, size, &location);
	CHECK_EQUAL(location.piece_count, 1);
	struct location_piece piece = location.pieces[0];
	location_fini(&location);
	return piece;
}
#define BYTES(...) (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__})
#define ADDRESS(expected, ...)                                                                     \
	do {                                                                                       \
		struct location_piece address_piece = one(BYTES(__VA_ARGS__));                     \
		if (address_piece.problem)                                                         \
			printf("# %s\n", address_piece.problem);                                   \
		CHECK_EQUAL(address_piece.kind, LOCATION_MEMORY);                                  \
		CHECK_EQUAL(address_piece.address, expected);                                      \
	} while (0)
#define KIND(expected, ...) CHECK_EQUAL(one(BYTES(__VA_ARGS__)).kind, expected)
#define WRONG(...)                                                                                 \
	do {                                                                                       \
		struct location_piece wrong_piece = one(BYTES(__VA_ARGS__));                       \
		CHECK_EQUAL(wrong_piece.kind, LOCATION_ERROR);                                     \
		CHECK(wrong_piece.problem != NULL);                                                \
	} while (0)

static void pushes_literals(void)
{
	ADDRESS(0, DW_OP_lit0);
	ADDRESS(31, DW_OP_lit31);
	ADDRESS(0xff, DW_OP_const1u, 0xff);
	ADDRESS(UINT64_MAX, DW_OP_const1s, 0xff);
	ADDRESS(0xfffe, DW_OP_const2u, 0xfe, 0xff);
	ADDRESS(UINT64_MAX - 1, DW_OP_const2s, 0xfe, 0xff);
	ADDRESS(0xfffffffd, DW_OP_const4u, 0xfd, 0xff, 0xff, 0xff);
	ADDRESS(UINT64_MAX - 2, DW_OP_const4s, 0xfd, 0xff, 0xff, 0xff);
	ADDRESS(UINT64_C(0x0807060504030201), DW_OP_const8u, 1, 2, 3, 4, 5, 6, 7, 8);
	ADDRESS(UINT64_MAX, DW_OP_const8s, 255, 255, 255, 255, 255, 255, 255, 255);
	ADDRESS(129, DW_OP_constu, 0x81, 0x01);
	ADDRESS((uint64_t)-127, DW_OP_consts, 0x81, 0x7f);
	ADDRESS((uint64_t)INT64_MIN, DW_OP_consts, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80,
		0x80, 0x7f);
	ADDRESS(0x10005, DW_OP_addr, 5, 0, 0, 0, 0, 0, 0, 0);
}

static void reads_the_address_table(void)
{
	ADDRESS(0x10100, DW_OP_addrx, 0);
	ADDRESS(0x10200, DW_OP_GNU_addr_index, 1);
	ADDRESS(0x200, DW_OP_constx, 1);
	ADDRESS(0x100, DW_OP_GNU_const_index, 0);
	WRONG(DW_OP_addrx, 2);
	WRONG(DW_OP_addrx, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01);
}

static void moves_the_stack(void)
{
	ADDRESS(2, DW_OP_lit1, DW_OP_dup, DW_OP_plus);
	ADDRESS(1, DW_OP_lit1, DW_OP_lit2, DW_OP_drop);
	ADDRESS(7, DW_OP_lit7, DW_OP_lit2, DW_OP_over);
	ADDRESS(7, DW_OP_lit7, DW_OP_lit2, DW_OP_lit3, DW_OP_pick, 2);
	ADDRESS(7, DW_OP_lit7, DW_OP_lit2, DW_OP_swap);
	// 17 29 1000 -> rot -> top is 29 (the second), then 17, then 1000 (DWARF 5, table D.x).
	ADDRESS(29, DW_OP_lit17, DW_OP_lit29, DW_OP_lit10, DW_OP_rot);
	ADDRESS(17, DW_OP_lit17, DW_OP_lit29, DW_OP_lit10, DW_OP_rot, DW_OP_drop);
	ADDRESS(10, DW_OP_lit17, DW_OP_lit29, DW_OP_lit10, DW_OP_rot, DW_OP_drop, DW_OP_drop);
	WRONG(DW_OP_dup);
	WRONG(DW_OP_drop);
	WRONG(DW_OP_lit1, DW_OP_over);
	WRONG(DW_OP_lit1, DW_OP_pick, 1);
	WRONG(DW_OP_lit1, DW_OP_swap);
	WRONG(DW_OP_lit1, DW_OP_lit2, DW_OP_rot);
	WRONG(DW_OP_lit1, DW_OP_plus);
	WRONG(DW_OP_neg);
}

static void computes_modulo_2_to_the_64(void)
{
	ADDRESS(UINT64_MAX, DW_OP_lit0, DW_OP_lit1, DW_OP_minus);
	ADDRESS(0, DW_OP_const1s, 0xff, DW_OP_plus_uconst, 1);
	ADDRESS(0, DW_OP_const1s, 0xff, DW_OP_lit1, DW_OP_plus);
	ADDRESS((uint64_t)-6, DW_OP_lit3, DW_OP_const1s, 0xfe, DW_OP_mul);
	ADDRESS((uint64_t)-3, DW_OP_const1s, 0xf9, DW_OP_lit2, DW_OP_div);
	ADDRESS((uint64_t)INT64_MIN, DW_OP_lit1, DW_OP_const1u, 63, DW_OP_shl, DW_OP_const1s, 0xff,
		DW_OP_div);
	ADDRESS(1, DW_OP_const1s, 0xff, DW_OP_lit2, DW_OP_mod);
	ADDRESS(5, DW_OP_const1s, 0xfb, DW_OP_abs);
	ADDRESS((uint64_t)-5, DW_OP_lit5, DW_OP_neg);
	ADDRESS(~UINT64_C(5), DW_OP_lit5, DW_OP_not);
	ADDRESS(4, DW_OP_lit6, DW_OP_lit12, DW_OP_and);
	ADDRESS(14, DW_OP_lit6, DW_OP_lit12, DW_OP_or);
	ADDRESS(10, DW_OP_lit6, DW_OP_lit12, DW_OP_xor);
	WRONG(DW_OP_lit1, DW_OP_lit0, DW_OP_div);
	WRONG(DW_OP_lit1, DW_OP_lit0, DW_OP_mod);
}

static void shifts_up_to_and_past_the_width(void)
{
	ADDRESS(48, DW_OP_lit3, DW_OP_lit4, DW_OP_shl);
	ADDRESS(0, DW_OP_lit3, DW_OP_const1u, 64, DW_OP_shl);
	ADDRESS(0, DW_OP_lit3, DW_OP_const1s, 0xff, DW_OP_shl);
	ADDRESS(UINT64_MAX >> 4, DW_OP_const1s, 0xff, DW_OP_lit4, DW_OP_shr);
	ADDRESS(0, DW_OP_const1s, 0xff, DW_OP_const1u, 64, DW_OP_shr);
	ADDRESS((uint64_t)-1, DW_OP_const1s, 0xf8, DW_OP_lit4, DW_OP_shra);
	ADDRESS((uint64_t)-1, DW_OP_const1s, 0xf8, DW_OP_const1u, 200, DW_OP_shra);
	ADDRESS(0, DW_OP_lit8, DW_OP_const1u, 200, DW_OP_shra);
}

static void compares_signed(void)
{
	ADDRESS(1, DW_OP_const1s, 0xff, DW_OP_lit1, DW_OP_lt);
	ADDRESS(1, DW_OP_const1s, 0xff, DW_OP_lit1, DW_OP_le);
	ADDRESS(0, DW_OP_const1s, 0xff, DW_OP_lit1, DW_OP_gt);
	ADDRESS(0, DW_OP_const1s, 0xff, DW_OP_lit1, DW_OP_ge);
	ADDRESS(1, DW_OP_lit1, DW_OP_lit1, DW_OP_eq);
	ADDRESS(0, DW_OP_lit1, DW_OP_lit1, DW_OP_ne);
	ADDRESS(1, DW_OP_lit1, DW_OP_lit1, DW_OP_ge);
	ADDRESS(1, DW_OP_lit1, DW_OP_lit1, DW_OP_le);
}

static void branches_within_itself(void)
{
	ADDRESS(1, DW_OP_lit1, DW_OP_skip, 1, 0, DW_OP_lit2);
	ADDRESS(2, DW_OP_lit1, DW_OP_lit0, DW_OP_bra, 1, 0, DW_OP_lit2);
	ADDRESS(1, DW_OP_lit1, DW_OP_lit1, DW_OP_bra, 1, 0, DW_OP_lit2);
	// Counts 3 down to 0: a branch backwards.
	ADDRESS(0, DW_OP_lit3, DW_OP_lit1, DW_OP_minus, DW_OP_dup, DW_OP_bra, 0xfa, 0xff);
	WRONG(DW_OP_lit1, DW_OP_skip, 2, 0, DW_OP_lit2);
	WRONG(DW_OP_lit1, DW_OP_skip, 0xfb, 0xff, DW_OP_lit2);
	WRONG(DW_OP_lit1, DW_OP_skip, 0xfc, 0xff); // for ever, and the stack grows
	WRONG(DW_OP_skip, 0xfd, 0xff);		   // for ever
}

static void reads_registers_and_the_frame(void)
{
	struct location_piece piece = one(BYTES(DW_OP_reg3));
	CHECK_EQUAL(piece.kind, LOCATION_REGISTER);
	CHECK_EQUAL(piece.reg, 3);
	piece = one(BYTES(DW_OP_regx, 33));
	CHECK_EQUAL(piece.kind, LOCATION_REGISTER);
	CHECK_EQUAL(piece.reg, 33);
	ADDRESS(0x2ff8, DW_OP_breg2, 0x78);
	ADDRESS(0x4008, DW_OP_bregx, 3, 8);
	piece = one(BYTES(DW_OP_breg20, 0));
	CHECK_EQUAL(piece.kind, LOCATION_UNREADABLE);
	CHECK_EQUAL(piece.reg, 20);
	ADDRESS(0x5ff0, DW_OP_fbreg, 0x70);
	ADDRESS(0x7000, DW_OP_call_frame_cfa);
	ADDRESS(0x900010, DW_OP_const1u, 16, DW_OP_form_tls_address);
	ADDRESS(0x900010, DW_OP_const1u, 16, DW_OP_GNU_push_tls_address);
	ADDRESS(0xabc4, DW_OP_push_object_address, DW_OP_plus_uconst, 4);
	WRONG(DW_OP_reg3, DW_OP_lit1);
}

static void reads_memory(void)
{
	ADDRESS(UINT64_C(0xf7f6f5f4f3f2f1f0), DW_OP_const2u, 0, 0x50, DW_OP_deref);
	ADDRESS(0xf3f2, DW_OP_const2u, 2, 0x50, DW_OP_deref_size, 2);
	struct location_piece piece = one(BYTES(DW_OP_const2u, 12, 0x50, DW_OP_deref));
	CHECK_EQUAL(piece.kind, LOCATION_UNREADABLE);
	CHECK_EQUAL(piece.address, 0x500c);
	WRONG(DW_OP_const2u, 0, 0x50, DW_OP_deref_size, 0);
	WRONG(DW_OP_const2u, 0, 0x50, DW_OP_deref_size, 9);
	WRONG(DW_OP_lit1, DW_OP_lit2, DW_OP_xderef);
}

static void places_values(void)
{
	struct location_piece piece = one(BYTES(DW_OP_lit5, DW_OP_neg, DW_OP_stack_value));
	int64_t value;
	CHECK_EQUAL(piece.kind, LOCATION_VALUE);
	memcpy(&value, piece.bytes, sizeof(value));
	CHECK_EQUAL(value, -5);
	CHECK(!piece.data);
	static const uint8_t implicit[] = {DW_OP_implicit_value, 3, 'a', 'b', 'c'};
	struct location location;
	expression_evaluate(&full, implicit, sizeof(implicit), &location);
	CHECK_EQUAL(location.pieces[0].kind, LOCATION_VALUE);
	CHECK(location.pieces[0].data == implicit + 2);
	CHECK_EQUAL(location.pieces[0].data_size, 3);
	location_fini(&location);
	piece = one(BYTES(DW_OP_implicit_pointer, 0x34, 0x12, 0, 0, 0x7f));
	CHECK_EQUAL(piece.kind, LOCATION_IMPLICIT_POINTER);
	CHECK_EQUAL(piece.die_offset, 0x1234);
	CHECK_EQUAL(piece.pointer_offset, -1);
	KIND(LOCATION_IMPLICIT_POINTER, DW_OP_GNU_implicit_pointer, 0x34, 0x12, 0, 0, 0);
	WRONG(DW_OP_implicit_value, 4, 'a', 'b', 'c');
	WRONG(DW_OP_lit1, DW_OP_stack_value, DW_OP_lit1);
	WRONG(DW_OP_stack_value);
}

static void asks_for_entry_values(void)
{
	ADDRESS(0xe0 + DW_OP_reg5, DW_OP_entry_value, 1, DW_OP_reg5);
	KIND(LOCATION_VALUE, DW_OP_GNU_entry_value, 1, DW_OP_reg5, DW_OP_stack_value);
	KIND(LOCATION_OPTIMIZED_OUT, DW_OP_entry_value, 1, DW_OP_reg6, DW_OP_stack_value);
	KIND(LOCATION_OPTIMIZED_OUT, DW_OP_GNU_parameter_ref, 1, 2, 3, 4, DW_OP_stack_value);
	WRONG(DW_OP_entry_value, 2, DW_OP_reg5);
	WRONG(DW_OP_GNU_parameter_ref, 1, 2, 3);
}

static void joins_pieces(void)
{
	struct location location;
	evaluate_in(&full,
		    BYTES(DW_OP_reg3, DW_OP_piece, 8, DW_OP_piece, 4, DW_OP_fbreg, 0, DW_OP_piece,
			  2, DW_OP_lit9, DW_OP_stack_value, DW_OP_bit_piece, 3, 5),
		    &location);
	CHECK_EQUAL(location.piece_count, 4);
	CHECK_EQUAL(location.pieces[0].kind, LOCATION_REGISTER);
	CHECK_EQUAL(location.pieces[0].size_bits, 64);
	CHECK_EQUAL(location.pieces[1].kind, LOCATION_OPTIMIZED_OUT);
	CHECK_EQUAL(location.pieces[1].size_bits, 32);
	CHECK_EQUAL(location.pieces[2].kind, LOCATION_MEMORY);
	CHECK_EQUAL(location.pieces[2].address, 0x6000);
	CHECK_EQUAL(location.pieces[3].kind, LOCATION_VALUE);
	CHECK_EQUAL(location.pieces[3].size_bits, 3);
	CHECK_EQUAL(location.pieces[3].offset_bits, 5);
	location_fini(&location);
	uint8_t many[4 * EXPRESSION_PIECE_LIMIT];
	for (size_t i = 0; i < sizeof(many); i += 2) {
		many[i] = DW_OP_piece;
		many[i + 1] = 1;
	}
	evaluate_in(&full, many, 2 * EXPRESSION_PIECE_LIMIT, &location);
	CHECK_EQUAL(location.piece_count, EXPRESSION_PIECE_LIMIT);
	location_fini(&location);
	CHECK_EQUAL(one(many, sizeof(many)).kind, LOCATION_ERROR);
	WRONG(DW_OP_reg3, DW_OP_piece, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01);
}

static void says_nothing_of_nothing(void)
{
	KIND(LOCATION_OPTIMIZED_OUT);
	KIND(LOCATION_OPTIMIZED_OUT, DW_OP_nop);
	KIND(LOCATION_MEMORY, DW_OP_lit1, DW_OP_GNU_uninit);
	KIND(LOCATION_REGISTER, DW_OP_reg1, DW_OP_GNU_uninit);
	WRONG(0xff);
	WRONG(0x00);
	WRONG(DW_OP_call4, 0, 0, 0, 0);
	WRONG(DW_OP_convert, 4);
}

static void ends_within_an_operation(void)
{
	static const uint8_t ops[] = {
		DW_OP_addr,	      DW_OP_const1u,	 DW_OP_const2s,	   DW_OP_const4u,
		DW_OP_const8s,	      DW_OP_constu,	 DW_OP_consts,	   DW_OP_regx,
		DW_OP_breg0,	      DW_OP_fbreg,	 DW_OP_skip,	   DW_OP_piece,
		DW_OP_addrx,	      DW_OP_bregx,	 DW_OP_call2,	   DW_OP_call4,
		DW_OP_call_ref,	      DW_OP_convert,	 DW_OP_const_type, DW_OP_implicit_pointer,
		DW_OP_implicit_value, DW_OP_entry_value, DW_OP_bit_piece};
	for (size_t i = 0; i < sizeof(ops); i++) {
		uint8_t bytes[] = {DW_OP_lit1, ops[i]};
		CHECK_EQUAL(one(bytes, sizeof(bytes)).kind, LOCATION_ERROR);
	}
}

static void needs_no_callbacks(void)
{
	static const uint8_t ops[] = {DW_OP_breg7,
				      DW_OP_fbreg,
				      DW_OP_call_frame_cfa,
				      DW_OP_push_object_address,
				      DW_OP_form_tls_address,
				      DW_OP_deref,
				      DW_OP_entry_value,
				      DW_OP_addrx,
				      DW_OP_GNU_parameter_ref,
				      DW_OP_call_ref};
	struct expression_context none = {0};
	for (size_t i = 0; i < sizeof(ops); i++) {
		uint8_t bytes[] = {DW_OP_lit1, ops[i], 0, 0, 0, 0};
		struct location location;
		evaluate_in(&none, bytes, sizeof(bytes), &location);
		CHECK_EQUAL(location.piece_count, 1);
		CHECK(location.pieces[0].kind >= LOCATION_OPTIMIZED_OUT);
		location_fini(&location);
	}
}

static void starts_with_the_cfa(void)
{
	static const uint8_t bytes[] = {DW_OP_lit8, DW_OP_minus};
	struct location location;
	expression_evaluate_with(&full, bytes, sizeof(bytes), 0x100, &location);
	CHECK_EQUAL(location.pieces[0].kind, LOCATION_MEMORY);
	CHECK_EQUAL(location.pieces[0].address, 0xf8);
	location_fini(&location);
	// What the linker writes for the PLT: cfa = rsp + 8 + ((rip & 15) >= 11) << 3.
	static const uint8_t plt[] = {DW_OP_breg7, 8,	      DW_OP_breg16, 0,
				      DW_OP_lit15, DW_OP_and, DW_OP_lit11,  DW_OP_ge,
				      DW_OP_lit3,  DW_OP_shl, DW_OP_plus};
	CHECK_EQUAL(one(plt, sizeof(plt)).address, 0x8008);
}

CHECK_MAIN({"pushes literals", pushes_literals},
	   {"reads the address table", reads_the_address_table},
	   {"moves the stack", moves_the_stack},
	   {"computes modulo 2^64", computes_modulo_2_to_the_64},
	   {"shifts up to and past the width", shifts_up_to_and_past_the_width},
	   {"compares signed", compares_signed}, {"branches within itself", branches_within_itself},
	   {"reads registers and the frame", reads_registers_and_the_frame},
	   {"reads memory", reads_memory}, {"places values", places_values},
	   {"asks for entry values", asks_for_entry_values}, {"joins pieces", joins_pieces},
	   {"says nothing of nothing", says_nothing_of_nothing},
	   {"ends within an operation", ends_within_an_operation},
	   {"needs no callbacks", needs_no_callbacks}, {"starts with the CFA", starts_with_the_cfa})
