// SPDX-License-Identifier: Apache-2.0
// A hit as a view: expressions and stacks in it. Variables are native_variables.c's.
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strobe/memory.h>
#include <strobe/overlay.h>
#include <strobe/value.h>

#include "base/error.h"
#include "base/text.h"
#include "tracepoint/native.h"
#include "tracepoint/native_exception.h"
#include "tracepoint/native_variables.h"
#include "value/returned.h"
#include "view/build.h"

/** Invariant: the view shows the hit while this is open. */
struct native_scope {
	struct native_program *program;
	const struct engine_hit *hit;
	struct strobe_stack *stack; // made when it is first asked for
	bool whole;		// it has all frames: expressions need but the first, and its caller
	bool focused, function; // native_scope_focus()
	uint32_t line;
	uint64_t entered;		   // the frame that enter() said; 0 = the focus counts
	size_t entered_index;		   // of the stack, more exactly; SIZE_MAX
	struct native_exception exception; // native_scope_unwinds(); header 0 = none
	struct arena arena;		   // of that
	size_t frame;			   // of the stack, that expressions are meant in
	struct variable_walk *walk;	   // of the result that variables were last added to
};

/** Memory that was read from the process is of that moment: the next hit's is another. */
static void forget_memory(struct strobe_view *view)
{
	for (size_t i = 0; i < view->lazy_areas.count; i++) {
		struct lazy_area *area = view->lazy_areas.items[i];
		struct lazy_area was = *area;
		if (!was.leaves && !was.memory)
			continue;
		lazy_fini(area);
		lazy_init(area, was.source, was.start, was.end, was.position);
	}
}

/** Lays bytes of the hit over the process's, as far as they are mapped. */
static void lay_over(struct strobe_view *view, uint64_t address, const uint8_t *bytes, size_t size)
{
	if (size)
		strobe_error_free(strobe_overlay_write(view, address, bytes, size));
}

/** Is all that the hit brings of memory that the view knows of? Stacks of new threads and heaps come any time. */
static bool is_mapped(const struct strobe_view *view, const struct engine_hit *hit)
{
	for (size_t i = 0; i < hit->chunk_count; i++)
		if (!strobe_view_mapping_at(view, hit->chunks[i].address))
			return false;
	return strobe_view_mapping_at(view, hit->regs.rsp) != NULL;
}

struct strobe_error *native_scope_open(struct native_program *program, const struct engine_hit *hit,
				       struct native_scope **ret)
{
	struct native_scope *scope = calloc(1, sizeof(*scope));
	struct strobe_view *view = program->view;
	if (!scope)
		return error_no_memory();
	if (!is_mapped(view, hit)) {
		struct strobe_error *error = native_program_extend(program);
		if (error) {
			free(scope);
			return error;
		}
	}
	*scope = (struct native_scope){.program = program, .hit = hit, .entered_index = SIZE_MAX};
	memcpy(program->registers, &hit->regs, sizeof(program->registers));
	view->threads.items[0].tid = hit->tid;
	view->threads.items[0].pc = hit->regs.rip;
	view->threads.items[0].sp = hit->regs.rsp;
	// fs_base and gs_base are words 21 and 22 of user_regs_struct, ds to gs behind them.
	view->registers.items[0].general_missing = hit->has_bases ? 0x7c00000u : 0x7e00000u;
	for (size_t i = 0; i < hit->chunk_count; i++)
		lay_over(view, hit->chunks[i].address, hit->chunks[i].bytes, hit->chunks[i].size);
	lay_over(view, hit->regs.rsp, hit->stack, hit->stack_size);
	program->open = scope;
	*ret = scope;
	return NULL;
}

struct native_scope *native_scope_close(struct native_scope *scope)
{
	if (!scope)
		return NULL;
	struct strobe_view *view = scope->program->view;
	variable_walk_free(scope->walk);
	strobe_stack_close(scope->stack);
	arena_fini(&scope->arena);
	strobe_error_free(strobe_overlay_undo(view, strobe_overlay_count(view)));
	forget_memory(view);
	scope->program->open = NULL;
	free(scope);
	return NULL;
}

/** The error's one line, and no error. */
static bool say_why(struct strobe_error *error, struct arena *arena, const char **why)
{
	*why = arena_strdup(arena, strobe_error_message(error));
	if (!*why)
		*why = "out of memory";
	strobe_error_free(error);
	return false;
}

/** The frame that is meant, among those that are inlined into the first that is not. */
static void find_frame(struct native_scope *scope)
{
	size_t count = strobe_stack_frame_count(scope->stack);
	scope->frame = 0;
	if (scope->entered_index < count) {
		scope->frame = scope->entered_index;
		return;
	}
	for (size_t i = 0; scope->entered && i < count; i++) {
		const struct strobe_frame *frame = strobe_stack_frame(scope->stack, i);
		if (!frame->inlined && frame->cfa == scope->entered) {
			scope->frame = i;
			return;
		}
	}
	for (size_t i = 0; scope->focused && i < count; i++) {
		const struct strobe_frame *frame = strobe_stack_frame(scope->stack, i);
		if (scope->function ? !frame->inlined : frame->line == scope->line) {
			scope->frame = i;
			return;
		}
		if (!frame->inlined)
			return;
	}
}

void native_scope_focus(struct native_scope *scope, bool function, uint32_t line)
{
	scope->focused = true;
	scope->function = function;
	scope->line = line;
	if (scope->stack)
		find_frame(scope);
}

static bool make_stack(struct native_scope *scope, bool whole, struct strobe_error **error)
{
	enum { FRAMES_MAX = 100, FRAMES_FEW = 16 };
	struct strobe_stack_options options = {.size = sizeof(options),
					       .max_frames = whole ? FRAMES_MAX : FRAMES_FEW};
	*error = NULL;
	if (scope->stack && (scope->whole || !whole))
		return true;
	// What was evaluated in it is done with.
	scope->stack = strobe_stack_close(scope->stack);
	*error = strobe_stack_open(scope->program->symbols, 0, &options, &scope->stack);
	scope->whole = whole;
	if (!*error)
		find_frame(scope);
	return *error == NULL;
}

uint64_t native_scope_frame(struct native_scope *scope, bool at_end)
{
	struct strobe_error *error;
	if (at_end)
		return scope->hit->regs.rsp + 8;
	if (make_stack(scope, false, &error) && strobe_stack_frame_count(scope->stack) > 0)
		return strobe_stack_frame(scope->stack, scope->frame)->cfa;
	strobe_error_free(error);
	return scope->hit->frame;
}

static bool enter(void *context, uint64_t frame)
{
	struct native_scope *scope = context;
	struct strobe_error *error;
	if (!make_stack(scope, true, &error)) {
		strobe_error_free(error);
		return false;
	}
	scope->entered = frame;
	scope->entered_index = SIZE_MAX;
	find_frame(scope);
	return scope->frame < strobe_stack_frame_count(scope->stack) &&
	       strobe_stack_frame(scope->stack, scope->frame)->cfa == frame;
}

bool native_scope_unwinds(struct native_scope *scope, struct native_unwinding *ret)
{
	struct strobe_error *error;
	if (!native_exception_read(scope->program, &scope->hit->regs, &scope->arena,
				   &scope->exception))
		return false;
	*ret = (struct native_unwinding){.header = scope->exception.header,
					 .from = scope->hit->regs.rsp,
					 .to = scope->exception.to};
	if (!make_stack(scope, true, &error)) {
		strobe_error_free(error);
		return true;
	}
	size_t count = strobe_stack_frame_count(scope->stack);
	for (size_t i = 0; i < count && !ret->landing; i++) {
		uint64_t cfa = strobe_stack_frame(scope->stack, i)->cfa;
		ret->landing = cfa > ret->to ? cfa : 0;
	}
	return true;
}

/** Is the tracepoint about this frame? */
static bool is_about(const struct tracepoint_config *config, const struct strobe_frame *frame)
{
	if (config->path && (!frame->file || !native_path_matches(frame->file, config->path)))
		return false;
	if (!config_is_method(config))
		return frame->line == config->line;
	if (!config->method_name || !frame->function)
		return false;
	size_t size = strlen(frame->function), wanted = strlen(config->method_name);
	const char *tail = frame->function + size - wanted;
	return size >= wanted && strcmp(tail, config->method_name) == 0 &&
	       (size == wanted || (size >= wanted + 2 && tail[-1] == ':' && tail[-2] == ':'));
}

bool native_scope_comes_through(struct native_scope *scope,
				const struct native_unwinding *unwinding,
				const struct tracepoint_config *config, struct strobe_frame *ret)
{
	struct strobe_error *error;
	if (!make_stack(scope, true, &error)) {
		strobe_error_free(error);
		return false;
	}
	size_t count = strobe_stack_frame_count(scope->stack);
	for (size_t i = 0; i < count; i++) {
		const struct strobe_frame *frame = strobe_stack_frame(scope->stack, i);
		if (frame->cfa > unwinding->to && frame->cfa != unwinding->landing)
			return false;
		if (!is_about(config, frame))
			continue;
		scope->entered_index = i;
		find_frame(scope);
		*ret = *frame;
		return true;
	}
	return false;
}

/** Where an indirect jump at the hit leads: `jmp *REGISTER` or `jmp *MEMORY`. False if it is none. */
static bool jump_target(const struct native_scope *scope, uint64_t *ret)
{
	// Words of user_regs_struct by the numbers of instructions: rax rcx rdx rbx rsp rbp rsi rdi r8-r15.
	static const uint8_t words[16] = {10, 11, 12, 5, 19, 4, 13, 14, 9, 8, 7, 6, 3, 2, 1, 0};
	const struct strobe_view *view = scope->program->view;
	const uint64_t *regs = (const uint64_t *)(const void *)scope->program->registers;
	uint8_t code[15] = {0};
	unsigned at = 0, rex = 0;
	strobe_memory_read(view, scope->hit->regs.rip, code, sizeof(code));
	while (at < 4 && (code[at] == 0x3e || code[at] == 0xf2 || code[at] == 0x66))
		at++;
	if ((code[at] & 0xf0) == 0x40)
		rex = code[at++];
	if (code[at] != 0xff || (code[at + 1] >> 3 & 7) != 4)
		return false;
	unsigned mode = code[at + 1] >> 6, low = code[at + 1] & 7;
	at += 2;
	if (mode == 3) {
		*ret = regs[words[low | (rex & 1) << 3]];
		return true;
	}
	uint64_t address = 0;
	bool wide = mode == 2 || (mode == 0 && low == 5);
	if (low == 4) {
		unsigned sib = code[at++], index = (sib >> 3 & 7) | (rex & 2) << 2;
		wide |= mode == 0 && (sib & 7) == 5;
		address = mode == 0 && (sib & 7) == 5 ? 0 : regs[words[(sib & 7) | (rex & 1) << 3]];
		address += index == 4 ? 0 : regs[words[index]] << (sib >> 6);
	} else if (mode != 0 || low != 5) {
		address = regs[words[low | (rex & 1) << 3]];
	}
	int32_t displacement = mode == 1 ? (int8_t)code[at] : 0;
	if (wide)
		memcpy(&displacement, code + at, sizeof(displacement));
	if (mode == 0 && low == 5)
		address = scope->hit->regs.rip + at + 4;
	address += (uint64_t)(int64_t)displacement;
	return strobe_memory_read(view, address, ret, sizeof(*ret)) == sizeof(*ret);
}

bool native_scope_jumps_out(struct native_scope *scope, struct arena *arena, const char **how)
{
	struct strobe_symbols *symbols = scope->program->symbols;
	struct strobe_function here, there;
	uint64_t target;
	*how = "went on in another function by a jump";
	if (!jump_target(scope, &target))
		return true; // a direct one is an end only if it leads out
	if (!strobe_function_at(symbols, target, &there))
		return true;
	if (strobe_function_at(symbols, scope->hit->regs.rip, &here) && here.start == there.start)
		return target == there.start;
	const char *text = arena_printf(arena, "went on in %s by a jump", there.name);
	*how = text ? text : *how;
	return true;
}

static bool evaluate(struct native_scope *scope, const char *expression, struct arena *arena,
		     struct strobe_value **ret, const char **why)
{
	struct strobe_error *error;
	if (make_stack(scope, false, &error))
		error = strobe_evaluate(scope->program->symbols, scope->stack, scope->frame,
					expression, ret);
	if (error)
		return say_why(error, arena, why);
	enum strobe_value_state state = strobe_value_state(*ret);
	if (state == STROBE_VALUE_GOOD || state == STROBE_VALUE_PARTIAL)
		return true;
	*why = state == STROBE_VALUE_OPTIMIZED_OUT ? "optimized out" : "its memory cannot be read";
	*ret = strobe_value_close(*ret);
	return false;
}

static bool truth(void *context, const char *expression, bool *ret, struct arena *arena,
		  const char **why)
{
	struct strobe_value *value = NULL;
	struct text negated cleanup_text = {0};
	uint64_t integer = 0;
	// C's own notion, of integers, pointers and floating-point numbers alike.
	text_printf(&negated, "!(%s)", expression);
	if (!evaluate(context, text_string(&negated), arena, &value, why)) {
		// Columns are those of what was written.
		const char *plain;
		if (!evaluate(context, expression, arena, &value, &plain))
			*why = plain;
		strobe_value_close(value);
		return false;
	}
	bool good = strobe_value_integer(value, &integer);
	strobe_value_close(value);
	*ret = !integer;
	if (!good)
		*why = "it is neither true nor false";
	return good;
}

static bool number(void *context, const char *expression, double *ret, struct arena *arena,
		   const char **why)
{
	struct strobe_value *value = NULL;
	struct strobe_format format = {.size = sizeof(format), .radix = 'f'};
	struct text cast cleanup_text = {0};
	char *text = NULL;
	text_printf(&cast, "(double)(%s)", expression);
	if (!evaluate(context, text_string(&cast), arena, &value, why))
		return false;
	struct strobe_error *error = strobe_value_format(value, &format, &text);
	strobe_value_close(value);
	if (error)
		return say_why(error, arena, why);
	char *end;
	*ret = strtod(text, &end);
	bool good = end != text && !*end;
	if (!good)
		*why = "it is no number";
	free(text);
	return good;
}

static bool tell_text(void *context, const char *expression, const struct config_limits *limits,
		      struct arena *arena, const char **ret, const char **why)
{
	struct strobe_value *value = NULL;
	bool truncated;
	if (!evaluate(context, expression, arena, &value, why))
		return false;
	*ret = variable_text(value, limits, arena, &truncated);
	strobe_value_close(value);
	if (!*ret)
		*why = "out of memory";
	return *ret != NULL;
}

/** The walk that fills `result`, which shares what it has found already. */
static struct variable_walk *walk_of(struct native_scope *scope, struct result *result,
				     const struct config_limits *limits)
{
	if (scope->walk && variable_walk_fills(scope->walk, result))
		return scope->walk;
	variable_walk_free(scope->walk);
	scope->walk = variable_walk_new(result, limits);
	return scope->walk;
}

static bool watch(void *context, const char *expression, const struct config_limits *limits,
		  struct result *result, struct variable_name *ret, const char **why)
{
	struct native_scope *scope = context;
	struct strobe_value *value = NULL;
	if (!evaluate(scope, expression, &result->arena, &value, why))
		return false;
	struct variable_walk *walk = walk_of(scope, result, limits);
	bool good = walk && variable_walk_add(walk, value, expression, true, ret);
	if (!good) {
		strobe_value_close(value);
		*why = "there are too many variables";
	}
	return good;
}

/** A frame's variables, one by one. */
struct frame_walk {
	struct variable_walk *walk;
	struct result *result;
	struct result_frame *frame;
	bool failed;
};

static bool take_variable(void *context, const struct strobe_variable *variable,
			  const struct strobe_value *value)
{
	struct frame_walk *frame = context;
	struct variable_name name;
	struct strobe_value copy = value_copy(value), *box = value_box(&copy);
	if (!box || !variable_walk_add(frame->walk, box, variable->name, false, &name)) {
		strobe_value_close(box);
		return false;
	}
	if (variable->is_static)
		name.modifiers[0] = "static";
	frame->failed = !array_push(&frame->frame->variables, name);
	return !frame->failed;
}

/** "ns::Class" of "ns::Class::method"; NULL if it has none. */
static const char *class_of(struct arena *arena, const char *function)
{
	const char *last = NULL;
	unsigned depth = 0;
	for (const char *at = function; at && *at; at++) {
		depth += *at == '<' ? 1u : *at == '>' && depth ? -1u : 0u;
		if (!depth && at[0] == ':' && at[1] == ':')
			last = at;
	}
	return last ? arena_copy_string(arena, function, (size_t)(last - function)) : NULL;
}

static bool frames(void *context, const struct tracepoint_config *config, struct result *result)
{
	struct native_scope *scope = context;
	struct strobe_error *error;
	if (!make_stack(scope, true, &error)) {
		strobe_error_free(error);
		return false;
	}
	struct variable_walk *walk = walk_of(scope, result, &config->limits);
	size_t count = strobe_stack_frame_count(scope->stack);
	if (config->stack_type == STACK_NO && count > scope->frame + 1)
		count = scope->frame + 1;
	for (size_t i = scope->frame; walk && i < count; i++) {
		const struct strobe_frame *from = strobe_stack_frame(scope->stack, i);
		struct result_frame frame = {
			.function = arena_strdup(&result->arena, from->function),
			.file = arena_strdup(&result->arena, from->file),
			.line = from->line,
			.column = from->column,
			.inlined = from->inlined,
			.app_frame =
				native_is_app_frame(scope->program, from->file, from->module_index),
		};
		frame.short_path = native_short_path(scope->program, frame.file);
		frame.class_name = class_of(&result->arena, frame.function);
		if (!array_push(&result->frames, frame))
			return false;
		struct frame_walk visit = {walk, result,
					   &result->frames.items[result->frames.count - 1], false};
		if (config->frame_type == FRAME_ALL ||
		    (config->frame_type == FRAME_SINGLE && i == scope->frame))
			strobe_error_free(
				strobe_frame_variables(scope->stack, i, take_variable, &visit));
		if (visit.failed)
			return false;
	}
	return walk && variable_walk_finish(walk);
}

/** What was thrown, by its type where that is described, else by name; its text is its value, if it has one. */
static bool thrown_value(struct native_scope *scope, const struct config_limits *limits,
			 struct result *result, struct variable_name *ret)
{
	const struct native_exception *exception = &scope->exception;
	struct strobe_value *value = NULL;
	struct strobe_error *error = NULL;
	const char *what = exception->what ? arena_strdup(&result->arena, exception->what) : NULL;
	*ret = (struct variable_name){.name = "exception"};
	if (exception->object) {
		struct text text cleanup_text = {0};
		text_printf(&text, "*(%s *)0x%" PRIx64, exception->type_name, exception->object);
		error = strobe_evaluate(scope->program->symbols, NULL, 0, text_string(&text),
					&value);
	}
	struct variable_walk *walk = value ? walk_of(scope, result, limits) : NULL;
	if (walk && variable_walk_add(walk, value, "exception", true, ret)) {
		if (what)
			result->variables.items[ret->id - 1].value = what;
		return variable_walk_finish(walk);
	}
	strobe_value_close(value);
	strobe_error_free(error);
	struct result_variable variable = {
		.type = arena_strdup(&result->arena, exception->type_name),
		.value = what ? what : "",
		.identity = exception->object,
		.state = VARIABLE_GOOD,
	};
	if (!variable.type || !array_push(&result->variables, variable))
		return false;
	ret->id = (uint32_t)result->variables.count;
	return true;
}

/** Does the thread stand at a return instruction? Else what it returns is not in its registers yet. */
static bool at_return(const struct native_scope *scope)
{
	uint8_t code[2] = {0};
	strobe_memory_read(scope->program->view, scope->hit->regs.rip, code, sizeof(code));
	unsigned at = code[0] == 0xf2 || code[0] == 0xf3; // bnd, rep
	return code[at] == 0xc3 || code[at] == 0xc2;
}

static bool outcome(void *context, const struct config_limits *limits, struct result *result,
		    struct variable_name *ret)
{
	struct native_scope *scope = context;
	struct strobe_symbols *symbols = scope->program->symbols;
	const struct user_regs_struct *regs = &scope->hit->regs;
	struct returned_registers registers = {.rax = regs->rax, .rdx = regs->rdx};
	if (scope->exception.header)
		return thrown_value(scope, limits, result, ret);
	struct type *type = at_return(scope) ? returned_type(symbols, regs->rip) : NULL;
	if (!type)
		return false;
	struct strobe_value value = returned_value(symbols, type, &registers);
	struct strobe_value *box = value_box(&value);
	struct variable_walk *walk = box ? walk_of(scope, result, limits) : NULL;
	if (!walk || !variable_walk_add(walk, box, "return", true, ret)) {
		strobe_value_close(box);
		return false;
	}
	return variable_walk_finish(walk);
}

static bool thrown(void *context, struct arena *arena, const char **type, const char **what)
{
	const struct native_scope *scope = context;
	*type = *what = NULL;
	if (!scope->exception.header)
		return false;
	*type = arena_strdup(arena, scope->exception.type_name);
	if (scope->exception.what)
		*what = arena_strdup(arena, scope->exception.what);
	return *type != NULL;
}

const struct scope_ops native_scope_ops = {
	.truth = truth,
	.number = number,
	.text = tell_text,
	.watch = watch,
	.frames = frames,
	.outcome = outcome,
	.enter = enter,
	.thrown = thrown,
};
