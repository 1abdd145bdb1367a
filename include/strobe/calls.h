// SPDX-License-Identifier: Apache-2.0
#ifndef STROBE_CALLS_H
#define STROBE_CALLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <strobe/cursor.h>
#include <strobe/error.h>
#include <strobe/symbols.h>
#include <strobe/trace.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * The calls of a traced thread as a tree, told while it is walked: nothing but the stack is kept.
 *
 * The stack is followed by return addresses, not by names: a call pushes the address behind it, and what
 * comes back there has returned, however many functions of one name are active. Jumps into another function
 * are tail calls; jumps and returns into a function that is active further out (longjmp, exceptions) end all
 * that was called since. A signal handler is a call of its own, which ends where the interrupted code goes on.
 * Behind a gap (errors, lost data) an older frame goes on only if a later return proves that it does.
 * Inlined calls are stretches of code that the debug information says are inlined.
 */

/** How a call began. */
enum strobe_call_kind {
	STROBE_CALL_FIRST = 0,	/**< it was running when the trace, or what follows a gap, began */
	STROBE_CALL_CALLED = 1, /**< by a call instruction */
	STROBE_CALL_CALLER = 2, /**< its call was not recorded: known by a later return into it */
	STROBE_CALL_TAIL = 3, /**< by a jump: it stands in the place of the one that ended there */
	STROBE_CALL_INTERRUPT = 4, /**< by a signal or an interrupt */
	STROBE_CALL_SYSTEM = 5,	   /**< by a system call, where the kernel is traced */
	STROBE_CALL_INLINED = 6,   /**< a stretch of code that is inlined into its caller */
};
/** "first", "call", "caller", "tail", "interrupt", "system", "inlined"; NULL past the last. */
STROBE_EXPORT const char *strobe_call_kind_name(enum strobe_call_kind kind);

/** How a call ended. */
enum strobe_call_end {
	STROBE_CALL_OPEN = 0,	  /**< it did not: strobe_calls_visitor.enter() */
	STROBE_CALL_RETURNED = 1, /**< by a return; of inlined calls: its code was left */
	STROBE_CALL_JUMPED = 2,	  /**< by a tail call */
	STROBE_CALL_UNWOUND =
		3, /**< execution went on further out: longjmp, an exception, a signal's end */
	STROBE_CALL_LOST = 4,	 /**< by a gap: it may have gone on */
	STROBE_CALL_RUNNING = 5, /**< it was active at the end of what was walked */
};
/** "open", "return", "jump", "unwound", "gap", "running"; NULL past the last. */
STROBE_EXPORT const char *strobe_call_end_name(enum strobe_call_end end);

/** A call; a node of the tree. Strings live as long as the symbols. */
struct strobe_call {
	enum strobe_call_kind kind;
	enum strobe_call_end end;
	bool inlined;
	uint32_t depth;	      /**< of the tree as it is shown: 0 = a root */
	uint32_t frame_depth; /**< real calls around it that are known, shown or not */
	uint32_t function_id; /**< the same for all calls of one function, inlined or not; from 0 */
	const char *function; /**< qualified name without parameters; NULL if unknown */
	const char *module;   /**< NULL if its code is in none */
	size_t module_index;  /**< SIZE_MAX if none */
	const char *file;     /**< of its first instruction; NULL if unknown */
	unsigned line, column;	 /**< 0 if unknown */
	uint64_t function_start; /**< where the function (the inlined code) begins; 0 if unknown */
	uint64_t address; /**< of its first instruction; of a caller: where it was returned to */
	uint64_t from_id,
		from_address; /**< of the instruction before it; STROBE_NO_ID, 0 if none */
	uint64_t first_id;    /**< of its first instruction; STROBE_NO_ID for a caller */
	bool has_time; /**< the times are valid: strobe_calls_options.times, and a clock is known */
	double first_time_ns; /**< of a caller: of what is first known of it */
	// What follows is of all that was called from it as well, and grows until it ends.
	uint64_t last_id;	    /**< of its last instruction; STROBE_NO_ID if it has none yet */
	uint64_t last_address;	    /**< likewise */
	uint64_t instruction_count; /**< in it, and in all that it called */
	uint64_t own_count;	    /**< in it alone, as the tree is shown without filters */
	double last_time_ns;	    /**< when the instruction behind it ran */
	uint64_t to_id, to_address; /**< where execution went on; STROBE_NO_ID, 0 if not known */
};

/** Where the trace is not whole: error items, one behind the other. */
struct strobe_call_gap {
	uint64_t first_id, last_id;
	const char *text; /**< of the first of them; for the call */
	uint32_t depth;	  /**< calls that go on behind it, as they are shown */
	uint64_t from_id,
		from_address;	    /**< of the instruction before it; STROBE_NO_ID, 0 if none */
	uint64_t to_id, to_address; /**< of the one behind it; likewise */
};

/** Told in the order of the trace; each returns false to end the walk. `context` is the visitor's. */
struct strobe_calls_visitor {
	bool (*enter)(void *context, const struct strobe_call *call);
	/** The same call, complete. Those that are open at the end of the walk are left, too. */
	bool (*leave)(void *context, const struct strobe_call *call);
	/** Those that do not go on behind the gap have been left, and what begins there is not entered yet. */
	bool (*gap)(void *context, const struct strobe_call_gap *gap); /**< may be NULL */
	void *context;
};

/** What to walk, and what of it to show. Zero-initialise, then set `size`. */
struct strobe_calls_options {
	size_t size;		 /**< sizeof(struct strobe_calls_options) */
	uint64_t first_id;	 /**< walk from this item */
	uint64_t end_id;	 /**< to this one, exclusive; 0 = to the newest */
	bool times;		 /**< ask for the times of calls: it costs some */
	bool no_inlined;	 /**< real calls only */
	enum strobe_match match; /**< how `function` is meant */
	const char *function; /**< only calls of matching functions, with all below; NULL = all */
	const char *module;   /**< only functions of the module of this name or path; NULL = all */
	uint64_t min_instructions; /**< only calls with so many, what they called included */
	uint32_t max_depth;	   /**< only so many levels; 0 = all */
	uint64_t max_calls;	   /**< end after so many; 0 = no limit */
};

/** What was walked. */
struct strobe_calls_summary {
	uint64_t instruction_count;
	uint64_t call_count;	  /**< call instructions that entered traced code */
	uint64_t return_count;	  /**< returns to where a call came from */
	uint64_t tail_count;	  /**< jumps into another function */
	uint64_t unwound_count;	  /**< frames that ended without a return */
	uint64_t interrupt_count; /**< signals and interrupts */
	uint64_t gap_count;	  /**< places where items are missing */
	uint64_t inlined_count;	  /**< inlined calls */
	uint64_t shown_count;	  /**< calls that the visitor was told */
	uint32_t max_depth; /**< real calls within each other, the outermost function not counted */
	bool limited;	    /**< ended at max_calls */
};

/**
 * Walks the calls of thread `thread_index`. `symbols` are of the trace's view. Errors: INVALID, SYNTAX (a
 * pattern), NOT_FOUND (no such module), out of memory.
 */
STROBE_EXPORT struct strobe_error *
strobe_calls_walk(struct strobe_trace *trace, size_t thread_index, struct strobe_symbols *symbols,
		  const struct strobe_calls_options *options,
		  const struct strobe_calls_visitor *visitor, struct strobe_calls_summary *ret)
	STROBE_MUST_CHECK;

#ifdef __cplusplus
}
#endif
#endif
