// SPDX-License-Identifier: Apache-2.0
#ifndef TRACEPOINT_NATIVE_EXCEPTION_H
#define TRACEPOINT_NATIVE_EXCEPTION_H

// Exceptions of C++ on their way, as the unwinder's second phase sees them (Itanium C++ ABI: Exception Handling, 1.6.2 and 2.2):
// a personality routine is asked frame by frame, while all frames that will be left are still there.

#include <stdbool.h>
#include <stdint.h>
#include <sys/user.h>

#include "base/arena.h"

struct native_program;

/** Where that is noticed: personality routines, and the functions that begin an unwinding. Addresses, borrowed until modules change. */
const uint64_t *native_personalities(struct native_program *program, size_t *count);
const uint64_t *native_raisers(struct native_program *program, size_t *count);

/** An exception at the entry of a personality routine in the second phase. */
struct native_exception {
	uint64_t header;       // of the unwinder's, where it is told from others by
	uint64_t object, type; // what was thrown, and its std::type_info; 0 = of another language
	uint64_t to; // the stack pointer of the frame that will catch it: those below are left
	const char *type_name; // "std::runtime_error"; in the arena
	const char *what;      // its text; NULL
};
/** Reads it from the view of a hit there. False if it is none that is caught (forced unwinding). */
bool native_exception_read(struct native_program *program, const struct user_regs_struct *regs,
			   struct arena *arena, struct native_exception *ret);

#endif
