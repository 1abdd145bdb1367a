// SPDX-License-Identifier: Apache-2.0
#ifndef GRAPH_EXPORT_PHRASE_H
#define GRAPH_EXPORT_PHRASE_H

// Strings that are met again and again, kept once and known by number.

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/array.h"
#include "base/hash.h"

/** Zero-initialise. */
struct phrases {
	struct arena strings;
	ARRAY(const char *) list;
	struct hash known; // hash of the string -> its number + 1
};

/** The number of `string`, which is copied when it is new; false when memory is short. */
bool phrases_number(struct phrases *phrases, const char *string, uint32_t *ret);
void phrases_fini(struct phrases *phrases);

#endif
