// SPDX-License-Identifier: Apache-2.0
#ifndef SYMBOLS_EXPRESSION_H
#define SYMBOLS_EXPRESSION_H

// Evaluates DWARF expressions (DWARF 5, section 2.5 and 2.6, and the GNU extensions).

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct unit;
struct strobe_symbols;

/** Named limits on hostile expressions. */
enum {
	EXPRESSION_STEP_LIMIT = 100000,
	EXPRESSION_STACK_LIMIT = 1024,
	EXPRESSION_CALL_LIMIT = 32, // DW_OP_call*, entry values within each other
	EXPRESSION_PIECE_LIMIT = 256,
};

/** What an expression may ask of its surroundings. Any callback may be NULL or answer false. */
struct expression_context {
	void *data;
	struct strobe_symbols *symbols;
	struct unit *unit; // for addrx, base types, DIE references; NULL for CFI
	uint64_t bias;	   // added to DW_OP_addr and addrx
	uint64_t pc;	   // link-time, for location lists
	/** DWARF register `number` in this frame: up to `*size` bytes, `*size` set. `*address` is
	 *  where it was saved, 0 if in the register itself. */
	bool (*get_register)(void *data, unsigned number, void *buffer, size_t *size,
			     uint64_t *address);
	bool (*get_cfa)(void *data, uint64_t *ret);
	bool (*get_frame_base)(void *data, uint64_t *ret);
	bool (*get_tls)(void *data, uint64_t offset, uint64_t *ret);
	bool (*get_object_address)(void *data, uint64_t *ret);
	size_t (*read_memory)(void *data, uint64_t address, void *buffer, size_t size);
	/** Evaluates `expression` as of the entry of this frame's function (the caller's call site
	 *  parameters); a single register or dereferenced register. */
	bool (*get_entry_value)(void *data, const uint8_t *expression, size_t size, uint64_t *ret);
};

enum location_kind {
	LOCATION_MEMORY,	   // address
	LOCATION_REGISTER,	   // register
	LOCATION_VALUE,		   // bytes (stack value, implicit value)
	LOCATION_IMPLICIT_POINTER, // points to what DIE `die_offset` describes, plus offset
	LOCATION_OPTIMIZED_OUT,	   // empty
	LOCATION_UNREADABLE,	   // needs memory or a register that is not there; `address`
	LOCATION_ERROR,		   // damaged or unsupported; `problem`
};

struct location_piece {
	enum location_kind kind;
	uint64_t size_bits;   // 0 = the whole object
	uint64_t offset_bits; // within register or value
	uint64_t address;
	unsigned reg;
	uint8_t bytes[16];   // LOCATION_VALUE of a stack value (little-endian)
	const uint8_t *data; // LOCATION_VALUE of an implicit value; else NULL
	size_t data_size;
	uint64_t die_offset; // implicit pointer
	int64_t pointer_offset;
	const char *problem; // static text
};

struct location {
	size_t piece_count;	       // at least 1
	struct location_piece *pieces; // `single` or malloc'ed
	struct location_piece single;
};

/** Evaluates `bytes` to a location. Always fills `*ret`; never fails otherwise. */
void expression_evaluate(const struct expression_context *context, const uint8_t *bytes,
			 size_t size, struct location *ret);
/** The same with `initial` pushed first (CFI rules start with the CFA). */
void expression_evaluate_with(const struct expression_context *context, const uint8_t *bytes,
			      size_t size, uint64_t initial, struct location *ret);
void location_fini(struct location *location);

#endif
