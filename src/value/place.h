// SPDX-License-Identifier: Apache-2.0
#ifndef VALUE_PLACE_H
#define VALUE_PLACE_H

// Where variables are: DWARF locations in the surroundings of a frame, turned into values.

#include "stack/frame.h"
#include "symbols/variable.h"
#include "value/value.h"

/** A frame as DWARF expressions see it; `stack` may be NULL for globals. */
struct place_frame {
	struct strobe_symbols *symbols;
	const struct strobe_stack *stack;
	const struct physical_frame *physical;
	const struct code_scope *scope;
	unsigned depth;		       // entry values within each other
	struct symbols_module *module; // whose expressions are being evaluated
	uint64_t object_address;
};

void place_frame_init(struct place_frame *frame, struct strobe_symbols *symbols,
		      const struct strobe_stack *stack, size_t index);
/** The surroundings for expressions of `unit` (NULL: none) in the frame, which must outlive them. */
void place_context(struct place_frame *frame, struct unit *unit, struct expression_context *ret);
/** The value of a variable in the frame. Never fails: what is not there is part of the value. */
struct strobe_value place_variable(struct place_frame *frame, const struct variable *variable);
/** The type with the run-time bounds of the frame filled in. */
struct type *place_resolve_type(struct place_frame *frame, struct unit *unit, struct type *type);
/** The offset in bits of a virtual base within the object. */
bool place_virtual_base(const struct strobe_value *value, const struct type_member *member,
			uint64_t *offset_bits);
/** The address of thread-local storage at `offset` of the module in the frame's thread. */
bool place_tls(const struct place_frame *frame, struct symbols_module *module, uint64_t offset,
	       uint64_t *ret);
/** What an implicit pointer points to; place is PLACE_PROBLEM if that cannot be told. */
struct strobe_value place_synthetic_target(struct place_frame *frame, struct type *target,
					   const struct strobe_value *pointer);

#endif
