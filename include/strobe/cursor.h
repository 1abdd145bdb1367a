// SPDX-License-Identifier: Apache-2.0
#ifndef STROBE_CURSOR_H
#define STROBE_CURSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <strobe/error.h>
#include <strobe/trace.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * A position on one thread's items. The contract is that of LLDB's TraceCursor (lldb/Target/TraceCursor.h
 * of LLVM 22), each promise kept. Cursors of one trace are independent and share what is decoded; they
 * are used from the trace's thread, and closed before it.
 *
 * A cursor is *at* an item, or off either end; off an end it has no value, and one step back brings it to the
 * last item again. Steps never fail: what cannot be decoded is an error item.
 */
struct strobe_cursor;

/** No item. */
#define STROBE_NO_ID UINT64_MAX

/** A cursor at the newest item of thread `thread_index`, that will go backwards. Errors: INVALID. */
STROBE_EXPORT struct strobe_error *strobe_cursor_open(struct strobe_trace *trace,
						      size_t thread_index,
						      struct strobe_cursor **ret) STROBE_MUST_CHECK;
STROBE_EXPORT struct strobe_cursor *strobe_cursor_close(struct strobe_cursor *cursor);
/** Another cursor at the same place, with the same direction. */
STROBE_EXPORT struct strobe_error *strobe_cursor_clone(const struct strobe_cursor *cursor,
						       struct strobe_cursor **ret)
	STROBE_MUST_CHECK;
STROBE_EXPORT struct strobe_trace *strobe_cursor_trace(const struct strobe_cursor *cursor);
STROBE_EXPORT size_t strobe_cursor_thread_index(const struct strobe_cursor *cursor);

/** Sets the direction of strobe_cursor_next() and of searches. It is kept across seeks. */
STROBE_EXPORT void strobe_cursor_set_forwards(struct strobe_cursor *cursor, bool forwards);
STROBE_EXPORT bool strobe_cursor_is_forwards(const struct strobe_cursor *cursor);
/** Moves one item in the current direction; true if there is one. Past an end it stays just past it. */
STROBE_EXPORT bool strobe_cursor_next(struct strobe_cursor *cursor);
/** True while the cursor is at an item. */
STROBE_EXPORT bool strobe_cursor_has_value(const struct strobe_cursor *cursor);

/** Where strobe_cursor_seek() counts from. The numbers are LLDB's. */
enum strobe_seek {
	STROBE_SEEK_BEGIN = 0,	 /**< the oldest item */
	STROBE_SEEK_CURRENT = 1, /**< this one */
	STROBE_SEEK_END = 2,	 /**< the newest item */
};
/** Goes to origin + offset items. Out of range: false, and the cursor is off that end. */
STROBE_EXPORT bool strobe_cursor_seek(struct strobe_cursor *cursor, int64_t offset,
				      enum strobe_seek origin);
/** Id of the item; STROBE_NO_ID without one. Unique within the thread. */
STROBE_EXPORT uint64_t strobe_cursor_id(const struct strobe_cursor *cursor);
/** Goes to item `id`; false if there is none, and then the cursor has no value. */
STROBE_EXPORT bool strobe_cursor_go_to_id(struct strobe_cursor *cursor, uint64_t id);
/** True if `id` is that of an instruction: what LLDB's HasId() promises. The cursor does not move. */
STROBE_EXPORT bool strobe_cursor_has_id(struct strobe_cursor *cursor, uint64_t id);
/** True if `id` is that of any item. */
STROBE_EXPORT bool strobe_cursor_has_item(const struct strobe_cursor *cursor, uint64_t id);

/** A place that can be printed, kept, and gone to in another run: "TID#ID@TRACE". */
struct strobe_position {
	char text[64];
};
/** Where the cursor is; false (and "") if it has no value. */
STROBE_EXPORT bool strobe_cursor_tell(const struct strobe_cursor *cursor,
				      struct strobe_position *ret);
/**
 * Goes to a position as strobe_cursor_tell() wrote it; "TID#ID" and "ID" do as well. Errors: SYNTAX; INVALID
 * (of another thread or trace); NOT_FOUND (no such item: the cursor has no value then).
 */
STROBE_EXPORT struct strobe_error *strobe_cursor_go_to(struct strobe_cursor *cursor,
						       const char *position) STROBE_MUST_CHECK;

/** Kind of the item; STROBE_ITEM_ERROR without one. */
STROBE_EXPORT enum strobe_item_kind strobe_cursor_kind(const struct strobe_cursor *cursor);
/** Address of the instruction; false for all else. */
STROBE_EXPORT bool strobe_cursor_address(const struct strobe_cursor *cursor, uint64_t *ret);
/** CPU that it ran on; -1 if not known. */
STROBE_EXPORT int strobe_cursor_cpu(const struct strobe_cursor *cursor);
/** The hardware clock's (TSC's) last value at or before the item; false if there is none. */
STROBE_EXPORT bool strobe_cursor_hw_clock(const struct strobe_cursor *cursor, uint64_t *ret);
/**
 * Approximate time in ns since strobe_trace_info.time_zero_ns, the lowest first clock value of the trace.
 * Interpolated between known clock values by the number of instructions, so that it grows from each item to
 * the next and never passes the next known value. False where no clock is known.
 */
STROBE_EXPORT bool strobe_cursor_time_ns(const struct strobe_cursor *cursor, double *ret);
/** Type of an event; false for all else. */
STROBE_EXPORT bool strobe_cursor_event_type(const struct strobe_cursor *cursor,
					    enum strobe_event_type *ret);

/** An event with its data; what does not apply is 0. */
struct strobe_event {
	enum strobe_event_type type;
	const char *name; /**< of the type */
	bool has_address; /**< `address` is valid: where it took effect, or came from */
	uint64_t address;
	bool has_target; /**< `target` is valid: where execution went, or went on */
	uint64_t target;
	uint64_t
		value; /**< the type's number: clock, CPU, offset of the PSB, CR3, payload, ratio, ... */
	uint64_t value_2; /**< a second one, where a type has two */
	const char *text; /**< the data in words, "" if there is none; until the cursor moves */
};
STROBE_EXPORT bool strobe_cursor_event(const struct strobe_cursor *cursor,
				       struct strobe_event *ret);
/** Of a sync point: "offset = 0x..."; NULL for all else; until the cursor moves. */
STROBE_EXPORT const char *strobe_cursor_sync_point_metadata(const struct strobe_cursor *cursor);
/** Of an error: one line, NULL for all else; until the cursor moves. */
STROBE_EXPORT const char *strobe_cursor_error(const struct strobe_cursor *cursor);

/** Goes to the first item at or after `time_ns`; false if there is none (the cursor is off the end). */
STROBE_EXPORT bool strobe_cursor_seek_time(struct strobe_cursor *cursor, double time_ns);

/** [start, end) */
struct strobe_address_range {
	uint64_t start, end;
};
/** What strobe_cursor_find() looks for; an item matches if anything of it does. */
struct strobe_sought {
	const struct strobe_address_range
		*ranges; /**< instructions that begin in one of these, sorted */
	size_t range_count;
	uint32_t event_types; /**< bit n = events of type n */
	bool errors;
};
/** Goes to the next item in the current direction, after this one, that matches; false if there is none
 *  (the cursor is off that end). */
STROBE_EXPORT bool strobe_cursor_find(struct strobe_cursor *cursor,
				      const struct strobe_sought *sought);

/** How an instruction goes on. The names are LLDB's. */
enum strobe_flow {
	STROBE_FLOW_OTHER,
	STROBE_FLOW_CALL,
	STROBE_FLOW_RETURN,
	STROBE_FLOW_JUMP,
	STROBE_FLOW_COND_JUMP,
	STROBE_FLOW_FAR_CALL, /**< syscall, int, far call */
	STROBE_FLOW_FAR_RETURN,
	STROBE_FLOW_FAR_JUMP,
};
/** "other", "call", "return", "jump", "cond jump", "far call", "far return", "far jump". */
STROBE_EXPORT const char *strobe_flow_name(enum strobe_flow flow);

/**
 * A run: instructions one behind the other in memory, executed one after the other, of which at most the last is a
 * branch. It is how a trace is walked fast: some hundred million instructions a second.
 */
struct strobe_run {
	uint64_t first_id;	/**< of its first instruction; the others have the next ids */
	uint32_t count;		/**< instructions; at least 1 */
	uint64_t address;	/**< of the first */
	const uint8_t *lengths; /**< of each, in bytes; until the cursor moves */
	uint64_t last_address;	/**< of the last */
	uint64_t end;		/**< behind the last: where a call returns to */
	enum strobe_flow flow;	/**< of the last instruction */
	bool has_target;	/**< it is a direct branch: `target` is where it goes if taken */
	uint64_t target;
	uint32_t
		code_index; /**< a small number, the same for all runs that begin at this address while the
				     trace is open */
};
/** The run that the cursor's instruction stands in; false for events and errors. The cursor stays. */
STROBE_EXPORT bool strobe_cursor_run(const struct strobe_cursor *cursor, struct strobe_run *ret);
/** Moves to the first item (in the current direction) behind the run, event or error where it is. */
STROBE_EXPORT bool strobe_cursor_next_run(struct strobe_cursor *cursor);

/** The instruction's length in bytes and its flow; false for events and errors. */
STROBE_EXPORT bool strobe_cursor_instruction(const struct strobe_cursor *cursor,
					     unsigned *ret_size_bytes, enum strobe_flow *ret_flow);

#ifdef __cplusplus
}
#endif
#endif
