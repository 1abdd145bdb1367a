// SPDX-License-Identifier: Apache-2.0
#ifndef TRACEPOINT_NATIVE_CONTAINERS_H
#define TRACEPOINT_NATIVE_CONTAINERS_H

// What std::string and std::vector of libstdc++ hold, in place of their members (libstdc++ 5 on: bits/basic_string.h,
// bits/stl_vector.h). What does not look like one, or not to the end, is shown as the members that it has.

#include <stdint.h>

#include "value/value.h"

enum container_kind {
	CONTAINER_TEXT,	    // `count` characters of one byte
	CONTAINER_SEQUENCE, // `count` elements in a row
};
struct container {
	enum container_kind kind;
	uint64_t address, count;
	struct type *element;
};

/** False if `value` is none, or cannot be read. */
bool container_see(const struct strobe_value *value, struct container *ret);
/** Element `index`; the caller's. NULL when memory is short. */
struct strobe_value *container_element(const struct strobe_value *value,
				       const struct container *container, uint64_t index);

#endif
