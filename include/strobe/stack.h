// SPDX-License-Identifier: Apache-2.0
#ifndef STROBE_STACK_H
#define STROBE_STACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <strobe/error.h>
#include <strobe/symbols.h>

#ifdef __cplusplus
extern "C" {
#endif

/** The stack of one thread: its frames, innermost first, inlined calls as frames of their own. */
struct strobe_stack;

/** Options; zero-initialise, then set `size`. */
struct strobe_stack_options {
	size_t size;	   /**< sizeof(struct strobe_stack_options) */
	size_t max_frames; /**< 0 = 1,000,000 */
	bool past_main;	   /**< go on below main(), into the C library's start code */
};

/** How the caller of a frame was found, best first. */
enum strobe_frame_trust {
	STROBE_TRUST_REGISTERS,	    /**< frame 0: the thread's own registers */
	STROBE_TRUST_CFI,	    /**< call frame information */
	STROBE_TRUST_INLINE,	    /**< from debug information, inside the frame below */
	STROBE_TRUST_GUESS_PLT,	    /**< a PLT or entry pattern: return address on top */
	STROBE_TRUST_FRAME_POINTER, /**< rbp chain: no call frame information here */
	STROBE_TRUST_SCAN,	    /**< a return address found by searching the stack */
	STROBE_TRUST_TRACE,	    /**< a call that a trace shows: as sure as the trace */
};

/** A frame. Strings live as long as the `strobe_symbols`. */
struct strobe_frame {
	size_t index;	      /**< from 0, innermost */
	uint64_t pc;	      /**< for callers, the return address */
	uint64_t cfa;	      /**< canonical frame address; of the function it is inlined into */
	size_t module_index;  /**< SIZE_MAX if pc is in none */
	const char *module;   /**< module name; NULL if none */
	const char *function; /**< qualified name without parameters; NULL if unknown */
	uint64_t
		offset_bytes; /**< pc minus the function's start (of the inlined code's, if inlined) */
	const char *file;     /**< source file; NULL if unknown */
	unsigned line, column; /**< 0 if unknown */
	bool inlined;	   /**< an inlined call: shares pc, cfa and registers with a later frame */
	bool signal_frame; /**< the trampoline that a signal handler returns to */
	enum strobe_frame_trust trust;
	const char *
		trust_name; /**< "registers", "cfi", "inline", "plt", "frame-pointer", "scan", "trace" */
};

/** Why a stack ends. */
enum strobe_stack_stop {
	STROBE_STOP_OUTERMOST,	  /**< call frame information says there is no caller */
	STROBE_STOP_MAIN,	  /**< main() reached (see past_main) */
	STROBE_STOP_LIMIT,	  /**< max_frames reached */
	STROBE_STOP_NO_REGISTERS, /**< the thread's registers are not recorded */
	STROBE_STOP_UNREADABLE,	  /**< the stack memory that holds the caller is not readable */
	STROBE_STOP_NO_CALLER,	  /**< no rule gives a plausible caller */
	STROBE_STOP_LOOP,	  /**< the next frame is not above this one: corrupt stack */
	STROBE_STOP_BAD_CFI,	  /**< call frame information is damaged */
};

/**
 * Unwinds thread `thread_index` of the symbols' view. Always yields a stack (maybe of no frames)
 * with its reason to end; errors are out-of-memory and a bad index (INVALID).
 */
STROBE_EXPORT struct strobe_error *strobe_stack_open(struct strobe_symbols *symbols,
						     size_t thread_index,
						     const struct strobe_stack_options *options,
						     struct strobe_stack **ret) STROBE_MUST_CHECK;
STROBE_EXPORT struct strobe_stack *strobe_stack_close(struct strobe_stack *stack);
STROBE_EXPORT size_t strobe_stack_frame_count(const struct strobe_stack *stack);
/** Frame `index` < count; borrowed from the stack. */
STROBE_EXPORT const struct strobe_frame *strobe_stack_frame(const struct strobe_stack *stack,
							    size_t index);
STROBE_EXPORT enum strobe_stack_stop strobe_stack_stop(const struct strobe_stack *stack);
/** The reason in words, with addresses: one line, borrowed. */
STROBE_EXPORT const char *strobe_stack_stop_text(const struct strobe_stack *stack);
/**
 * A register as it was in frame `index` (names as in view.h). False if not recoverable there.
 */
STROBE_EXPORT bool strobe_stack_register(const struct strobe_stack *stack, size_t index,
					 const char *name, struct strobe_register *ret);

#ifdef __cplusplus
}
#endif
#endif
