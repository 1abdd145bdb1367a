// SPDX-License-Identifier: Apache-2.0
#ifndef TESTS_PT_GENERATOR_H
#define TESTS_PT_GENERATOR_H

// Traces whose every item is known. A *program* is random code; a *walk* goes through it at random, writes the packets
// and notes what a decoder must find. Equal seeds make equal traces. What goes wrong here ends the program.

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <strobe/cursor.h>

#include "base/array.h"
#include "pt/writer.h"

/** A small random number generator, the same on every machine. */
struct chance {
	uint64_t state;
};
uint64_t chance_next(struct chance *chance);
/** 0 to `limit` - 1. */
unsigned chance_below(struct chance *chance, unsigned limit);

/** Which instructions a program has, as weights. */
struct program_mix {
	unsigned plain, conditional, jump, indirect_jump, call, indirect_call, call_next, return_,
		system_call, ptwrite;
};
extern const struct program_mix program_mix_usual;

struct program {
	uint64_t base; // of the code
	ARRAY(uint8_t) code;
	ARRAY(struct pt_step) steps; // all instructions, by address
};
/** `instructions` of them, at `base`; targets are instructions. */
void program_make(struct program *program, uint64_t seed, uint64_t base, unsigned instructions,
		  const struct program_mix *mix);
void program_fini(struct program *program);
/** Reads like memory: the code where it is, else nothing. Fits code_map's and libipt's callbacks. */
size_t program_read(const struct program *program, uint64_t address, void *buffer, size_t size);
/** The instruction at `address`, which must be one. */
const struct pt_step *program_at(const struct program *program, uint64_t address);
/** Writes an ELF executable with that code. */
void program_write_elf(const struct program *program, const char *path);

/** An item that a decoder must find. */
struct expected_item {
	bool is_event, is_error;
	uint64_t address;	     // of an instruction; of an event where it has one
	enum strobe_event_type type; // of an event
	uint64_t value;		     // payload, ratio, ...
	uint64_t target;	     // where execution went on
	uint64_t
		offset; // of an instruction: all packets before, and the byte there, lead to it; of an
			// event: where its packets end
	uint64_t clock; // true time
};

struct walk_options {
	uint64_t seed;
	unsigned follow_returns; // of 100 returns go so many behind their call
	unsigned deeper;	 // of 100 returns are avoided so many: deep recursion
	struct pt_writer_options writer;
	bool timed;		    // a TSC in each PSB+ and before each enable
	uint64_t clock, clock_step; // first value, growth an instruction
	unsigned
		mtc_shift; // an MTC whenever the crystal clock >> this grows (writer.crystal_ratio); 0 = none
	bool cycles; // a CYC before each other packet that the walk makes; a cycle is a clock tick
};

/** A walk through a program. */
struct walk {
	const struct program *program;
	struct walk_options options;
	struct chance chance;
	struct pt_writer *writer;
	bool enabled;
	uint64_t at; // what runs next
	uint64_t clock, last_cycle;
	uint64_t instruction_count;
	ARRAY(uint64_t) calls; // where open calls return to
	ARRAY(struct expected_item) items;
};
/** Begins disabled, at the program's first instruction. */
void walk_begin(struct walk *walk, const struct program *program,
		const struct walk_options *options);
void walk_done(struct walk *walk);
/** Tracing begins here. */
void walk_enable(struct walk *walk);
/** Tracing ends before the next instruction. */
void walk_disable(struct walk *walk);
/** Runs `count` instructions; a system call is a gap in tracing. */
void walk_run(struct walk *walk, unsigned count);
/** Runs one instruction, and tracing ends with it: what comes next is not traced. */
void walk_leave(struct walk *walk);
/** Runs until the next instruction is of `flow`. False if none came in 100,000 instructions. */
bool walk_until(struct walk *walk, enum strobe_flow flow);
/** An interrupt to a random instruction. */
void walk_interrupt(struct walk *walk);
/** Runs `count` instructions that are not traced: for holes that a recorder leaves. */
void walk_skip(struct walk *walk, unsigned count);
/** Runs one instruction with a PTWRITE event behind it; where tracing is disabled, the event alone. */
void walk_ptwrite(struct walk *walk, uint64_t payload);
/** A packet as it is (struct pt_packet). */
void walk_packet(struct walk *walk, const void *packet);
/** Runs `count` instructions whose packets are lost: OVF tells so, and where it went on. */
void walk_overflow(struct walk *walk, unsigned count);
/** Notes an event that the packets before make. */
void walk_expect(struct walk *walk, enum strobe_event_type type, uint64_t address, uint64_t value);
/** Tracing ends; the packets so far. */
const uint8_t *walk_end(struct walk *walk, size_t *size);

/** Where the next PSB begins at or after `from`; `size` if there is none. */
size_t find_psb(const uint8_t *bytes, size_t size, size_t from);

#endif
