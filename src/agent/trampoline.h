// SPDX-License-Identifier: Apache-2.0
#ifndef AGENT_TRAMPOLINE_H
#define AGENT_TRAMPOLINE_H

// The code that a jump at a site leads to: it looks at the condition, records a hit, executes the instruction that the jump replaced,
// and goes on behind it. All registers and flags are as they were.

#include <stdbool.h>
#include <stdint.h>

#include "agent/emit.h"
#include "tracepoint/program.h"

struct trampoline {
	uint64_t address;		       // of the site
	const uint8_t *instruction;	       // what stands there
	size_t available;		       // bytes
	uint64_t until;			       // instructions that begin before it are taken along
	const struct probe_program *condition; // NULL = none
	uint64_t data;			       // its struct inside_site
	uint64_t hit;			       // inside_hit()
	uint64_t load;			       // inside_load
	bool transactions;		       // xbegin is to be had
	bool fsgsbase;			       // rdfsbase is to be had
	// May `size` bytes at an address be read at any time? For what a condition reads.
	bool (*is_mapped)(const void *context, uint64_t address, unsigned size);
	const void *context;
};

/** Makes it at code->base. False with `*why` if the instruction cannot be moved. `*checked`: the condition is in it. */
bool trampoline_make(const struct trampoline *trampoline, struct emit *code, bool *checked,
		     const char **why);

/** Condition code: what the trampoline saved, and where it goes on. */
enum { CONDITION_REGISTERS = 7 };
struct condition_frame {
	unsigned saved; // registers of the evaluation stack that were pushed, after rax and rcx
	uint64_t address;
	bool fsgsbase;
	uint64_t load; // inside_load; 0 = there is none
	bool transactions;
	bool (*is_mapped)(const void *context, uint64_t address, unsigned size);
	const void *context;
};
/** Registers that it needs (pushed in this order); 0 = it cannot be compiled. */
unsigned condition_depth(const struct probe_program *program);
/** The register's number in instructions. */
unsigned condition_register(unsigned index);
/** Offsets of distances of jumps, to be led somewhere. */
enum { CONDITION_EXITS = 64 };
struct condition_exits {
	size_t at[CONDITION_EXITS];
	unsigned count;
};
/**
 * Appends code that falls through where the condition holds, and jumps where it does not (`no`) and where it cannot be told:
 * a load that may fail (`unsure`). False if it cannot be compiled.
 */
bool condition_put(struct emit *code, const struct probe_program *program,
		   const struct condition_frame *frame, struct condition_exits *no,
		   struct condition_exits *unsure);

#endif
