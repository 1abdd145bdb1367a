// SPDX-License-Identifier: Apache-2.0
#ifndef BASE_GUARD_H
#define BASE_GUARD_H

// Names the outside file that a third-party reader is working on, so that a crash inside it ends
// in one clear line (see <strobe/guard.h>) and not in silence. Cheap: two thread-local stores.
// Files that are mapped are listed besides: one that is cut short while it is read ends in
// SIGBUS wherever it is touched, by whomever.

#include <stddef.h>

/** `what` (borrowed until guard_leave) is being read; returns what was being read before. */
const char *guard_enter(const char *what);
/** Ends the step; `before` is what guard_enter() returned. */
void guard_leave(const char *before);

/** A file's bytes are mapped at `start`: SIGBUS in there is its fault. `path` is borrowed until
 *  guard_unmap(). Beyond GUARD_MAP_LIMIT mappings at once they go unnamed. */
void guard_map(const void *start, size_t size, const char *path);
/** Forgets what guard_map() noted of mappings that start in [start, start + size). */
void guard_unmap(const void *start, size_t size);
enum { GUARD_MAP_LIMIT = 4096 };

struct guard_scope {
	const char *before;
};
static inline void guard_scope_end(struct guard_scope *scope)
{
	guard_leave(scope->before);
}
/** GUARD(path); at the start of a block: guarded until the block ends. */
#define GUARD(what)                                                                                \
	struct guard_scope guard_scope                                                             \
		__attribute__((cleanup(guard_scope_end), unused)) = {guard_enter(what)}

#endif
