// SPDX-License-Identifier: Apache-2.0
#ifndef VALUE_VALUE_H
#define VALUE_VALUE_H

// A typed value: a type and where its bytes are. Memory is read when it is looked at, never before.

#include <strobe/value.h>

#include "symbols/type.h"
#include "view/view.h"

/** What is known of one byte of a store. */
enum byte_state { BYTE_KNOWN, BYTE_OPTIMIZED_OUT, BYTE_UNREADABLE, BYTE_SYNTHETIC };

/** Bytes that are not in one place of memory: registers, pieces, results. Shared by the values cut
 *  from it; counted. */
struct value_store {
	unsigned refs;
	size_t size;
	uint8_t *states;	     // enum byte_state, one a byte; NULL = all known
	uint64_t unreadable_address; // of the first unreadable byte, if any
	uint64_t synthetic_die;	     // implicit pointer: DIE it points to ...
	int64_t synthetic_offset;    // ... and the offset in it
	struct strobe_value *target; // of a synthetic reference: what it refers to; owned
	uint8_t bytes[];
};

enum value_place {
	PLACE_MEMORY, // at `address`
	PLACE_STORE,  // at `offset` in `store`
	PLACE_OPTIMIZED_OUT,
	PLACE_PROBLEM, // cannot be found: `problem`
};

/** Invariants: `type` is not NULL; `store` is held (a reference) iff place is PLACE_STORE. */
struct strobe_value {
	struct strobe_symbols *symbols;
	struct type *type;
	enum value_place place;
	uint64_t address;
	struct value_store *store;
	uint64_t offset;
	uint32_t bit_offset; // of a bit-field, in the bytes from address or offset on
	uint32_t bit_size;   // 0 = not a bit-field
	bool in_register;
	bool is_lazy_string; // a literal of the expression
	const char *problem; // static or arena text
	int language;	     // DW_LANG_* that decides the notation; 0 = C
	char *name_cache;    // of the child handed out last
};

/** How a read of a part of a value went. */
enum read_state { READ_GOOD, READ_OPTIMIZED_OUT, READ_UNREADABLE, READ_SYNTHETIC, READ_PROBLEM };

const struct strobe_view *value_view(const struct strobe_value *value);
struct value_store *value_store_new(size_t size);
void value_fini(struct strobe_value *value);
/** A copy with its own reference. */
struct strobe_value value_copy(const struct strobe_value *value);
/** A heap copy that takes over `value`'s reference; NULL when memory is short (then released). */
struct strobe_value *value_box(struct strobe_value *value);

struct strobe_value value_in_memory(struct strobe_symbols *symbols, struct type *type,
				    uint64_t address);
/** A value with the given bytes; place is PLACE_PROBLEM when memory is short. */
struct strobe_value value_from_bytes(struct strobe_symbols *symbols, struct type *type,
				     const void *bytes, size_t size);
struct strobe_value value_from_integer(struct strobe_symbols *symbols, struct type *type,
				       uint64_t integer);

/** Reads `size` bytes at `offset` of the value. `*bad` (may be NULL) is the unreadable address. */
enum read_state value_read(const struct strobe_value *value, uint64_t offset, void *buffer,
			   size_t size, uint64_t *bad);
/** Reads a scalar of up to 16 bytes (a bit-field is cut out), little-endian, zero- or
 *  sign-extended into `*ret`. */
enum read_state value_scalar(const struct strobe_value *value, unsigned __int128 *ret,
			     uint64_t *bad);

/** The part of `value` of `type` at `offset` bytes, borrowed: no reference is taken. */
struct strobe_value value_part(const struct strobe_value *value, struct type *type,
			       uint64_t offset);
/** Member `member` of a structure, borrowed likewise. Virtual bases are looked up. */
struct strobe_value value_member(const struct strobe_value *value,
				 const struct type_member *member);
/** A static member of a class, or a variable found through its DIE. */
struct strobe_value value_static_member(const struct strobe_value *value,
					const struct type_member *member);
/** Element `index` (from 0) of an array, borrowed. */
struct strobe_value value_element(const struct strobe_value *value, uint64_t index);
/** The type without qualifiers and typedefs, completed. */
struct type *value_stripped(const struct strobe_value *value);
/** Size of a type with typedefs followed; 0 if unknown. */
uint64_t value_type_size(struct strobe_symbols *symbols, struct type *type);
/** The known state of all of the value's bytes together. */
enum strobe_value_state value_state(const struct strobe_value *value, uint64_t *bad);

#endif
