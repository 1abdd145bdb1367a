// SPDX-License-Identifier: Apache-2.0
#ifndef LENS_PLAN_H
#define LENS_PLAN_H

// A plan: where the references of an object of one type are. A list of steps, with no pointers to anything that is not
// the plan's own: compiled by one thread, run by all.

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct lens;
struct lens_memory;
struct lens_reference;

enum plan_kind {
	PLAN_POINTER, // a word at `offset`: an address of `type` (0: of nobody knows what: void *)
	PLAN_CODE,    // a word at `offset`: an address of code, a leaf
	PLAN_COUNTED, // a word at `offset`: the address of `a` elements... see `count_kind`: vectors, strings, spans
	PLAN_REPEAT,   // the next `span` steps, `a` times, `b` bytes apart, from `offset` on
	PLAN_FLEXIBLE, // the next `span` steps, `b` bytes apart, from `offset` to the object's end
	PLAN_IF, // the next `span` steps only if the integer of `width` bytes at `offset` (masked with `mask`) is
	// in [a, b]: variants, optionals, discriminated unions
	PLAN_SCAN, // `a` bytes from `offset` on, at most to the object's end, word by word, as guesses
	PLAN_BASE, // the next `span` steps, counted from where a virtual base is: the word at `offset` is the address of a
	// virtual table, and the word `a` bytes before that says how far behind `offset` the base begins
	PLAN_CALL, // function `call` of the lens does the rest: what steps cannot say
};

/** Where the count of a PLAN_COUNTED comes from. */
enum plan_count {
	PLAN_COUNT_END, // the word at offset `b` is the address behind the last element, `stride` bytes each
	PLAN_COUNT_INTEGER, // the integer of `width` bytes at offset `b`
};

struct plan_step {
	uint8_t kind;	    // enum plan_kind
	uint8_t count_kind; // enum plan_count
	uint8_t width;
	bool maybe; // of a union with several readings
	bool link; // PLAN_POINTER: leads to `type` only if nothing else is known to be there: evidence is EVIDENCE_LINK
	bool self; // PLAN_POINTER: may point into the object itself (short strings): then it is no reference
	uint32_t offset; // from the element's start, or the enclosing repeat's
	uint32_t type;	 // lens type id of what is pointed at
	uint32_t span;	 // steps that belong to this one, nested ones included
	uint64_t a, b;
	uint64_t
		mask; // of pointers: bits that are a tag, taken off; of PLAN_IF: bits that are compared
	uint32_t stride;
	/** PLAN_CALL. Reads what it needs through `memory`, tells by `visit`; bounded whatever stands there. `bytes` are
	 *  the element's from its start (or that of the enclosing repeat) at `address` on, `size_bytes` of them to the
	 *  object's end at most; NULL where they are not in a row. They are valid until the first read. References are
	 *  counted from `address` on; of guesses only those are passed on that are asked for. */
	void (*call)(const struct lens *lens, const struct lens_memory *memory,
		     const struct plan_step *step, uint64_t address, const uint8_t *bytes,
		     uint64_t size_bytes,
		     bool (*visit)(void *context, const struct lens_reference *reference),
		     void *context);
	const void *data; // of `call`: the lens's own
};

struct plan {
	uint32_t step_count;
	bool leaf; // no references at all: no need to read the object
	const struct plan_step *steps;
};

/** Named limits. */
enum {
	PLAN_STEP_LIMIT = 20000, // of one type: what is left is scanned
	PLAN_NESTING_LIMIT = 64, // of structures in structures
	PLAN_ELEMENT_LIMIT = 1 << 28,
};

#endif
