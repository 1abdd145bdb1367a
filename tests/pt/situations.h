// SPDX-License-Identifier: Apache-2.0
#ifndef TESTS_PT_SITUATIONS_H
#define TESTS_PT_SITUATIONS_H

// Named traces: every kind of packet, and every kind of damage.

#include "generator.h"

/** What became of the bytes. */
struct damage {
	uint64_t start; // what was before is as it was
	uint64_t
		end; // what is behind is as it was, `removed` bytes earlier; UINT64_MAX: nothing is
	uint64_t removed;
};

struct situation {
	const char *name;
	const char *what;
	/** Walks on; tracing is enabled before and after. */
	void (*walk)(struct walk *walk);
	/** Damages `bytes`, a copy; returns the new size. NULL = none. */
	size_t (*damage)(uint8_t *bytes, size_t size, struct chance *chance, struct damage *ret);
	bool timed, mtc, cycles;
};
extern const struct situation situations[];
extern const size_t situation_count;
/** NULL if there is none. */
const struct situation *situation_find(const char *name);

/** A whole trace of a situation. */
struct made_trace {
	struct program program;
	struct walk walk; // its items are the truth
	uint8_t *bytes;
	size_t size;
	bool damaged;
	struct damage damage;
};
enum {
	MADE_CRYSTAL_RATIO = 32, // TSC ticks a crystal clock tick: CPUID 15h eax 1, ebx 32
	MADE_MTC_SHIFT = 3,	 // IA32_RTIT_CTL.MTCFreq
	MADE_BUS_RATIO = 32,	 // CBR and nominal frequency
};
/** About `instructions` of them. */
void make_trace(struct made_trace *trace, const struct situation *situation, uint64_t seed,
		unsigned instructions);
void made_trace_fini(struct made_trace *trace);
/** Items that must be found whatever the damage: those before it. */
size_t made_trace_certain(const struct made_trace *trace);

#endif
