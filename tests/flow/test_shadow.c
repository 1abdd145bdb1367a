// SPDX-License-Identifier: Apache-2.0
// The shadow stack against a machine that runs made-up programs and knows its stack.
#include "check.h"

#include <string.h>

#include "flow/shadow.h"

enum {
	FUNCTIONS = 12,
	SIZE = 0x1000,
	BASE = 0x400000,
	STEPS = 4000,
	DEPTH = 40,
	RESTORER = FUNCTIONS, // what signal handlers return to
};

static uint32_t state;
static uint32_t pick(uint32_t limit)
{
	state = state * 1664525 + 1013904223;
	return (uint32_t)(((uint64_t)(state >> 4) * limit) >> 28);
}

/** What a program did, run by run. */
struct made_run {
	uint64_t address, end, target;
	enum strobe_flow flow;
	bool has_target;
	bool interrupted; // behind it, at `resume`
	uint64_t resume;
	bool lost; // it is not in the trace
	// The truth, while it runs: outermost first.
	unsigned depth;
	uint64_t returns[DEPTH + 4];
	uint32_t functions[DEPTH + 4];
};

struct machine {
	unsigned depth; // frames
	uint64_t returns[DEPTH + 4];
	uint32_t functions[DEPTH + 4];
	uint64_t resumes[DEPTH + 4]; // of handlers
	uint64_t at;
};

static uint64_t entry(uint32_t function)
{
	return BASE + (uint64_t)function * SIZE;
}
static uint64_t inside(uint32_t function)
{
	return entry(function) + 0x10 + pick(0x80) * 0x10;
}
static uint32_t holder(uint64_t address)
{
	return (uint32_t)((address - BASE) / SIZE);
}

static struct made_run begin(const struct machine *machine)
{
	struct made_run run = {.address = machine->at,
			       .end = machine->at + 5,
			       .flow = STROBE_FLOW_COND_JUMP,
			       .depth = machine->depth};
	memcpy(run.returns, machine->returns, sizeof(run.returns));
	memcpy(run.functions, machine->functions, sizeof(run.functions));
	return run;
}

static void enter(struct machine *machine, uint32_t function, uint64_t returns, uint64_t resume)
{
	machine->returns[machine->depth] = returns;
	machine->resumes[machine->depth] = resume;
	machine->functions[machine->depth++] = function;
	machine->at = entry(function);
}

/** Ends a handler: back to what was interrupted. */
static void end_handler(struct machine *machine, struct made_run *run, int part)
{
	unsigned top = machine->depth - 1;
	run->flow = part == 0 ? STROBE_FLOW_RETURN : STROBE_FLOW_FAR_CALL;
	if (part == 0) {
		machine->functions[top] = RESTORER;
		machine->at = entry(RESTORER) + 8;
		return;
	}
	machine->at = machine->resumes[top];
	machine->depth--;
}

/** The nearest frame that `function` runs in, so that a jump into it is one to that frame. */
static bool jump_out(struct machine *machine, struct made_run *run)
{
	uint32_t function = machine->functions[pick(machine->depth)];
	if (function == machine->functions[machine->depth - 1] || function == RESTORER)
		return false;
	while (machine->functions[machine->depth - 1] != function)
		machine->depth--;
	run->flow = STROBE_FLOW_JUMP;
	machine->at = inside(function);
	return true;
}

static void run_one(struct machine *machine, struct made_run *run, bool wild, bool calls)
{
	unsigned top = machine->depth - 1;
	uint32_t here = machine->functions[top];
	*run = begin(machine);
	if (here == RESTORER) {
		end_handler(machine, run, 1);
		return;
	}
	// What a function does first is no call: else most calls would return to the same place.
	unsigned action = machine->at == entry(here) ? 99 : pick(100);
	if (action < 30 && calls && machine->depth < DEPTH) {
		run->flow = STROBE_FLOW_CALL;
		enter(machine, pick(FUNCTIONS), run->end, 0);
		run->has_target = pick(2);
	} else if (action < 60 && machine->depth > 1) {
		if (machine->resumes[top]) {
			end_handler(machine, run, 0);
			return;
		}
		run->flow = STROBE_FLOW_RETURN;
		machine->at = machine->returns[top];
		machine->depth--;
	} else if (action < 66) {
		uint32_t other = (here + 1 + pick(FUNCTIONS - 1)) % FUNCTIONS;
		run->flow = STROBE_FLOW_JUMP;
		run->has_target = pick(2);
		machine->functions[top] = other;
		machine->at = entry(other);
	} else if (wild && action < 70 && jump_out(machine, run)) {
		return;
	} else if (wild && action < 74 && machine->depth < DEPTH) {
		run->flow = STROBE_FLOW_OTHER;
		run->interrupted = true;
		run->resume = pick(2) ? run->end : 0; // told or not
		enter(machine, pick(FUNCTIONS), 0, run->end);
	} else {
		run->has_target = true;
		machine->at = pick(2) ? run->end : inside(here);
		run->target = machine->at;
		return;
	}
	run->target = machine->at;
}

static void make(struct made_run *runs, unsigned depth, bool wild)
{
	struct machine machine = {0};
	enter(&machine, 0, 0, 0);
	while (machine.depth < depth) {
		uint64_t returns = inside(machine.functions[machine.depth - 1]);
		enter(&machine, pick(FUNCTIONS), returns, 0);
	}
	for (unsigned i = 0; i < STEPS; i++)
		run_one(&machine, &runs[i], wild, i < STEPS - 200); // in the end, all return
}

/** Looks at the stack in each run. */
typedef void (*looker)(const struct shadow *shadow, const struct made_run *runs, unsigned at,
		       void *context);

static void walk(struct shadow *shadow, const struct made_run *runs, looker look, void *context)
{
	bool lost = false;
	for (unsigned i = 0; i < STEPS; i++) {
		const struct made_run *run = &runs[i];
		struct shadow_step step;
		if (run->lost) {
			lost = true;
			continue;
		}
		if (lost)
			shadow_lose(shadow);
		lost = false;
		uint32_t function = holder(run->address);
		struct shadow_place place = {
			.function = function == RESTORER ? SHADOW_UNKNOWN : function,
			.is_entry = function != RESTORER && run->address == entry(function)};
		shadow_arrive(shadow, i, run->address, &place, &step);
		CHECK(step.keep <= shadow->frames.count);
		if (look)
			look(shadow, runs, i, context);
		shadow_depart(shadow, run->flow, run->end, run->has_target, run->target);
		if (run->interrupted)
			shadow_interrupt(shadow, run->resume, true);
	}
	CHECK(!shadow->no_memory);
}

static void walk_twice(const struct made_run *runs, looker look, void *context)
{
	struct shadow_plan plan = {0};
	struct shadow first = {.plan = &plan, .makes_plan = true}, second = {.plan = &plan};
	walk(&first, runs, NULL, NULL);
	shadow_plan_end(&first);
	walk(&second, runs, look, context);
	shadow_fini(&first);
	shadow_fini(&second);
	shadow_plan_fini(&plan);
}

/** All frames but the `hidden` outermost ones are known. */
static void look_exactly(const struct shadow *shadow, const struct made_run *runs, unsigned at,
			 void *context)
{
	unsigned hidden = *(unsigned *)context;
	const struct made_run *run = &runs[at];
	CHECK_EQUAL(shadow->frames.count, run->depth - hidden);
	for (unsigned i = 0; i < shadow->frames.count; i++) {
		const struct shadow_frame *frame = &shadow->frames.items[i];
		uint32_t function = run->functions[i + hidden];
		if (i > 0)
			CHECK_EQUAL(frame->return_address, run->returns[i + hidden]);
		CHECK_EQUAL(frame->function, function == RESTORER ? SHADOW_UNKNOWN : function);
	}
}

static unsigned least_depth(const struct made_run *runs)
{
	unsigned least = DEPTH;
	for (unsigned i = 0; i < STEPS; i++)
		least = runs[i].depth < least ? runs[i].depth : least;
	return least;
}

static struct made_run runs[STEPS];

static void follows_calls_and_tail_calls(void)
{
	for (unsigned seed = 1; seed <= 50; seed++) {
		unsigned hidden = 0;
		state = seed;
		make(runs, 1, false);
		walk_twice(runs, look_exactly, &hidden);
	}
}

static void knows_callers_from_the_start(void)
{
	unsigned most = 0;
	for (unsigned seed = 1; seed <= 50; seed++) {
		state = seed;
		make(runs, 30, false);
		unsigned hidden = least_depth(runs) - 1;
		most = 30 - hidden > most ? 30 - hidden : most;
		walk_twice(runs, look_exactly, &hidden);
	}
	CHECK(most > 10); // of them that were there before
}

static void follows_signals_and_jumps_out(void)
{
	for (unsigned seed = 1; seed <= 50; seed++) {
		unsigned hidden = 0;
		state = seed;
		make(runs, 1, true);
		walk_twice(runs, look_exactly, &hidden);
	}
}

struct kept {
	unsigned looks, kept, wrong;
};

/** Known return addresses are, in their order, among the true ones. */
static void look_behind_gap(const struct shadow *shadow, const struct made_run *all, unsigned at,
			    void *context)
{
	struct kept *kept = context;
	const struct made_run *run = &all[at];
	unsigned next = 0, known = 0;
	bool right = true;
	for (unsigned i = 0; i < shadow->frames.count; i++) {
		uint64_t address = shadow->frames.items[i].return_address;
		if (!address)
			continue;
		while (next < run->depth && run->returns[next] != address)
			next++;
		right &= next++ < run->depth;
		known++;
	}
	CHECK_EQUAL(shadow->frames.items[shadow->frames.count - 1].function, holder(run->address));
	kept->looks++;
	kept->wrong += !right;
	kept->kept += right && known + 1 == run->depth;
}

static void keeps_what_goes_on_behind_gaps(void)
{
	struct kept kept = {0};
	for (unsigned seed = 1; seed <= 50; seed++) {
		state = seed;
		make(runs, 1, false);
		for (unsigned gap = 100; gap + 100 < STEPS; gap += 300 + pick(600))
			for (unsigned i = 0, size = 1 + pick(8); i < size; i++)
				runs[gap + i].lost = true;
		walk_twice(runs, look_behind_gap, &kept);
	}
	printf("# behind gaps: %u looks, %u stacks whole, %u wrong\n", kept.looks, kept.kept,
	       kept.wrong);
	CHECK(kept.kept > kept.looks * 3 / 4);
	CHECK(kept.wrong < kept.looks / 50);
}

static void calls_to_the_next_instruction_are_none(void)
{
	struct shadow shadow = {0};
	struct shadow_step step;
	struct shadow_place place = {.function = 1, .is_entry = true};
	shadow_arrive(&shadow, 0, 0x1000, &place, &step);
	CHECK_EQUAL(step.move, SHADOW_GAP);
	shadow_depart(&shadow, STROBE_FLOW_CALL, 0x1005, true, 0x1005);
	place.is_entry = false;
	shadow_arrive(&shadow, 1, 0x1005, &place, &step);
	CHECK_EQUAL(step.move, SHADOW_STAY);
	CHECK_EQUAL(shadow.frames.count, 1);
	shadow_fini(&shadow);
}

static void code_that_is_not_traced_returns(void)
{
	struct shadow shadow = {0};
	struct shadow_step step;
	struct shadow_place caller = {.function = 1}, back = {.function = 2, .is_entry = true};
	shadow_arrive(&shadow, 0, 0x1000, &caller, &step);
	shadow_depart(&shadow, STROBE_FLOW_CALL, 0x1005, false, 0); // qsort(), say
	shadow_leave(&shadow);
	for (unsigned i = 0; i < 3; i++) { // calls back three times
		shadow_arrive(&shadow, 1 + i, 0x2000, &back, &step);
		CHECK_EQUAL(step.move, i ? SHADOW_SWAP : SHADOW_PUSH);
		CHECK_EQUAL(shadow.frames.count, 2);
		shadow_depart(&shadow, STROBE_FLOW_RETURN, 0x2010, false, 0);
		shadow_leave(&shadow);
	}
	shadow_arrive(&shadow, 4, 0x1005, &caller, &step);
	CHECK_EQUAL(step.move, SHADOW_RETURN);
	CHECK_EQUAL(shadow.frames.count, 1);
	shadow_depart(&shadow, STROBE_FLOW_CALL, 0x1015, false, 0);
	shadow_leave(&shadow);
	shadow_arrive(&shadow, 5, 0x1015, &caller, &step); // nothing of it was traced
	CHECK_EQUAL(step.move, SHADOW_STAY);
	shadow_fini(&shadow);
}

static void setjmp_knows_its_frame(void)
{
	struct shadow shadow = {0};
	struct shadow_step step;
	struct shadow_place f = {.function = 1, .is_entry = true}, in_f = {.function = 1};
	struct shadow_place set = {.function = 2, .is_entry = true, .saves = true};
	shadow_arrive(&shadow, 0, 0x1000, &f, &step);
	shadow_depart(&shadow, STROBE_FLOW_CALL, 0x1010, true, 0x2000);
	shadow_arrive(&shadow, 1, 0x2000, &set, &step);
	shadow_depart(&shadow, STROBE_FLOW_RETURN, 0x2001, false, 0);
	shadow_arrive(&shadow, 2, 0x1010, &in_f, &step);
	for (unsigned i = 0; i < 5; i++) { // recursion: without setjmp()
		shadow_depart(&shadow, STROBE_FLOW_CALL, 0x1020, true, 0x1000);
		shadow_arrive(&shadow, 3 + i, 0x1000, &f, &step);
	}
	CHECK_EQUAL(shadow.frames.count, 6);
	shadow_depart(&shadow, STROBE_FLOW_CALL, 0x1030, true, 0x3000);
	shadow_arrive(&shadow, 9, 0x3000, &(struct shadow_place){3, 0, true, false, false}, &step);
	shadow_depart(&shadow, STROBE_FLOW_JUMP, 0x3010, false, 0);
	shadow_arrive(&shadow, 10, 0x1010, &in_f, &step);
	CHECK_EQUAL(step.move, SHADOW_UNWIND);
	CHECK_EQUAL(shadow.frames.count, 1);
	shadow_fini(&shadow);
}

CHECK_MAIN({"follows calls and tail calls", follows_calls_and_tail_calls},
	   {"knows callers from the start", knows_callers_from_the_start},
	   {"follows signals and jumps out", follows_signals_and_jumps_out},
	   {"keeps what goes on behind gaps", keeps_what_goes_on_behind_gaps},
	   {"calls to the next instruction are none", calls_to_the_next_instruction_are_none},
	   {"code that is not traced returns", code_that_is_not_traced_returns},
	   {"setjmp() knows its frame", setjmp_knows_its_frame})
