// SPDX-License-Identifier: Apache-2.0
#ifndef VALUE_FORMAT_H
#define VALUE_FORMAT_H

// Writes values as text, in gdb's notation. format.c: structures and arrays; format_scalar.c;
// format_string.c; format_rust.c.

#include "base/text.h"
#include "value/value.h"

/** Named limits of what one value may become. */
enum {
	FORMAT_OUTPUT_LIMIT = 16 << 20, // bytes of text
	FORMAT_NESTING_LIMIT = 100,	// whatever max_depth says
	FORMAT_SEEN_LIMIT = 64,		// virtual bases and static members remembered
};

struct printer {
	struct text *out;
	struct strobe_format options; // all defaults filled in
	struct strobe_symbols *symbols;
	unsigned depth;
	bool rust;
	bool in_vector; // numbers, never characters
	bool in_static; // a static member is being printed: its like are not followed again
	size_t seen_count;
	const void *seen[FORMAT_SEEN_LIMIT]; // virtual bases of the object being printed
	size_t static_count;
	const void *statics[FORMAT_SEEN_LIMIT];
};

/** Any value. */
void format_value(struct printer *p, const struct strobe_value *value);
/** Anything that is not a structure or an array. */
void format_scalar(struct printer *p, const struct strobe_value *value);
/** "<optimized out>" and its like for a part that could not be read. */
void format_missing(struct printer *p, const struct strobe_value *value, enum read_state state,
		    uint64_t bad);
/** 'c' with its prefix. */
void format_character(struct printer *p, const struct type *type, uint32_t c);
/** `count` elements of a character type as a string; drops one terminating NUL. */
void format_string(struct printer *p, const struct type *element, const uint8_t *bytes,
		   size_t count, bool ellipsis);
/** The string at an address, up to its NUL. */
void format_string_at(struct printer *p, const struct type *element, uint64_t address);
/** Whether elements of this type read as text under the options' radix. */
bool format_is_text(struct printer *p, const struct type *type);
/** 0x401136 <main+4> */
void format_address(struct printer *p, uint64_t address);
/** Pointer to `target` whose value is `address`. */
void format_pointer(struct printer *p, struct type *target, uint64_t address);
/** A newline and two spaces a level, for the pretty form. */
void format_indent(struct printer *p, unsigned level);
/** The variant that an enumeration of Rust holds, NULL if none; false if that cannot be read. */
bool rust_variant(const struct strobe_value *value, const struct type_member **ret);
/** Rust's own notation; false if the type has none and C's is to be used. */
bool format_rust(struct printer *p, const struct strobe_value *value);
/** The value of an IEEE 754 binary16. */
float format_half(uint16_t raw);
/** A decimal floating-point number of `size` bytes. */
void format_decimal(struct printer *p, const uint8_t *bytes, uint64_t size);
/** A floating-point number of `size` bytes. */
void format_float(struct printer *p, const uint8_t *bytes, uint64_t size);

#endif
