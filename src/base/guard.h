// SPDX-License-Identifier: Apache-2.0
#ifndef BASE_GUARD_H
#define BASE_GUARD_H

// Names the outside file that a third-party reader is working on, so that a crash inside it ends
// in one clear line (see <strobe/guard.h>) and not in silence. Cheap: two thread-local stores.

/** `what` (borrowed until guard_leave) is being read; returns what was being read before. */
const char *guard_enter(const char *what);
/** Ends the step; `before` is what guard_enter() returned. */
void guard_leave(const char *before);

struct guard_scope {
	const char *before;
};
static inline void guard_scope_end(struct guard_scope *scope)
{
	guard_leave(scope->before);
}
/** GUARD(path); at the start of a block: guarded until the block ends. */
#define GUARD(what)                                                                                \
	struct guard_scope guard_scope __attribute__((cleanup(guard_scope_end), unused)) = {       \
		guard_enter(what)}

#endif
