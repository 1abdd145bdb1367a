// SPDX-License-Identifier: Apache-2.0
#ifndef VALUE_ENTRY_VALUE_H
#define VALUE_ENTRY_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** For expression_context.get_entry_value; `data` is a struct place_frame. What the caller's call
 *  site says the parameter was; false unless it is certain that this call site called us. */
bool entry_value(void *data, const uint8_t *expression, size_t size, uint64_t *ret);

#endif
