// SPDX-License-Identifier: Apache-2.0
#ifndef STROBE_TRACE_STATE_H
#define STROBE_TRACE_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <strobe/calls.h>
#include <strobe/cursor.h>
#include <strobe/error.h>
#include <strobe/symbols.h>
#include <strobe/view.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * The call stacks of one traced thread, rebuilt from its calls and returns as strobe_calls_walk() follows them: at
 * any item, what was called and has not returned. Callers from before the trace are there if the thread returned
 * into them later.
 *
 * Where nothing but calls and returns happened, the index says which stretches hold a call that encloses the item, and
 * only these are decoded. Where there were signals, jumps further out or gaps, the first question walks through
 * the trace (twice, as calls do), and remembers stacks on the way; later ones walk from the nearest of these.
 * Memory: some hundred stacks. The trace's thread; closed before it and `symbols`.
 */
struct strobe_trace_stacks;

/** A frame of a rebuilt stack. Inlined calls are not told apart: see strobe_scopes_at(). */
struct strobe_trace_frame {
	uint64_t pc;	  /**< of the innermost, its instruction; of callers, where they go on */
	bool interrupted; /**< the caller was interrupted at `pc`: no call stands before it */
	bool uncertain; /**< unknown calls may stand between this frame and the one inside it; `pc` is then
			     the entry of its function */
	enum strobe_call_kind kind; /**< how it began */
};

/** `symbols` are of the trace's view. Errors: INVALID, out of memory. */
STROBE_EXPORT struct strobe_error *
strobe_trace_stacks_open(struct strobe_trace *trace, size_t thread_index,
			 struct strobe_symbols *symbols, struct strobe_trace_stacks **ret)
	STROBE_MUST_CHECK;
STROBE_EXPORT struct strobe_trace_stacks *
strobe_trace_stacks_close(struct strobe_trace_stacks *stacks);
/**
 * The stack at item `id`, innermost frame first; of an event or error, that of the instruction before it. Borrowed
 * until the next call; no frames if no instruction is there. Errors: INVALID (no such item), out of memory.
 */
STROBE_EXPORT struct strobe_error *strobe_trace_stacks_at(struct strobe_trace_stacks *stacks,
							  uint64_t id,
							  const struct strobe_trace_frame **ret,
							  size_t *ret_count) STROBE_MUST_CHECK;

/** Zero-initialise, then set `size`. */
struct strobe_trace_state_options {
	size_t size;				/**< sizeof(struct strobe_trace_state_options) */
	const struct strobe_view_options *view; /**< where to look for files; NULL = defaults */
};

/**
 * The process as far as a trace tells at the cursor's item: its modules and code, and one thread, whose pc is known
 * and whose stack, as strobe_stack_open() gives it, is the rebuilt one. Other registers, and memory that is not
 * a file's, read as not recorded. `*ret` is the caller's, to be closed before the trace. Errors: INVALID (the
 * cursor has no value, or no instruction stands before it), out of memory.
 */
STROBE_EXPORT struct strobe_error *
strobe_trace_view_at(const struct strobe_cursor *cursor,
		     const struct strobe_trace_state_options *options, struct strobe_view **ret)
	STROBE_MUST_CHECK;

#ifdef __cplusplus
}
#endif
#endif
