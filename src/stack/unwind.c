// SPDX-License-Identifier: Apache-2.0
#include "stack/unwind.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "stack/guess.h"
#include "symbols/cfi.h"
#include "symbols/expression.h"
#include "view/recorded.h"
#include "view/view.h"

void unwinder_init(struct unwinder *unwinder, struct strobe_symbols *symbols)
{
	const struct strobe_view *view = strobe_symbols_view(symbols);
	// Such a view has this one thread.
	*unwinder = (struct unwinder){
		.symbols = symbols, .view = view, .recorded = view_recorded_stack(view, 0)};
}

bool unwinder_read(struct unwinder *unwinder, uint64_t address, uint64_t *ret)
{
	if (address - unwinder->start >= unwinder->size ||
	    unwinder->size - (address - unwinder->start) < sizeof(*ret)) {
		size_t size;
		const uint8_t *bytes = view_pointer(unwinder->view, address, &size);
		if (!bytes)
			return false;
		if (size < sizeof(*ret)) // across two mappings
			return view_read_unsigned(unwinder->view, address, sizeof(*ret), ret);
		unwinder->bytes = bytes;
		unwinder->start = address;
		unwinder->size = size;
	}
	memcpy(ret, unwinder->bytes + (address - unwinder->start), sizeof(*ret));
	return true;
}

static bool halt(struct unwind_stop *stop, enum strobe_stack_stop reason, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
static bool halt(struct unwind_stop *stop, enum strobe_stack_stop reason, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	stop->reason = reason;
	vsnprintf(stop->text, sizeof(stop->text), format, args);
	va_end(args);
	return false;
}

static bool is_known(const struct physical_frame *frame, unsigned number)
{
	return frame->known >> number & 1;
}

static void set(struct physical_frame *frame, unsigned number, uint64_t value, uint64_t at)
{
	frame->registers[number] = value;
	frame->saved_at[number] = at;
	frame->known |= 1u << number;
}

static void forget(struct physical_frame *frame, unsigned number)
{
	frame->known &= ~(1u << number);
	frame->registers[number] = frame->saved_at[number] = 0;
}

/** A symbol starts at `pc`. */
static bool starts_function(struct unwinder *unwinder, uint64_t pc)
{
	struct strobe_symbol symbol;
	return strobe_symbol_at(unwinder->symbols, pc, &symbol) && symbol.address == pc;
}

/** Fills in what follows from the registers: pc, and how it is looked up. */
static void settle(struct unwinder *unwinder, struct physical_frame *frame)
{
	const struct cfi_row *row;
	frame->pc = frame->registers[FRAME_RIP];
	frame->lookup_pc = frame->innermost || !frame->pc ? frame->pc : frame->pc - 1;
	bool found = cfi_row_at(unwinder->symbols, frame->lookup_pc, &row) == CFI_FOUND;
	if (!found && !frame->innermost && starts_function(unwinder, frame->pc)) {
		// No call: makecontext() and the like make a function's start a return address.
		frame->lookup_pc = frame->pc;
		found = cfi_row_at(unwinder->symbols, frame->pc, &row) == CFI_FOUND;
	}
	frame->signal_frame = found && row->signal_frame;
	// glibc's description of its trampoline starts a byte early, for unwinders that look up the
	// byte before a return address; the code itself starts at pc.
	if (frame->signal_frame)
		frame->lookup_pc = frame->pc;
}

bool unwind_first(struct unwinder *unwinder, size_t thread_index, struct physical_frame *ret)
{
	static const char *const names[FRAME_REGISTER_COUNT] = {
		"rax", "rdx", "rcx", "rbx", "rsi", "rdi", "rbp", "rsp", "r8",
		"r9",  "r10", "r11", "r12", "r13", "r14", "r15", "rip"};
	const struct strobe_thread *thread = strobe_view_thread(unwinder->view, thread_index);
	*ret = (struct physical_frame){.innermost = true, .trust = STROBE_TRUST_REGISTERS};
	if (!thread->has_registers)
		return false;
	for (unsigned i = 0; i < FRAME_REGISTER_COUNT; i++) {
		struct strobe_register reg;
		uint64_t value;
		if (!strobe_view_register_by_name(unwinder->view, thread_index, names[i], &reg) ||
		    reg.size_bytes != sizeof(value))
			continue;
		memcpy(&value, reg.bytes, sizeof(value));
		set(ret, i, value, 0);
	}
	if (!is_known(ret, FRAME_RIP))
		return false;
	settle(unwinder, ret);
	return true;
}

/** What expressions of call frame information may ask of the frame. */
struct question {
	struct unwinder *unwinder;
	const struct physical_frame *frame;
};

static bool answer_register(void *data, unsigned number, void *buffer, size_t *size,
			    uint64_t *address)
{
	const struct question *question = data;
	if (number >= FRAME_REGISTER_COUNT || !is_known(question->frame, number))
		return false;
	if (*size > sizeof(uint64_t))
		*size = sizeof(uint64_t);
	memcpy(buffer, &question->frame->registers[number], *size);
	*address = question->frame->saved_at[number];
	return true;
}

static size_t answer_memory(void *data, uint64_t address, void *buffer, size_t size)
{
	const struct question *question = data;
	return strobe_memory_read(question->unwinder->view, address, buffer, size);
}

static bool evaluate(struct unwinder *unwinder, const struct physical_frame *frame, uint64_t bias,
		     const uint8_t *bytes, size_t size, const uint64_t *cfa, uint64_t *ret)
{
	struct question question = {unwinder, frame};
	struct expression_context context = {
		.data = &question,
		.symbols = unwinder->symbols,
		.bias = bias,
		.pc = frame->lookup_pc - bias,
		.get_register = answer_register,
		.read_memory = answer_memory,
	};
	struct location location;
	if (cfa)
		expression_evaluate_with(&context, bytes, size, *cfa, &location);
	else
		expression_evaluate(&context, bytes, size, &location);
	const struct location_piece *piece = &location.pieces[0];
	bool good = location.piece_count == 1 &&
		    (piece->kind == LOCATION_MEMORY || piece->kind == LOCATION_VALUE);
	if (good && piece->kind == LOCATION_MEMORY)
		*ret = piece->address;
	else if (good)
		memcpy(ret, piece->bytes, sizeof(*ret));
	location_fini(&location);
	return good;
}

static bool find_cfa(struct unwinder *unwinder, const struct physical_frame *frame,
		     const struct cfi_row *row, uint64_t *ret)
{
	if (row->cfa_is_expression)
		return evaluate(unwinder, frame, row->bias, row->cfa_expression,
				row->cfa_expression_size, NULL, ret);
	if (!is_known(frame, row->cfa_register))
		return false;
	*ret = frame->registers[row->cfa_register] + (uint64_t)row->cfa_offset;
	return true;
}

static void restore_at(struct unwinder *unwinder, struct physical_frame *caller, unsigned number,
		       uint64_t address)
{
	uint64_t value;
	if (unwinder_read(unwinder, address, &value))
		set(caller, number, value, address);
	else
		forget(caller, number);
}

static void apply_rule(struct unwinder *unwinder, const struct physical_frame *frame,
		       const struct cfi_row *row, unsigned number, struct physical_frame *caller)
{
	const struct cfi_rule *rule = &row->rules[number];
	uint64_t result;
	switch (rule->kind) {
	case CFI_UNSPECIFIED:
	case CFI_SAME:
		break; // `caller` began as a copy
	case CFI_UNDEFINED:
		forget(caller, number);
		break;
	case CFI_OFFSET:
		restore_at(unwinder, caller, number, frame->cfa + (uint64_t)rule->offset);
		break;
	case CFI_VALUE_OFFSET:
		set(caller, number, frame->cfa + (uint64_t)rule->offset, 0);
		break;
	case CFI_REGISTER:
		if (is_known(frame, rule->reg))
			set(caller, number, frame->registers[rule->reg],
			    frame->saved_at[rule->reg]);
		else
			forget(caller, number);
		break;
	case CFI_EXPRESSION:
	case CFI_VALUE_EXPRESSION:
		if (!evaluate(unwinder, frame, row->bias, rule->expression, rule->expression_size,
			      &frame->cfa, &result))
			forget(caller, number);
		else if (rule->kind == CFI_EXPRESSION)
			restore_at(unwinder, caller, number, result);
		else
			set(caller, number, result, 0);
		break;
	}
}

/** Where the return address should have been read from, for the message. */
static bool return_unreadable(const struct physical_frame *frame, const struct cfi_row *row,
			      struct unwind_stop *stop)
{
	const struct cfi_rule *rule = &row->rules[FRAME_RIP];
	uint64_t address = rule->kind == CFI_OFFSET ? frame->cfa + (uint64_t)rule->offset
						    : frame->registers[FRAME_RSP];
	return halt(stop, STROBE_STOP_UNREADABLE,
		    "the return address at 0x%" PRIx64 " is not readable", address);
}

static bool step_by_row(struct unwinder *unwinder, struct physical_frame *frame,
			const struct cfi_row *row, struct physical_frame *caller,
			struct unwind_stop *stop)
{
	enum cfi_rule_kind kind = row->rules[FRAME_RIP].kind;
	frame->has_cfa = find_cfa(unwinder, frame, row, &frame->cfa);
	if (kind == CFI_UNDEFINED || kind == CFI_UNSPECIFIED || kind == CFI_SAME)
		return halt(stop, STROBE_STOP_OUTERMOST,
			    "outermost: the call frame information of 0x%" PRIx64
			    " has no return address",
			    frame->pc);
	if (!frame->has_cfa)
		return halt(stop, STROBE_STOP_UNREADABLE,
			    "the frame address of 0x%" PRIx64
			    " depends on registers or memory that are not known",
			    frame->pc);
	*caller = *frame;
	caller->has_cfa = false;
	caller->trust = STROBE_TRUST_CFI;
	caller->innermost = row->signal_frame;
	set(caller, FRAME_RSP, frame->cfa, 0);
	for (unsigned i = 0; i < FRAME_REGISTER_COUNT; i++)
		apply_rule(unwinder, frame, row, i, caller);
	if (!is_known(caller, FRAME_RIP))
		return return_unreadable(frame, row, stop);
	return true;
}

/** Registers as the kernel puts them into a signal frame: offsets in the ucontext. */
static void step_by_context(struct unwinder *unwinder, struct physical_frame *frame,
			    struct physical_frame *caller)
{
	enum { CONTEXT_REGISTERS = 40 };
	static const uint8_t order[] = {8, 9, 10, 11, 12, 13, 14, 15, 5, 4, 6, 3, 1, 0, 2, 7, 16};
	uint64_t context = frame->registers[FRAME_RSP];
	*caller = *frame;
	for (unsigned i = 0; i < sizeof(order); i++)
		restore_at(unwinder, caller, order[i], context + CONTEXT_REGISTERS + 8 * i);
	frame->signal_frame = true;
	frame->has_cfa = is_known(caller, FRAME_RSP);
	frame->cfa = caller->registers[FRAME_RSP];
	caller->has_cfa = false;
	caller->innermost = true;
	caller->trust = STROBE_TRUST_GUESS_PLT;
}

static bool step_by_guess(struct unwinder *unwinder, struct physical_frame *frame,
			  struct physical_frame *caller, struct unwind_stop *stop)
{
	struct guess guess;
	if (!is_known(frame, FRAME_RSP))
		return halt(stop, STROBE_STOP_NO_CALLER, "the stack pointer is not known");
	if (!guess_caller(unwinder, frame, &guess)) {
		uint64_t sp = frame->registers[FRAME_RSP], word;
		if (!unwinder_read(unwinder, sp, &word))
			return halt(stop, STROBE_STOP_UNREADABLE,
				    "the stack at 0x%" PRIx64 " is not readable", sp);
		return halt(stop, STROBE_STOP_NO_CALLER,
			    guess_is_code(unwinder, frame->pc)
				    ? "no call frame information at 0x%" PRIx64
				      " and no plausible return address"
				    : "0x%" PRIx64 " is not code, and no return address is near",
			    frame->pc);
	}
	if (guess.signal_frame) {
		step_by_context(unwinder, frame, caller);
		if (is_known(caller, FRAME_RIP))
			return true;
		return halt(stop, STROBE_STOP_UNREADABLE,
			    "the signal frame at 0x%" PRIx64 " is not readable",
			    frame->registers[FRAME_RSP]);
	}
	*caller = *frame;
	frame->has_cfa = true;
	frame->cfa = guess.return_at + 8;
	caller->has_cfa = false;
	caller->innermost = false;
	caller->trust = guess.trust;
	// What lies between is not known, so neither is what it saved where: no register is better than
	// a wrong one, which would show as wrong locals.
	if (guess.trust == STROBE_TRUST_SCAN)
		caller->known = 0;
	restore_at(unwinder, caller, FRAME_RIP, guess.return_at);
	set(caller, FRAME_RSP, frame->cfa, 0);
	if (guess.frame_pointer_at)
		set(caller, FRAME_RBP, guess.frame_pointer, guess.frame_pointer_at);
	return true;
}

/** From a function that left by a tail call to the one that called it. */
static void step_in_chain(struct unwinder *unwinder, struct physical_frame *frame,
			  struct physical_frame *caller)
{
	*caller = *frame;
	caller->index = frame->index + 1;
	caller->position = NULL;
	caller->chain_index = frame->chain_index + 1;
	uint64_t pc = frame->chain_return;
	if (caller->chain_index < frame->chain->count) {
		pc = frame->chain->pcs[caller->chain_index];
	} else {
		caller->chain = NULL;
		caller->has_cfa = false;
	}
	set(caller, FRAME_RIP, pc, frame->saved_at[FRAME_RIP]);
	settle(unwinder, caller);
}

/** Puts the functions that left by tail calls between `frame` and its caller. */
static void insert_chain(struct unwinder *unwinder, const struct physical_frame *frame,
			 struct physical_frame *caller)
{
	if (caller->innermost || caller->signal_frame || caller->trust != STROBE_TRUST_CFI)
		return;
	const struct tail_chain *chain =
		tail_calls_between(unwinder->symbols, caller->pc, frame->lookup_pc);
	if (!chain || !chain->count)
		return;
	caller->chain = chain;
	caller->chain_index = 0;
	caller->chain_return = caller->pc;
	caller->has_cfa = true; // the callee took over its frame
	caller->cfa = frame->cfa;
	set(caller, FRAME_RIP, chain->pcs[0], caller->saved_at[FRAME_RIP]);
	settle(unwinder, caller);
}

/** The next frame of a stack that a trace tells. */
static bool step_recorded(struct unwinder *unwinder, const struct physical_frame *frame,
			  struct physical_frame *caller, struct unwind_stop *stop)
{
	const struct recorded_stack *recorded = unwinder->recorded;
	if (frame->index + 1 >= recorded->count)
		return halt(stop, STROBE_STOP_NO_CALLER, "%s", recorded->end);
	const struct recorded_frame *next = &recorded->frames[frame->index + 1];
	*caller = (struct physical_frame){
		.index = frame->index + 1, .innermost = next->exact, .trust = STROBE_TRUST_TRACE};
	set(caller, FRAME_RIP, next->pc, 0);
	settle(unwinder, caller);
	return true;
}

bool unwind_step(struct unwinder *unwinder, struct physical_frame *frame,
		 struct physical_frame *caller, struct unwind_stop *stop)
{
	if (unwinder->recorded)
		return step_recorded(unwinder, frame, caller, stop);
	if (frame->chain) {
		step_in_chain(unwinder, frame, caller);
		return true;
	}
	const struct cfi_row *row;
	enum cfi_result result = cfi_row_at(unwinder->symbols, frame->lookup_pc, &row);
	bool stepped;
	if (result == CFI_FOUND) {
		stepped = step_by_row(unwinder, frame, row, caller, stop);
	} else {
		stepped = step_by_guess(unwinder, frame, caller, stop);
		if (!stepped && result == CFI_DAMAGED)
			return halt(stop, STROBE_STOP_BAD_CFI,
				    "the call frame information of 0x%" PRIx64 " is damaged",
				    frame->pc);
	}
	if (!stepped)
		return false;
	caller->index = frame->index + 1;
	caller->position = NULL;
	settle(unwinder, caller);
	insert_chain(unwinder, frame, caller);
	return true;
}
