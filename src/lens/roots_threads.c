// SPDX-License-Identifier: Apache-2.0
// The roots of threads: variables of their frames, what else is in these, registers.
#include "lens/roots_stack.h"

#include <string.h>
#include <strobe/stack.h>

#include "base/error.h"

/** A thread being told. */
struct thread_roots {
	struct roots *roots;
	size_t thread;
	struct strobe_stack *stack;
	const struct strobe_frame *frame; // whose variables are being collected
	struct root_thread_area area;
	struct stack_memory memory;
	struct root_set set;
};

/** The bytes of a value that is in no one place; false if none is known. */
static bool take_store(struct roots *roots, const struct strobe_value *value, struct root *root)
{
	const struct value_store *store = value->store;
	uint64_t size = root->size_bytes;
	if (value->offset > store->size || size > store->size - value->offset ||
	    size > ROOT_VALUE_LIMIT)
		return false;
	bool known = !store->states;
	for (uint64_t i = 0; !known && i < size; i++)
		known = store->states[value->offset + i] == BYTE_KNOWN;
	uint64_t *words = known ? roots_words(roots, size) : NULL;
	if (!words)
		return false;
	memcpy(words, store->bytes + value->offset, size);
	for (uint64_t i = 0; store->states && i < size; i++)
		if (store->states[value->offset + i] != BYTE_KNOWN)
			((uint8_t *)words)[i] = 0;
	root->values = words;
	root->value_count = (size + ROOT_WORD - 1) / ROOT_WORD;
	return true;
}

/** A variable in memory that is not of this thread's frames: a coroutine's, a part of somebody's object. */
static bool take_elsewhere(struct thread_roots *t, struct root *root)
{
	if (root->address >= t->area.start && root->address < t->area.pointer)
		return false; // thread-locals are told as such
	return roots_take_words(t->roots, root);
}

static bool collect(void *context, const struct strobe_variable *variable,
		    const struct strobe_value *value)
{
	struct thread_roots *t = context;
	struct root root = {
		.kind = variable->kind == STROBE_VARIABLE_ARGUMENT ? ROOT_ARGUMENT : ROOT_LOCAL,
		.thread = t->thread,
		.frame = t->frame->index,
		.module = t->frame->module_index,
		.function = t->frame->function,
		.line = t->frame->line,
		.name = variable->name,
	};
	bool taken = false;
	if (variable->is_static || !roots_set_type(t->roots, &root, value->type))
		return true;
	if (value->place == PLACE_MEMORY) {
		root.address = value->address;
		taken = stack_memory_holds(&t->memory, root.address, root.size_bytes) ||
			take_elsewhere(t, &root);
	} else if (value->place == PLACE_STORE && root.type) {
		taken = take_store(t->roots, value, &root);
	}
	if (!taken)
		return !t->roots->short_of_memory;
	if (!root_set_add(&t->set, &root))
		t->roots->short_of_memory = true;
	return !t->roots->short_of_memory;
}

static bool collect_frames(struct thread_roots *t)
{
	size_t count = strobe_stack_frame_count(t->stack);
	for (size_t i = 0; i < count && !t->roots->short_of_memory; i++) {
		t->frame = strobe_stack_frame(t->stack, i);
		struct strobe_error *error = strobe_frame_variables(t->stack, i, collect, t);
		if (error)
			t->roots->short_of_memory = true;
		strobe_error_free(error);
	}
	if (!t->roots->short_of_memory && !root_set_settle(&t->set))
		t->roots->short_of_memory = true;
	return !t->roots->short_of_memory;
}

static struct root frame_root(const struct thread_roots *t, size_t index, enum root_kind kind,
			      const char *name)
{
	const struct strobe_frame *frame = strobe_stack_frame(t->stack, index);
	return (struct root){
		.kind = kind,
		.thread = t->thread,
		.frame = index,
		.module = frame->module_index,
		.function = frame->function,
		.line = frame->line,
		.name = name,
	};
}

static bool tell_registers(struct thread_roots *t)
{
	static const char *const names[FRAME_RIP] = {"rax", "rdx", "rcx", "rbx", "rsi", "rdi",
						     "rbp", "rsp", "r8",  "r9",	 "r10", "r11",
						     "r12", "r13", "r14", "r15"};
	const struct physical_frame *frame = stack_physical(t->stack, 0);
	if (!frame)
		return true;
	for (unsigned i = 0; i < FRAME_RIP; i++) {
		struct root root = frame_root(t, 0, ROOT_REGISTER, names[i]);
		uint64_t *word = frame->known >> i & 1 ? roots_words(t->roots, ROOT_WORD) : NULL;
		if (!word)
			continue;
		*word = frame->registers[i];
		root.values = word;
		root.value_count = 1;
		root.size_bytes = ROOT_WORD;
		if (!roots_tell(t->roots, &root))
			return false;
	}
	return !t->roots->short_of_memory;
}

/** What no variable has of a physical frame's memory. */
static bool tell_rest(struct thread_roots *t, size_t index)
{
	size_t physical = t->stack->entries.items[index].physical;
	const struct stretch *memory = &t->memory.frames.items[physical];
	struct stretch gap;
	for (uint64_t at = memory->start; root_set_gap(&t->set, &at, memory->end, &gap);) {
		bool saved = gap.end == memory->end; // the return address, and registers below it
		struct root root = frame_root(t, index, ROOT_FRAME,
					      saved ? "saved registers" : "stack memory");
		root.address = gap.start;
		root.size_bytes = gap.end - gap.start;
		if (!roots_tell(t->roots, &root))
			return false;
	}
	return true;
}

static bool tell_frames(struct thread_roots *t)
{
	size_t count = t->stack->entries.count, next = 0;
	for (size_t i = 0; i < count; i++) {
		for (; next < t->set.items.count && t->set.items.items[next].root.frame == i;
		     next++)
			if (!roots_tell_item(t->roots, &t->set, &t->set.items.items[next]))
				return false;
		bool last = i + 1 == count || t->stack->entries.items[i + 1].physical !=
						      t->stack->entries.items[i].physical;
		if ((last && !tell_rest(t, i)) || (i == 0 && !tell_registers(t)))
			return false;
	}
	return true;
}

/** Where the outermost frame's stack ends; 0 if there is nothing above it. */
static uint64_t end_of_stack(const struct thread_roots *t)
{
	if (!t->memory.groups.count)
		return 0;
	const struct stack_group *last = &t->memory.groups.items[t->memory.groups.count - 1];
	if (last->mapping->module_index != SIZE_MAX)
		return 0;
	return last->limit > last->end ? last->limit : 0;
}

/** Above the outermost frame: start code, arguments, environment; or frames that could not be found. */
static bool tell_above(struct thread_roots *t, uint64_t end)
{
	if (!end)
		return true;
	uint64_t at = t->memory.groups.items[t->memory.groups.count - 1].end;
	enum strobe_stack_stop stop = strobe_stack_stop(t->stack);
	bool whole = stop == STROBE_STOP_MAIN || stop == STROBE_STOP_OUTERMOST;
	struct stretch gap;
	while (root_set_gap(&t->set, &at, end, &gap)) {
		struct root root = {
			.kind = whole ? ROOT_LIBRARY : ROOT_FRAME,
			.thread = t->thread,
			.frame = whole ? SIZE_MAX : t->stack->entries.count - 1,
			.module = SIZE_MAX,
			.name = "[stack]",
			.address = gap.start,
			.size_bytes = gap.end - gap.start,
		};
		if (!roots_tell(t->roots, &root))
			return false;
	}
	return true;
}

static bool tell_thread(struct thread_roots *t)
{
	root_set_clear(&t->set);
	roots_thread_area(t->roots, t->thread, &t->area);
	if (!stack_memory_find(t->roots, t->stack, t->area.start, &t->memory))
		return false;
	if (stack_memory_overlaps(&t->memory, t->area.start, t->area.end))
		t->area = (struct root_thread_area){0}; // a stack that cannot be: damage
	if (!collect_frames(t))
		return false;
	uint64_t above = end_of_stack(t);
	return stack_memory_claim(t->roots, &t->memory, above) && tell_frames(t) &&
	       tell_above(t, above) && roots_thread_locals(t->roots, t->thread, &t->area);
}

/** Below the stack pointers, down to what else there is: dead. */
static bool claim_dead(struct roots *roots)
{
	for (size_t i = 0; i < roots->dead.count; i++) {
		struct root_dead dead = roots->dead.items[i];
		struct stretch before;
		if (claims_before(&roots->claims, dead.end, &before) && before.end > dead.floor)
			dead.floor = before.end;
		if (claims_before(&roots->holes, dead.end, &before) && before.end > dead.floor)
			dead.floor = before.end;
		if (!roots_claim(roots, dead.floor, dead.end))
			return false;
	}
	return true;
}

bool roots_threads(struct roots *roots)
{
	struct thread_roots t = {.roots = roots};
	struct strobe_stack_options options = {.size = sizeof(options),
					       .max_frames = roots->options->max_frames};
	size_t count = strobe_view_thread_count(roots->view);
	bool going = true;
	for (t.thread = 0; going && t.thread < count; t.thread++) {
		struct strobe_error *error =
			strobe_stack_open(roots->symbols, t.thread, &options, &t.stack);
		roots->short_of_memory |= error != NULL;
		strobe_error_free(error);
		going = !error && tell_thread(&t);
		if (!error)
			t.stack = strobe_stack_close(t.stack);
	}
	stack_memory_fini(&t.memory);
	root_set_fini(&t.set);
	return going && claim_dead(roots);
}
