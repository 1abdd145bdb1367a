// SPDX-License-Identifier: Apache-2.0
#ifndef AGENT_AGENT_H
#define AGENT_AGENT_H

// The engine's state (tracepoint/engine.h): sites in the target's code, the memory of ours that they lead to, and rings of hits.

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <strobe/error.h>

#include "agent/ring.h"
#include "agent/space.h"
#include "agent/surgeon.h"
#include "base/array.h"
#include "base/hash.h"
#include "tracepoint/engine.h"

enum { AGENT_RINGS = 4, AGENT_SITE_BYTES = 8, AGENT_LOOK = 48 };

/** Memory of ours in the target, within reach of some of its code: code, then data. */
struct agent_arena {
	uint64_t base, control;
	uint64_t code_at, code_end, data_at, data_end; // free
	uint64_t hit, load;			       // inside_hit(), inside_load
};

/** A jump of which only the first `size` bytes are ours to choose. */
struct pun {
	uint64_t address;
	unsigned size;			 // 1 to 4; 5 = all are
	unsigned reach;			 // bytes that may be part of it: 5 and more
	uint8_t bytes[AGENT_SITE_BYTES]; // as they stand there
	// Offsets in it at which other instructions begin: somebody (a uprobe, a debugger) may put a breakpoint there, which
	// changes where the jump leads. There has to be a landing as well.
	unsigned starts[AGENT_SITE_BYTES], start_count;
};

/** A site, armed or not: its trampoline stays, and serves again if the same is asked for at the same place. */
struct agent_site {
	uint64_t address;
	bool armed;
	uint8_t size;	// bytes that are changed
	uint8_t extent; // bytes of the jump
	uint8_t before[AGENT_SITE_BYTES], after[AGENT_SITE_BYTES];
	const char *method;
	uint64_t data;	     // its struct inside_site
	uint64_t targets[2]; // its trampolines
	struct pun pun;
	bool checked; // its condition is evaluated inside
	unsigned ring;
	uint32_t cookie, generation, stack_bytes;
	struct probe_program *condition; // a copy; NULL = none
	uint64_t hits;
	struct engine_totals base; // of what was counted before it was armed this time
	size_t older; // one more than the index of another at the same address; 0 = none
};

/** A jump that is to be written where a punned one leads. */
struct landing {
	uint64_t spot, target;
};

struct agent {
	int pid, process; // and a descriptor of it
	int mem, timer;
	uint32_t inner_pid;	     // as its namespace has it
	bool same_ids;		     // its namespace is ours
	bool fsgsbase, transactions; // what the processor has
	struct strobe_symbols *symbols;
	struct surgeon surgeon;
	struct space space;
	struct ring rings[AGENT_RINGS];
	ARRAY(struct agent_arena) arenas;
	struct hash pages, spots; // agent_landing.c
	ARRAY(uint64_t) wanted_pages;
	ARRAY(struct landing) landings; // not yet written
	size_t page_count;
	// Invariant: sites.items[i] is the probe whose number is i + 1.
	ARRAY(struct agent_site) sites;
	struct hash armed, latest; // by address: one more than an index
	int file;		   // of the mapping below; -1 = none
	uint64_t file_start;	   // its mapping
	struct {
		uint64_t tsc;
		int64_t ns;
	} first_time, last_time;
	int64_t told_ns; // the latest time that a hit was given
};

/** Bytes of stack that records of a ring have room for. */
uint32_t agent_stack_room(unsigned ring);
/** False if the process is gone, or memory is short. */
bool agent_read_space(struct agent *agent);
/** Has an arena that reaches `address`, with room; NULL with `*why`, or an error. */
struct strobe_error *agent_arena_for(struct agent *agent, uint64_t address,
				     struct agent_arena **ret, const char **why);
/** Has the ring mapped. */
struct strobe_error *agent_have_ring(struct agent *agent, unsigned index);
/** A call in the target; the kernel's error is UNSUPPORTED in the words of `what`. */
struct strobe_error *agent_call(struct agent *agent, long number, const uint64_t arguments[6],
				const char *what, uint64_t *ret);
/**
 * Where punned jumps lead (agent_landing.c): the last bytes of their distance are those of the instructions that follow, so that they come
 * down at places not of our choice. There a page is mapped, with a jump to a trampoline: targets[0], or targets[1] where somebody put a breakpoint into
 * the jump's last bytes. Chooses `after`, the jump's bytes, of which there are `*extent`; 0 = there is no room. The landings are there after
 * landing_map().
 */
struct strobe_error *landing_choose(struct agent *agent, const struct pun *pun,
				    const uint64_t targets[2], uint8_t after[AGENT_SITE_BYTES],
				    unsigned *extent) STROBE_MUST_CHECK;
/** Has what was chosen mapped and written. Places that others took meanwhile are not chosen again. */
struct strobe_error *landing_map(struct agent *agent) STROBE_MUST_CHECK;
/** All places that such a jump leads to are ours. */
bool landing_is_there(const struct agent *agent, const struct pun *pun,
		      const uint8_t after[AGENT_SITE_BYTES], unsigned extent);
/** agent_sites.c */
struct strobe_error *agent_arm(void *context, const struct probe_request *requests, size_t count,
			       struct probe_answer *answers);
void agent_disarm(void *context, const uint32_t *probes, size_t count);
/** agent_hits.c */
struct strobe_error *agent_wait(void *context, int timeout_ms, engine_visit visit, void *visitor,
				bool *ended);
void agent_totals(void *context, uint32_t probe, struct engine_totals *ret);
void agent_start_clock(struct agent *agent);
/** So much time in the processor's. */
uint64_t agent_ticks(const struct agent *agent, int64_t ns);

#endif
