// SPDX-License-Identifier: Apache-2.0
// Every kind of packet and of damage, decoded by the source, against what the generator knows.

#include <inttypes.h>

#include "check.h"
#include "fixture.h"
#include "situations.h"

enum { SEEDS = 10, INSTRUCTIONS = 6000 };

static void open_source(const struct situation *situation, const struct made_trace *trace,
			size_t piece, struct trace_source *ret)
{
	struct pt_input input;
	input_make(&input, trace->program.base, trace->program.code.items,
		   trace->program.code.count);
	if (situation->mtc) {
		input.mtc_frequency = MADE_MTC_SHIFT;
		input.nominal_frequency = MADE_BUS_RATIO;
		input.cpuid_15_eax = 1;
		input.cpuid_15_ebx = MADE_CRYSTAL_RATIO;
	}
	input_add_thread(&input, 1, trace->bytes, trace->size, piece);
	CHECK_OK(pt_source_open(&input, ret));
}

static bool is_told(const struct item *item)
{
	return item->kind != STROBE_ITEM_EVENT || (item->note.type != STROBE_EVENT_CLOCK_TICK &&
						   item->note.type != STROBE_EVENT_SYNC_POINT);
}

static uint64_t error_address(const char *text)
{
	const char *hex = strstr(text, "0x");
	return hex ? strtoull(hex, NULL, 16) : 0;
}

static bool equal(const struct item *found, const struct expected_item *expected)
{
	if (expected->is_error)
		return found->kind == STROBE_ITEM_ERROR && strstr(found->text, "overflow") &&
		       error_address(found->text) == expected->address;
	if (!expected->is_event)
		return found->kind == STROBE_ITEM_INSTRUCTION &&
		       found->address == expected->address;
	if (found->kind != STROBE_ITEM_EVENT || found->note.type != expected->type ||
	    found->note.value != expected->value)
		return expected->type == STROBE_EVENT_ENABLED &&
		       found->note.type == STROBE_EVENT_ENABLED;
	// Where a synchronous event was, the packets do not tell; the decoder does.
	bool synchronous = expected->type == STROBE_EVENT_DISABLED_HARDWARE;
	return (synchronous || found->note.address == expected->address) &&
	       (!expected->target || found->note.target == expected->target);
}

// How many of the `count` first true items were found, one behind the other from the first on.
static size_t match(const struct items *items, const struct made_trace *trace, size_t count)
{
	const struct expected_item *expected = trace->walk.items.items;
	size_t at = 0, done = 0;
	if (count && expected->is_event && expected->type == STROBE_EVENT_ENABLED)
		done++; // the first PSB tells that
	for (; done < count; at++, done++) {
		while (at < items->items.count && !is_told(&items->items.items[at]))
			at++;
		if (at == items->items.count || !equal(&items->items.items[at], &expected[done]))
			break;
	}
	if (done < count && at < items->items.count)
		printf("# item %zu, true item %zu of %zu: found kind %d type %d 0x%" PRIx64
		       " value 0x%" PRIx64 " \"%s\", expected event %d type %d 0x%" PRIx64
		       " value 0x%" PRIx64 "\n",
		       at, done, count, items->items.items[at].kind,
		       items->items.items[at].note.type,
		       items->items.items[at].kind == STROBE_ITEM_INSTRUCTION
			       ? items->items.items[at].address
			       : items->items.items[at].note.address,
		       items->items.items[at].note.value, items->items.items[at].text,
		       expected[done].is_event, (int)expected[done].type, expected[done].address,
		       expected[done].value);
	return done;
}

static size_t count_told(const struct items *items)
{
	size_t count = 0;
	for (size_t i = 0; i < items->items.count; i++)
		count += is_told(&items->items.items[i]);
	return count;
}

static void check_times(const struct items *items, const struct made_trace *trace)
{
	uint64_t last = 0;
	for (size_t i = 0; i < items->items.count; i++) {
		CHECK(items->items.items[i].clock >= last);
		last = items->items.items[i].clock;
	}
	CHECK(last <= trace->walk.clock);
}

static void check_situation(const struct situation *situation, uint64_t seed)
{
	struct made_trace trace;
	struct trace_source source;
	struct items items = {0}, pieces = {0}, slow = {0};
	printf("# %s, seed %d\n", situation->name, (int)seed);
	make_trace(&trace, situation, seed, INSTRUCTIONS);
	open_source(situation, &trace, 0, &source);
	items_read(&items, &source, 0);
	items_read_slowly(&slow, &source, 0);
	CHECK(items_equal(&items, &slow));
	source.ops->close(source.context);
	size_t certain = made_trace_certain(&trace);
	CHECK_EQUAL(match(&items, &trace, certain), certain);
	if (!trace.damaged) {
		bool enabled = trace.walk.items.items[0].type == STROBE_EVENT_ENABLED;
		CHECK_EQUAL(count_told(&items) + enabled, certain);
		check_times(&items, &trace);
	}
	open_source(situation, &trace, 33, &source);
	items_read(&pieces, &source, 0);
	source.ops->close(source.context);
	CHECK(items_equal(&items, &pieces));
	items_fini(&items);
	items_fini(&pieces);
	items_fini(&slow);
	made_trace_fini(&trace);
}

static void check_all(bool damaged)
{
	for (size_t i = 0; i < situation_count; i++)
		for (uint64_t seed = 0; seed < SEEDS; seed++)
			if ((situations[i].damage != NULL) == damaged)
				check_situation(&situations[i], seed);
}

static void undamaged(void)
{
	check_all(false);
}

static void damaged(void)
{
	check_all(true);
}

CHECK_MAIN({"every kind of packet becomes the right item", undamaged},
	   {"no true item before damage is lost", damaged}, )
