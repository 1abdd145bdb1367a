// SPDX-License-Identifier: Apache-2.0
#ifndef FLOW_SHADOW_H
#define FLOW_SHADOW_H

// A thread's call stack, followed run by run. It knows addresses and small numbers for functions, no names and
// no cursor.
//
// The outermost frame of a fragment, of what follows the beginning or a gap, returns to a place that nobody
// saw a call come from. A first pass over the trace (`plan` being filled) finds out where: frames that it
// returned into, and whether one of those before the gap is among them. The second pass, with that plan, has
// all frames on the stack from the start.
//
// Invariants:
//  1. frames.items[0 .. count) are the frames, outermost first; each but the first is called, in the end, from
//     the one before it.
//  2. marks are sorted by frame; none is of a frame that is not there.
//  3. bases are ascending, and each names a frame that is there.

#include <stdbool.h>
#include <stdint.h>
#include <strobe/cursor.h>
#include <strobe/error.h>

#include "base/array.h"

/** No function is known there; calls and returns are followed all the same. */
#define SHADOW_UNKNOWN UINT32_MAX

enum {
	SHADOW_DEPTH_LIMIT = 1 << 24, // frames; what would be deeper begins anew
	SHADOW_BASE_LIMIT = 4096,     // gaps that are open at a time; the oldest ones are given up
	SHADOW_MATCH_ENOUGH = 3,      // returns as of old frames: they are these
	SHADOW_MARK_LIMIT = 1 << 16,  // places that setjmp() returned to
};

/** How a frame began. */
enum shadow_kind {
	SHADOW_FIRST,
	SHADOW_CALLED,
	SHADOW_CALLER,
	SHADOW_TAIL,
	SHADOW_INTERRUPT,
	SHADOW_SYSTEM,
};

struct shadow_frame {
	uint64_t return_address; // 0 = not known
	uint64_t resume;   // of interrupts and system calls: where the interrupted code goes on
	uint32_t function; // that now runs in it
	uint32_t place;	   // shadow_place.place of where it was entered; of callers, returned to
	uint8_t kind;	   // enum shadow_kind
	bool is_base;
	bool saves; // it is, or was, a function like setjmp()
};

/** Where the code of a run stands. */
struct shadow_place {
	uint32_t function; // SHADOW_UNKNOWN = no name
	uint32_t place;	   // handed through to shadow_frame.place
	bool is_entry;	   // the function begins there
	bool is_kernel;
	bool saves; // a function that returns again, like setjmp()
};

/** What happened between two runs. */
enum shadow_move {
	SHADOW_STAY,   // nothing
	SHADOW_PUSH,   // a call, an interrupt
	SHADOW_SWAP,   // another function in the innermost frame
	SHADOW_RETURN, // one frame less
	SHADOW_UNWIND, // frames less
	SHADOW_GAP,    // a new fragment
};

/** Frames [0, keep) are those from before; if `swapped`, another function runs now in frame keep - 1; those
 *  from `keep` on are new. */
struct shadow_step {
	enum shadow_move move;
	uint32_t keep;
	bool swapped;
	bool returned; // the function that ran in frame keep - 1 left by a return: to the end of a signal, say
};

/** What a first pass found out about fragment `id`. */
struct shadow_gap {
	uint64_t id;	  // of its first instruction
	uint32_t into;	  // index of the fragment that goes on; UINT32_MAX = none
	uint32_t offset;  // so many frames of it, beyond its outermost one
	bool is_kept;	  // the new fragment's outermost frame is the last of these
	uint32_t callers; // its outermost caller; UINT32_MAX = none
};

struct shadow_caller {
	uint64_t address; // that was returned to
	uint32_t function, place;
	uint32_t inner; // the next one; UINT32_MAX = none
};

/** Fragments by id. Zero-initialise. */
struct shadow_plan {
	ARRAY(struct shadow_gap) gaps;
	ARRAY(struct shadow_caller) callers;
};

struct shadow_mark {
	uint64_t address;
	uint32_t frame;
};

/** Where a fragment stands. */
struct shadow_base {
	uint32_t frame; // the outermost one of its fragment that runs, or ran
	uint32_t floor; // its outermost caller that the plan knows
	uint32_t gap;	// index in the plan
	// While a plan is made: the last `length` returns below it were those of frame `match` and of those
	// that it stands on.
	uint32_t match, length;
};

struct shadow {
	ARRAY(struct shadow_frame) frames;
	ARRAY(struct shadow_mark) marks;
	ARRAY(struct shadow_base) bases; // ascending
	struct shadow_plan *plan;	 // NULL = none
	bool makes_plan;
	size_t next_gap; // of the plan, when it is read
	// How the last run ended.
	enum shadow_pending {
		PENDING_NOTHING, // no run before: a new fragment
		PENDING_FALL,
		PENDING_JUMP,
		PENDING_CALL,
		PENDING_RETURN,
		PENDING_SYSTEM, // far call
		PENDING_FAR,
		PENDING_ASYNC,
	} pending;
	bool has_target;
	bool left;	// tracing stopped there: code ran that was not traced
	bool signalled; // a signal was delivered
	bool in_kernel;
	uint64_t target, end, resume;
	bool no_memory;
};

void shadow_fini(struct shadow *shadow);
/** A copy with arrays of its own; false if memory is short, and then `copy` is to be released all the same. */
bool shadow_copy(struct shadow *copy, const struct shadow *shadow);
void shadow_plan_fini(struct shadow_plan *plan);

/** Execution is at `address`, the first instruction of item `id`: what happened since the last run? */
void shadow_arrive(struct shadow *shadow, uint64_t id, uint64_t address,
		   const struct shadow_place *place, struct shadow_step *ret);
/** The run ended like this. */
static inline void shadow_depart(struct shadow *shadow, enum strobe_flow flow, uint64_t end,
				 bool has_target, uint64_t target)
{
	static const uint8_t pending[] = {
		[STROBE_FLOW_OTHER] = PENDING_FALL,	[STROBE_FLOW_CALL] = PENDING_CALL,
		[STROBE_FLOW_RETURN] = PENDING_RETURN,	[STROBE_FLOW_JUMP] = PENDING_JUMP,
		[STROBE_FLOW_COND_JUMP] = PENDING_JUMP, [STROBE_FLOW_FAR_CALL] = PENDING_SYSTEM,
		[STROBE_FLOW_FAR_RETURN] = PENDING_FAR, [STROBE_FLOW_FAR_JUMP] = PENDING_FAR,
	};
	shadow->pending = (enum shadow_pending)pending[flow];
	shadow->end = end;
	shadow->has_target = has_target;
	shadow->target = target;
}
/** The first pass has ended: what is still open is settled. */
void shadow_plan_end(struct shadow *shadow);
/** Items are missing: what follows is a new fragment. */
void shadow_lose(struct shadow *shadow);
/** Another program begins: nothing of before goes on. */
void shadow_forget(struct shadow *shadow);
/** Tracing stopped at a branch, or code was left out; the next run may be anywhere. */
void shadow_leave(struct shadow *shadow);
/** The thread was interrupted where `resume` would be next; 0 = where it would go on anyway. */
void shadow_interrupt(struct shadow *shadow, uint64_t resume, bool signalled);
/** True if the last run ended in a branch: it is not known yet where it led. */
bool shadow_is_between(const struct shadow *shadow);

#endif
