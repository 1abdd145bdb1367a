// SPDX-License-Identifier: Apache-2.0
// The stack of a thread: unwinds it once, and shows its physical frames and inlined calls.
//
// Invariants: 1. records.count physical frames are known; checkpoint n is frame 64 n, whole.
// 2. entries are in order, and each names a record; those of one record follow each other, inlined
// ones first. 3. unwinding again from a checkpoint gives the same frames: the view does not change.

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strobe/stack.h>

#include "base/error.h"
#include "stack/unwind.h"

/** Named limits. */
enum {
	STACK_FRAMES_DEFAULT = 1000000,
	LANGUAGE_RUST = 0x1c,	   // DW_LANG_Rust
	STACK_SWITCH_LIMIT = 1024, // times the stack pointer may go down: other stacks, signals
};

/** State of one unwinding. */
struct walk {
	struct strobe_stack *stack;
	struct unwinder unwinder;
	struct unwind_stop stop;
	size_t max_frames;
	size_t main_module; // SIZE_MAX = any
	unsigned switches;
	bool past_main;
	bool is_rust; // a frame of Rust was seen
	bool no_memory;
};

static const char *trust_name(enum strobe_frame_trust trust)
{
	switch (trust) {
	case STROBE_TRUST_REGISTERS:
		return "registers";
	case STROBE_TRUST_CFI:
		return "cfi";
	case STROBE_TRUST_INLINE:
		return "inline";
	case STROBE_TRUST_GUESS_PLT:
		return "plt";
	case STROBE_TRUST_FRAME_POINTER:
		return "frame-pointer";
	case STROBE_TRUST_SCAN:
		return "scan";
	case STROBE_TRUST_TRACE:
		return "trace";
	}
	return "unknown";
}

static bool end(struct walk *walk, enum strobe_stack_stop reason, const char *text)
{
	walk->stop.reason = reason;
	snprintf(walk->stop.text, sizeof(walk->stop.text), "%s", text);
	return false;
}

/** What is the same for all visible frames of a physical one. */
static struct stack_entry plain_entry(const struct walk *walk, const struct physical_frame *frame)
{
	struct stack_entry entry = {
		.frame =
			{
				.index = walk->stack->entries.count,
				.pc = frame->pc,
				.module_index = SIZE_MAX,
				.signal_frame = frame->signal_frame,
				.trust = frame->trust,
			},
		.physical = frame->index,
		.scope = SIZE_MAX,
	};
	const struct code_position *position = frame->position;
	if (position && position->module) {
		entry.frame.module_index = position->module->index;
		entry.frame.module = position->module->module->name;
	}
	if (position && !position->scope_count && position->function) {
		entry.frame.function = position->function;
		entry.frame.offset_bytes = frame->pc - position->start;
	}
	return entry;
}

/** From the function's entry, or, in a part that was moved before it, from that part's symbol. */
static uint64_t offset_of(const struct walk *walk, uint64_t pc, uint64_t start)
{
	struct strobe_symbol symbol;
	if (pc >= start)
		return pc - start;
	return strobe_symbol_at(walk->unwinder.symbols, pc, &symbol) ? pc - symbol.address : 0;
}

static struct stack_entry scope_entry(const struct walk *walk, const struct physical_frame *frame,
				      size_t index)
{
	struct stack_entry entry = plain_entry(walk, frame);
	const struct code_scope *scope = &frame->position->scopes[index];
	entry.scope = index;
	entry.frame.function = scope->function;
	entry.frame.offset_bytes = offset_of(walk, frame->pc, scope->start);
	entry.frame.file = scope->file;
	entry.frame.line = scope->line;
	entry.frame.column = scope->column;
	entry.frame.inlined = scope->inlined && !frame->chain;
	if (entry.frame.inlined)
		entry.frame.trust = STROBE_TRUST_INLINE;
	return entry;
}

static bool push_entry(struct walk *walk, struct stack_entry entry)
{
	if (walk->stack->entries.count == walk->max_frames) {
		char text[64];
		snprintf(text, sizeof(text), "the limit of %zu frames is reached",
			 walk->max_frames);
		return end(walk, STROBE_STOP_LIMIT, text);
	}
	entry.frame.trust_name = trust_name(entry.frame.trust);
	if (array_push(&walk->stack->entries, entry))
		return true;
	walk->no_memory = true;
	return false;
}

/** Adds a physical frame and what is visible of it; false at the limit. */
static bool add(struct walk *walk, struct physical_frame *frame)
{
	struct strobe_stack *stack = walk->stack;
	frame->position = code_position_at(stack->symbols, frame->lookup_pc);
	struct frame_record record = {
		.pc = frame->pc,
		.position = frame->position,
		.trust = (uint8_t)frame->trust,
		.signal_frame = frame->signal_frame,
	};
	if ((frame->index % FRAME_CHECKPOINT_EVERY == 0 &&
	     !array_push(&stack->checkpoints, *frame)) ||
	    !array_push(&stack->records, record)) {
		walk->no_memory = true;
		return false;
	}
	size_t scopes = frame->position ? frame->position->scope_count : 0;
	// Of a function that left by a tail call, gdb shows the innermost inlined one alone; so that
	// frame numbers agree, so does this.
	if (frame->chain && scopes)
		scopes = 1;
	for (size_t i = 0; i < scopes; i++) {
		walk->is_rust |= frame->position->scopes[i].unit->language == LANGUAGE_RUST;
		if (!push_entry(walk, scope_entry(walk, frame, i)))
			return false;
	}
	return scopes || push_entry(walk, plain_entry(walk, frame));
}

static bool is_main(const struct walk *walk, const struct physical_frame *frame)
{
	const struct code_position *position = frame->position;
	// The C main() around a Rust program is not the user's; gdb goes on below it.
	if (!position || !position->module || (walk->is_rust && !position->scope_count))
		return false;
	const char *name = position->scope_count
				   ? position->scopes[position->scope_count - 1].function
				   : position->function;
	return name && strcmp(name, "main") == 0 &&
	       (walk->main_module == SIZE_MAX || position->module->index == walk->main_module);
}

/** The stack grows down, so callers are above; a stack pointer that is not is on another stack, or
 *  wrong. */
static bool moves_on(struct walk *walk, const struct physical_frame *frame,
		     const struct physical_frame *caller)
{
	uint64_t inner = frame->registers[FRAME_RSP], outer = caller->registers[FRAME_RSP];
	if (outer > inner || frame->chain || walk->unwinder.recorded)
		return true;
	const struct strobe_view *view = walk->unwinder.view;
	bool elsewhere = frame->signal_frame ||
			 strobe_view_mapping_at(view, inner) != strobe_view_mapping_at(view, outer);
	if (elsewhere && (outer != inner || frame->pc != caller->pc) &&
	    walk->switches++ < STACK_SWITCH_LIMIT)
		return true;
	char text[128];
	snprintf(text, sizeof(text),
		 "corrupt stack: the caller's stack pointer 0x%" PRIx64
		 " is not above this frame's 0x%" PRIx64,
		 outer, inner);
	return end(walk, STROBE_STOP_LOOP, text);
}

/** Records what became known of a frame when its caller was looked for. */
static void finish(struct walk *walk, const struct physical_frame *frame)
{
	struct strobe_stack *stack = walk->stack;
	struct frame_record *record = &stack->records.items[frame->index];
	record->cfa = frame->cfa;
	record->has_cfa = frame->has_cfa;
	record->signal_frame = frame->signal_frame;
	for (size_t i = stack->entries.count; i-- > 0;) {
		struct stack_entry *entry = &stack->entries.items[i];
		if (entry->physical != frame->index)
			break;
		entry->frame.cfa = frame->cfa;
		entry->frame.signal_frame = frame->signal_frame;
	}
}

static bool advance(struct walk *walk, struct physical_frame *frame, struct physical_frame *caller)
{
	bool found = unwind_step(&walk->unwinder, frame, caller, &walk->stop);
	finish(walk, frame);
	if (is_main(walk, frame) && !walk->past_main)
		return end(walk, STROBE_STOP_MAIN, "main() reached");
	if (!found || !moves_on(walk, frame, caller))
		return false;
	if (!frame->pc && frame->index && !frame->innermost)
		return end(walk, STROBE_STOP_OUTERMOST, "outermost: the return address is 0");
	return true;
}

static void run(struct walk *walk)
{
	struct physical_frame frames[2];
	unsigned now = 0;
	if (!unwind_first(&walk->unwinder, walk->stack->thread_index, &frames[0])) {
		end(walk, STROBE_STOP_NO_REGISTERS, "the thread's registers are not recorded");
		return;
	}
	while (add(walk, &frames[now]) && advance(walk, &frames[now], &frames[!now]))
		now = !now;
	// At the limit the last frame's caller is not wanted, but its own CFA is: locals need it.
	if (walk->stop.reason == STROBE_STOP_LIMIT &&
	    frames[now].index < walk->stack->records.count) {
		struct unwind_stop ignored = {0};
		unwind_step(&walk->unwinder, &frames[now], &frames[!now], &ignored);
		finish(walk, &frames[now]);
	}
}

static size_t module_of_program(const struct strobe_view *view)
{
	enum { AUXV_ENTRY = 9 };
	uint64_t type, value;
	for (size_t i = 0; strobe_view_auxv(view, i, &type, &value); i++) {
		if (type == AUXV_ENTRY)
			return strobe_view_module_at(view, value);
	}
	return SIZE_MAX;
}

struct strobe_error *strobe_stack_open(struct strobe_symbols *symbols, size_t thread_index,
				       const struct strobe_stack_options *options,
				       struct strobe_stack **ret)
{
	const struct strobe_view *view = strobe_symbols_view(symbols);
	if (thread_index >= strobe_view_thread_count(view))
		return error_new(STROBE_ERROR_INVALID, "there is no thread number %zu",
				 thread_index);
	struct strobe_stack *stack = calloc(1, sizeof(*stack));
	if (!stack)
		return error_no_memory();
	stack->symbols = symbols;
	stack->thread_index = thread_index;
	struct walk walk = {
		.stack = stack,
		.max_frames =
			options && options->max_frames ? options->max_frames : STACK_FRAMES_DEFAULT,
		.main_module = module_of_program(view),
		.past_main = options && options->past_main,
	};
	unwinder_init(&walk.unwinder, symbols);
	run(&walk);
	stack->stop = walk.stop.reason;
	stack->stop_text = strdup(walk.stop.text);
	if (walk.no_memory || !stack->stop_text) {
		strobe_stack_close(stack);
		return error_no_memory();
	}
	*ret = stack;
	return NULL;
}

struct strobe_stack *strobe_stack_close(struct strobe_stack *stack)
{
	if (!stack)
		return NULL;
	for (size_t i = 0; stack->window && i < FRAME_WINDOW_COUNT; i++)
		free(stack->window[i]);
	free(stack->window);
	array_fini(&stack->records);
	array_fini(&stack->checkpoints);
	array_fini(&stack->entries);
	free(stack->stop_text);
	free(stack);
	return NULL;
}

size_t strobe_stack_frame_count(const struct strobe_stack *stack)
{
	return stack->entries.count;
}

const struct strobe_frame *strobe_stack_frame(const struct strobe_stack *stack, size_t index)
{
	return index < stack->entries.count ? &stack->entries.items[index].frame : NULL;
}

enum strobe_stack_stop strobe_stack_stop(const struct strobe_stack *stack)
{
	return stack->stop;
}

const char *strobe_stack_stop_text(const struct strobe_stack *stack)
{
	return stack->stop_text;
}
