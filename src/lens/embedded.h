// SPDX-License-Identifier: Apache-2.0
#ifndef LENS_EMBEDDED_H
#define LENS_EMBEDDED_H

// Structures within other objects: members, base classes, elements of arrays, what a std::optional has in it. One thread.

#include "base/array.h"
#include "lens/lens.h"

struct embedded;

/** `count` of them at `address`, `stride` bytes apart. */
struct embedded_run {
	uint64_t address, count, stride;
	uint32_t wanted; // index of the type
};
typedef ARRAY(struct embedded_run) embedded_runs;

/** Looks for `wanted`, `count` types that live as long as it does. NULL when memory is short. */
struct embedded *embedded_new(struct lens *lens, struct type *const *wanted, size_t count);
struct embedded *embedded_free(struct embedded *embedded);
/** Whether an object of `type` may be or have one. */
bool embedded_may(struct embedded *embedded, struct type *type);
/**
 * What of the wanted the object of `type` at [address, end) is and has in it, added to `runs`, ascending by address, each once:
 * members of unions whatever they stand for, of what is there at times what is there. Errors: NO_MEMORY; LIMIT: it has more parts than anybody looks at.
 */
struct strobe_error *embedded_find(struct embedded *embedded, struct type *type, uint64_t address,
				   uint64_t end, embedded_runs *runs) STROBE_MUST_CHECK;
/** The name of the one at `target`, of type `wanted`, as it continues a path: ".conns[3]"; nothing for the object itself. */
void embedded_name(struct embedded *embedded, struct type *type, uint64_t address, uint64_t end,
		   uint64_t target, uint32_t wanted, struct text *ret);

#endif
