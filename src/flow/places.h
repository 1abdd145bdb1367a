// SPDX-License-Identifier: Apache-2.0
#ifndef FLOW_PLACES_H
#define FLOW_PLACES_H

// What functions, real and inlined, a run's instructions belong to: worked out once for each run of code, then
// found by its index.
//
// A *scope* is a function, or a call inlined into another scope; a small number.

#include <strobe/cursor.h>
#include <strobe/symbols.h>

#include "base/arena.h"
#include "base/array.h"
#include "base/hash.h"
#include "flow/shadow.h"

#define SCOPE_NONE UINT32_MAX

struct scope {
	uint32_t parent;      // SCOPE_NONE: a real function
	uint32_t function;    // itself, or what it is inlined into in the end
	uint32_t depth;	      // 0 = a real function
	uint32_t function_id; // the same for all scopes with one function's code
	const char *name;     // qualified; NULL if unknown
	const char *file;     // where it is declared; NULL if unknown
	unsigned line;	      // 0 if unknown
	size_t module;	      // index in the view; SIZE_MAX if none
	uint64_t start;	      // 0 if unknown
	bool saves;	      // like setjmp()
};

struct code_position;

/** Instructions of a run that belong to one scope, from `first` up to the next segment. */
struct place_segment {
	uint32_t first;
	uint32_t scope;
	uint64_t address; // of the first instruction
	uint64_t before;  // of the one before it in the run; 0 = there is none
};

struct place {
	struct shadow_place shadow; // of the first instruction; shadow.place is its scope
	uint32_t count;		    // instructions that are worked out; 0 = none yet
	uint32_t segment_count;
	bool crosses; // into another real function
	const struct place_segment *segments;
};

struct places {
	struct strobe_symbols *symbols;
	bool no_inlined;
	bool no_memory;
	struct arena arena;
	ARRAY(struct place) by_code; // by strobe_run.code_index
	ARRAY(struct scope) scopes;
	struct hash by_die, by_start, by_declaration; // -> index + 1
	struct hash by_address;			      // -> struct place
	uint32_t function_count;
};

/** INVALID if the trace has no such thread, or the symbols are not those of its view. */
struct strobe_error *places_check(const struct strobe_trace *trace, size_t thread_index,
				  const struct strobe_symbols *symbols) STROBE_MUST_CHECK;
void places_init(struct places *places, struct strobe_symbols *symbols, bool no_inlined);
void places_fini(struct places *places);

/** The slow half of places_of_run(). */
const struct place *places_work_out(struct places *places, const struct strobe_run *run);
/** Where `run` stands; borrowed, until the next call. Never NULL; see places.no_memory. */
static inline const struct place *places_of_run(struct places *places, const struct strobe_run *run)
{
	if (run->code_index < places->by_code.count &&
	    places->by_code.items[run->code_index].count >= run->count)
		return &places->by_code.items[run->code_index];
	return places_work_out(places, run);
}
/** Where one instruction stands. */
const struct place *places_at(struct places *places, uint64_t address);
/** Line and file of `address` in `scope`, one of those around it; false if not known. */
bool places_line(struct places *places, uint32_t scope, uint64_t address, struct strobe_line *ret);

#endif
