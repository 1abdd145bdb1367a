// SPDX-License-Identifier: Apache-2.0
#ifndef TRACEPOINT_NATIVE_SCOPE_H
#define TRACEPOINT_NATIVE_SCOPE_H

// The scope of a native program's hit: registers, a piece of stack and copied memory become a view, in which the stack, values and expressions
// work as in any other. What was not copied is read from the process as it is now, if that is allowed, and marked as such; else it
// is "not recorded".

#include <strobe/stack.h>

#include "tracepoint/engine.h"
#include "tracepoint/handler.h"

struct native_program; // what is the same for all hits of a process: modules, symbols, places
struct strobe_error *native_program_new(int pid, const struct strobe_watch_options *options,
					struct native_program **ret) STROBE_MUST_CHECK;
struct native_program *native_program_free(struct native_program *program);
struct strobe_symbols *native_program_symbols(struct native_program *program);
/** Modules came or went: looks again. `*changed` if so; places must be found anew then. */
struct strobe_error *native_program_refresh(struct native_program *program, bool *changed)
	STROBE_MUST_CHECK;

struct native_scope;
/** A scope of `hit`, which is borrowed; not more than one a program at a time. */
struct strobe_error *native_scope_open(struct native_program *program, const struct engine_hit *hit,
				       struct native_scope **ret) STROBE_MUST_CHECK;
struct native_scope *native_scope_close(struct native_scope *scope);
/** Which of the calls that are inlined at the hit is meant: the function itself, or the one that is at `line`. Without it, the innermost. */
void native_scope_focus(struct native_scope *scope, bool function, uint32_t line);
/** True if `file` is `path`, or ends with whole components of it. */
bool native_path_matches(const char *file, const char *path);
/** What tells this call from all others that the thread is in: the CFA of its frame. `at_end`: the thread stands at an instruction that
 *  leaves the function, and its return address is on top of the stack. */
uint64_t native_scope_frame(struct native_scope *scope, bool at_end);
/** Where the jump at the hit leads, which stands at a function's end: true if out of the function; `*how` says where to. */
bool native_scope_jumps_out(struct native_scope *scope, struct arena *arena, const char **how);
/** The frames that an exception on its way will leave. */
struct native_unwinding {
	uint64_t header;   // by which one exception is told from another
	uint64_t from, to; // calls in frames above `from` and up to `to` are left
	uint64_t landing;  // the frame that catches it; 0 = not known
};
/** At a hit for LEAVE_UNWIND: from now on that exception is the scope's outcome. False if it is none that will be caught. */
bool native_scope_unwinds(struct native_scope *scope, struct native_unwinding *ret);
/** The innermost of the frames that it comes through, with the one that catches it, that a tracepoint is about: expressions and frames are meant
 *  there from now on. False if there is none. */
bool native_scope_comes_through(struct native_scope *scope,
				const struct native_unwinding *unwinding,
				const struct tracepoint_config *config, struct strobe_frame *ret);
extern const struct scope_ops native_scope_ops;

/** How a thread leaves a line or a function. */
enum native_leave {
	LEAVE_STATEMENT, // it is at a statement of another line
	LEAVE_RETURN,	 // at a return instruction
	LEAVE_JUMP,	 // at a jump that goes on in another function, or (an indirect one) may
	LEAVE_UNWIND,	 // an exception is on its way: at a personality routine
	LEAVE_RAISE,	 // one begins
};
/** A place that a tracepoint is to be armed at. */
struct native_place {
	uint64_t address;
	bool is_end; // of the line or call
	enum native_leave leave;
	bool repeats; // of a beginning: threads come back to it without having left the line
	const char *inlined_in; // NULL
	const char *file, *function;
	uint32_t line;
};
/** All places of a tracepoint: each statement's beginning at its line, in all inlined copies and instances; the entries of its function;
 *  and where those end, if that matters.
 *  `*moved_to` is the line that it really is (the next that has code), `*why` (in the arena of `config`) why there is none:
 *  pending (no such file yet), no code, ambiguous. `*ret` lives until the next call. */
struct strobe_error *native_places(struct native_program *program,
				   const struct tracepoint_config *config,
				   const struct native_place **ret, size_t *count,
				   uint32_t *moved_to, const char **why) STROBE_MUST_CHECK;

#endif
