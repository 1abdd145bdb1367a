// SPDX-License-Identifier: Apache-2.0
#ifndef STROBE_TRACE_FIND_H
#define STROBE_TRACE_FIND_H

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
 * A search through a thread's items. What is looked for is written as
 *
 *   FUNCTION       code of the function and of all its inlined copies ("f", "ns::f", "'a.c'::f")
 *   FILE:LINE      code of the line
 *   0xADDRESS      the instruction there
 *   START-END      instructions that begin there, the end excluded; START+SIZE as well
 *   event:NAME     events whose name holds NAME, whatever its case; "events" = all
 *   errors         what could not be decoded
 *   A -> B -> C    a sequence: first A, later B, later C, with anything in between. Here a function stands
 *                  for being entered, and a line for the beginning of its statements.
 *
 * Only stretches of the trace that can hold it are decoded. One thread at a time per trace.
 */
struct strobe_trace_find;

/** Zero-initialise, then set `size`. */
struct strobe_trace_find_options {
	size_t size; /**< sizeof(struct strobe_trace_find_options) */
	size_t thread_index;
	bool entries;	  /**< of functions, where they are entered only: a call, a jump */
	bool backwards;	  /**< from the newest to the oldest */
	uint64_t from_id; /**< the oldest item that counts */
	uint64_t end_id;  /**< behind the newest that counts; 0 = all */
	uint64_t within;  /**< of a sequence: its last item's id minus its first one's; 0 = any */
};

/** Named limit: parts of a sequence. */
enum { STROBE_TRACE_FIND_STEP_LIMIT = 32 };

/**
 * What was found. Code is found in visits: instructions of it executed one after the other, whatever events
 * stand between them; an address, or an entry, is found each time.
 */
struct strobe_trace_hit {
	uint64_t first_id, last_id; /**< the oldest and the newest item of it */
	uint64_t instruction_count; /**< that match in it; of a sequence and of events 0 */
	enum strobe_item_kind kind; /**< of the first item */
	uint64_t address;	    /**< of the oldest instruction; 0 if it is none */
	bool inlined;		    /**< the entry of an inlined copy */
	const uint64_t *step_ids;   /**< of a sequence, oldest first; until the next call */
	size_t step_count;	    /**< 0 if it is no sequence */
};

/**
 * Begins a search. `symbols` are those of the trace's view. Errors: SYNTAX (with the column), NOT_FOUND (no
 * such function, file, or code at that line; no such event), INVALID (the thread; an empty range),
 * NO_MEMORY. The caller owns `*ret`; trace and symbols must outlive it.
 */
STROBE_EXPORT struct strobe_error *
strobe_trace_find_open(struct strobe_trace *trace, struct strobe_symbols *symbols, const char *what,
		       const struct strobe_trace_find_options *options,
		       struct strobe_trace_find **ret) STROBE_MUST_CHECK;
/** Ends it (NULL is fine). Returns NULL. */
STROBE_EXPORT struct strobe_trace_find *strobe_trace_find_close(struct strobe_trace_find *find);
/** Finds the next one in the search's direction; false when there is none. */
STROBE_EXPORT bool strobe_trace_find_next(struct strobe_trace_find *find,
					  struct strobe_trace_hit *ret);
/** A cursor at the first item of what was found last, for its time, text, position; borrowed. */
STROBE_EXPORT struct strobe_cursor *strobe_trace_find_cursor(struct strobe_trace_find *find);

#ifdef __cplusplus
}
#endif
#endif
