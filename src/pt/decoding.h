// SPDX-License-Identifier: Apache-2.0
#ifndef PT_DECODING_H
#define PT_DECODING_H

// The state of a decoder, and how items are added: what pt/decoder, and what it uses, share.

#include "pt/damage.h"
#include "pt/runs.h"
#include "pt/shared.h"

struct plain;

/** Why a slice is decoded up to `end` only, and what is said there. */
struct slice_cut {
	uint64_t end;	  // in the block; UINT64_MAX = not cut
	const char *text; // of the error item
};

/** What the items so far say of what comes. */
struct moment {
	uint64_t clock; // 0 = not known
	uint64_t tick;	// of the block's last clock item; 0 = there was none
	uint32_t owner; // thread, or WINDOW_NOBODY
	bool owner_known;
	uint64_t owner_from, owner_until; // no other one in [from, until) of the clock
	size_t event;			  // of the input's: the next that may come
};

/**
 * Invariants:
 *  1. Slices before `slice` are done. While `pt` is not NULL, it decodes [slice, slice_end) of the block's bytes.
 *  2. `window` belongs to the caller and is set while decode() runs only.
 *  3. If `resumable`, the state is that behind window `part` of (stream, block).
 */
struct decoder {
	const struct pt_source *source;
	struct code_map *map;
	struct pt_image *image;
	struct runs runs;
	struct damage damage;
	struct plain *plain; // NULL = libipt decodes all
	struct window *window;
	uint32_t enough;

	// The block.
	size_t stream;
	uint64_t block;
	uint32_t part;
	bool resumable;
	uint64_t start, size; // in the stream
	const uint8_t *bytes; // borrowed, or `gathered`
	ARRAY(uint8_t) gathered;

	// The slice.
	uint64_t slice, slice_end;
	struct pt_block_decoder *pt;
	int status;	  // libipt's last one
	bool tail;	  // no packets are left
	bool has_next;	  // another PSB follows,
	bool next_has_ip; // at which tracing was on,
	uint64_t next_ip; // with this instruction to come
	struct slice_cut cut;
	bool strict;	     // something is wrong in it: see pt/damage.h
	bool came;	     // by a branch whose target the packets gave, at the end of
	uint8_t came_flow;   // a stretch of that flow,
	uint32_t came_from;  // this one
	uint32_t first_item; // of the slice, in the window
	bool in_window;	     // all of the slice's items are in the window
	uint64_t idle;	     // instructions since a packet was used; in the tail: since it began
	bool has_last;	     // `last` is the address of the last instruction

	uint64_t last;

	struct moment now, before;		// `before`: when the slice began
	uint64_t events_until;			// later events are other blocks'
	const struct pt_cpu_schedule *schedule; // of the stream's CPU; NULL = all is one thread's

	// Packets decoded since their pages were given back.
	uint64_t touched_start, touched_end;
	size_t touched_stream;
};

/** Appends a note; its text must live as long as the window. */
struct strobe_error *decoding_note(struct decoder *decoder, const struct window_note *note)
	STROBE_MUST_CHECK;
/** Appends an error item. */
struct strobe_error *decoding_error(struct decoder *decoder, const char *format, ...)
	STROBE_MUST_CHECK __attribute__((format(printf, 2, 3)));
/** The clock reads `value`: an item of its own if it is new. */
struct strobe_error *decoding_tick(struct decoder *decoder, uint64_t value) STROBE_MUST_CHECK;
/** The clock reads `value`, and no item says so. */
struct strobe_error *decoding_clock(struct decoder *decoder, uint64_t value) STROBE_MUST_CHECK;

/** Items for the sideband's events up to `clock`. */
struct strobe_error *decoding_events(struct decoder *decoder, uint64_t clock) STROBE_MUST_CHECK;

#endif
