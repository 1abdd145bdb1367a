// SPDX-License-Identifier: Apache-2.0
// Rebuilt stacks against a naive one, which is pushed and popped instruction by instruction.
#include "check.h"

#include <strobe/memory.h>
#include <strobe/stack.h>
#include <strobe/trace_state.h>

#include "flow/stacks.h"

enum { POSITIONS = 1000, DEPTH = 64 };

/** A trace, opened. */
struct opened {
	struct strobe_trace *trace;
	struct strobe_symbols *symbols;
	struct strobe_cursor *cursor;
	struct strobe_trace_stacks *stacks;
};

static void open_trace(struct opened *opened, const char *path)
{
	struct strobe_trace_options options = {.size = sizeof(options), .index_path = ""};
	CHECK_OK(strobe_trace_open(path, &options, &opened->trace));
	CHECK_OK(strobe_symbols_open(strobe_trace_view(opened->trace), &opened->symbols));
	CHECK_OK(strobe_cursor_open(opened->trace, 0, &opened->cursor));
	CHECK_OK(strobe_trace_stacks_open(opened->trace, 0, opened->symbols, &opened->stacks));
}

static void close_trace(struct opened *opened)
{
	strobe_trace_stacks_close(opened->stacks);
	strobe_cursor_close(opened->cursor);
	strobe_symbols_close(opened->symbols);
	strobe_trace_close(opened->trace);
}

/** Where an instruction is, and what was called before it. */
struct truth {
	uint64_t id;
	uint64_t pcs[DEPTH]; // innermost first
	unsigned count;
};
static struct truth truths[POSITIONS];

static int by_id(const void *a, const void *b)
{
	const struct truth *x = a, *y = b;
	return (x->id > y->id) - (x->id < y->id);
}

/** Steps through the whole trace. */
static void find_truths(struct opened *opened)
{
	uint64_t stack[DEPTH], address = 0, end = 0;
	unsigned depth = 0, next = 0;
	enum strobe_flow flow = STROBE_FLOW_OTHER;
	strobe_cursor_set_forwards(opened->cursor, true);
	CHECK(strobe_cursor_seek(opened->cursor, 0, STROBE_SEEK_BEGIN));
	for (bool more = true; more && next < POSITIONS;
	     more = strobe_cursor_next(opened->cursor)) {
		uint64_t id = strobe_cursor_id(opened->cursor);
		unsigned size;
		if (strobe_cursor_address(opened->cursor, &address)) {
			if (flow == STROBE_FLOW_CALL) {
				CHECK(depth < DEPTH);
				stack[depth++] = end;
			} else if (flow == STROBE_FLOW_RETURN) {
				CHECK(depth > 0 && stack[depth - 1] == address);
				depth--;
			}
			CHECK(strobe_cursor_instruction(opened->cursor, &size, &flow));
			end = address + size;
		}
		for (; next < POSITIONS && truths[next].id == id; next++) {
			truths[next].count = depth + 1;
			truths[next].pcs[0] = address;
			for (unsigned i = 0; i < depth; i++)
				truths[next].pcs[i + 1] = stack[depth - 1 - i];
		}
	}
	CHECK_EQUAL(next, POSITIONS);
}

static void choose_positions(uint64_t first, uint64_t count)
{
	uint32_t state = 4711;
	for (unsigned i = 0; i < POSITIONS; i++) {
		state = state * 1664525 + 1013904223;
		truths[i].id =
			first + (uint64_t)(state >> 1) * (count - first) / (UINT32_MAX / 2 + 1);
	}
	qsort(truths, POSITIONS, sizeof(truths[0]), by_id);
}

static void look_everywhere(const char *path, bool walk)
{
	struct opened opened;
	const struct strobe_trace_frame *frames;
	size_t count;
	open_trace(&opened, path);
	choose_positions(2, strobe_trace_thread(opened.trace, 0)->item_count);
	find_truths(&opened);
	for (unsigned i = 0; i < POSITIONS; i++) {
		// Not in order: nothing may depend on what was asked before.
		const struct truth *truth = &truths[i * 617 % POSITIONS];
		CHECK_OK((walk ? stacks_walk_to : strobe_trace_stacks_at)(opened.stacks, truth->id,
									  &frames, &count));
		CHECK_EQUAL(count, truth->count);
		for (size_t j = 0; j < count; j++)
			CHECK_EQUAL(frames[j].pc, truth->pcs[j]);
	}
	CHECK(stacks_have_walked(opened.stacks) == walk);
	close_trace(&opened);
}

static void stacks_of_a_walk(void)
{
	look_everywhere(TRACES "/calls1/trace.json", true);
}

static void stacks_by_the_index(void)
{
	look_everywhere(TRACES "/calls1/trace.json", false);
}

static void stacks_of_a_longer_trace(void)
{
	look_everywhere(TRACES "/calls6/trace.json", false);
}

static bool same(const struct strobe_trace_frame *a, size_t a_count,
		 const struct strobe_trace_frame *b, size_t b_count)
{
	if (a_count != b_count)
		return false;
	for (size_t i = 0; i < a_count; i++)
		if (a[i].pc != b[i].pc)
			return false;
	return true;
}

static void callers_from_before_the_trace(void)
{
	struct opened part, whole;
	const struct strobe_trace_frame *frames, *truth;
	size_t count, truth_count, callers = 0;
	open_trace(&part, TRACES "/faulty/nohead.json"); // its beginning is lost
	open_trace(&whole, TRACES "/calls1/trace.json");
	uint64_t end = strobe_trace_thread(part.trace, 0)->item_count;
	uint64_t whole_end = strobe_trace_thread(whole.trace, 0)->item_count;
	for (uint64_t i = 0; i < 100; i++) {
		uint64_t back = 1 + i * (end - 10) / 100;
		CHECK_OK(strobe_trace_stacks_at(part.stacks, end - back, &frames, &count));
		CHECK_OK(strobe_trace_stacks_at(whole.stacks, whole_end - back, &truth,
						&truth_count));
		CHECK(same(frames, count, truth, truth_count));
		callers += frames[count - 1].kind == STROBE_CALL_CALLER;
	}
	CHECK(callers > 50);
	close_trace(&part);
	close_trace(&whole);
}

static void both_ways_say_the_same(void)
{
	static const char *const paths[] = {
		TRACES "/dso/trace.json",      TRACES "/faulty/nohead.json",
		TRACES "/faulty/garbled.json", TRACES "/faulty/trunc.json",
		TRACES "/faulty/hole.json",    TRACES "/mcpu/trace.json"};
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		struct opened opened;
		const struct strobe_trace_frame *frames;
		struct strobe_trace_frame copy[DEPTH];
		size_t count, walked;
		open_trace(&opened, paths[i]);
		uint64_t end = strobe_trace_thread(opened.trace, 0)->item_count;
		for (uint64_t j = 0; j < 30; j++) {
			struct strobe_trace_stacks *fresh;
			CHECK_OK(strobe_trace_stacks_open(opened.trace, 0, opened.symbols, &fresh));
			CHECK_OK(strobe_trace_stacks_at(fresh, end * j / 30, &frames, &count));
			CHECK(count < DEPTH);
			if (count)
				memcpy(copy, frames, count * sizeof(*frames));
			CHECK_OK(stacks_walk_to(opened.stacks, end * j / 30, &frames, &walked));
			CHECK(same(copy, count, frames, walked));
			strobe_trace_stacks_close(fresh);
		}
		close_trace(&opened);
	}
}

static void code_that_is_missing_does_not_cut_a_stack(void)
{
	struct opened opened;
	const struct strobe_trace_frame *frames;
	size_t count;
	open_trace(&opened, TRACES "/dso/trace.json");
	// In bar(), which the loader found when foo() called it, whom the loader found as well.
	uint64_t address;
	CHECK(strobe_cursor_go_to_id(opened.cursor, 50));
	CHECK(strobe_cursor_address(opened.cursor, &address));
	CHECK_OK(strobe_trace_stacks_at(opened.stacks, 50, &frames, &count));
	CHECK_EQUAL(count, 3);
	CHECK_EQUAL(frames[0].pc, address);
	CHECK_EQUAL(frames[1].pc, 0x7ffff7fbc11e);
	CHECK_EQUAL(frames[2].pc, 0x401138);
	close_trace(&opened);
}

static void a_view_has_the_stack_and_no_data(void)
{
	struct opened opened;
	struct strobe_view *view;
	struct strobe_symbols *symbols;
	struct strobe_stack *stack;
	struct strobe_register found;
	uint8_t byte;
	open_trace(&opened, TRACES "/calls1/trace.json");
	CHECK(strobe_cursor_go_to_id(opened.cursor, 16530)); // in fib(0), twelve levels in
	CHECK_OK(strobe_trace_view_at(opened.cursor, NULL, &view));
	CHECK_EQUAL(strobe_view_thread_count(view), 1);
	CHECK_EQUAL(strobe_view_thread(view, 0)->tid, 4242);
	CHECK(strobe_view_register_by_name(view, 0, "rip", &found));
	CHECK(!strobe_view_register_by_name(view, 0, "rsp", &found));
	CHECK_EQUAL(strobe_view_register_count(view, 0), 1);
	CHECK_EQUAL(strobe_memory_read(view, 0x401000, &byte, 1), 1); // code
	CHECK_EQUAL(strobe_memory_read(view, 0x403000, &byte, 1), 0); // data
	CHECK_OK(strobe_symbols_open(view, &symbols));
	CHECK_OK(strobe_stack_open(symbols, 0, NULL, &stack));
	CHECK_EQUAL(strobe_stack_frame_count(stack), 16);
	CHECK_STRING(strobe_stack_frame(stack, 0)->function, "fib");
	CHECK_STRING(strobe_stack_frame(stack, 13)->function, "work");
	CHECK_EQUAL(strobe_stack_frame(stack, 13)->line, 15);
	CHECK_STRING(strobe_stack_frame(stack, 13)->trust_name, "trace");
	CHECK_STRING(strobe_stack_frame(stack, 15)->function, "_start");
	CHECK_EQUAL(strobe_stack_stop(stack), STROBE_STOP_NO_CALLER);
	strobe_stack_close(stack);
	strobe_symbols_close(symbols);
	strobe_view_close(view);
	close_trace(&opened);
}

static void a_position_is_a_target(void)
{
	struct strobe_view *view;
	CHECK_OK(strobe_view_open(TRACES "/calls1/trace.json@4242#16530", NULL, &view));
	CHECK_EQUAL(strobe_view_thread(view, 0)->pc, 0x401146);
	strobe_view_close(view);
	CHECK_OK(strobe_view_open(TRACES "/calls1/trace.json@16530", NULL, &view));
	strobe_view_close(view);
	CHECK_ERROR(strobe_view_open(TRACES "/calls1/trace.json@4242#999999999", NULL, &view),
		    STROBE_ERROR_NOT_FOUND);
	CHECK_ERROR(strobe_view_open(TRACES "/calls1/trace.json@7#5", NULL, &view),
		    STROBE_ERROR_NOT_FOUND);
	CHECK_ERROR(strobe_view_open(TRACES "/calls1/trace.json@x", NULL, &view),
		    STROBE_ERROR_SYSTEM);
}

CHECK_MAIN({"stacks, by a walk", stacks_of_a_walk}, {"stacks, by the index", stacks_by_the_index},
	   {"stacks of a longer trace", stacks_of_a_longer_trace},
	   {"callers from before the trace", callers_from_before_the_trace},
	   {"both ways say the same", both_ways_say_the_same},
	   {"code that is missing does not cut a stack", code_that_is_missing_does_not_cut_a_stack},
	   {"a view has the stack, and no data", a_view_has_the_stack_and_no_data},
	   {"a position is a target", a_position_is_a_target})
