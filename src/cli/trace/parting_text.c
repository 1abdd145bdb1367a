// SPDX-License-Identifier: Apache-2.0
#include <inttypes.h>
#include <string.h>

#include "trace/code_place.h"
#include "trace/parting.h"

enum { LOOK_LIMIT = 100000 }; // items that are walked to find the next places

const char *parting_unit(const struct parting *run)
{
	return run->options.functions ? "calls and returns" : "instructions";
}

static int tid_of(const struct parting *run, int side)
{
	return strobe_trace_thread(run->sides[side].trace, run->sides[side].thread_index)->tid;
}

void parting_begin_text(const struct parting *run)
{
	for (int i = 0; i < 2; i++) {
		printf("%c: ", 'A' + i);
		put_styled(stdout, run->command->color, STYLE_FILE, run->command->arguments[i]);
		printf(", thread %d\n", tid_of(run, i));
	}
}

static bool put_place(struct parting *run, int side)
{
	struct strobe_cursor *cursor = run->cursors[side];
	printf("    %c %" PRIu64 ":", 'A' + side, strobe_cursor_id(cursor));
	put_item_time(cursor);
	putchar(' ');
	put_item(run->command, run->sides[side].symbols, cursor);
	putchar('\n');
	return true;
}

static bool is_same_place(const struct code_place *a, const struct code_place *b, bool functions)
{
	if (!a->function || !b->function)
		return a->function == b->function && a->address == b->address;
	if (strcmp(a->function, b->function) != 0)
		return false;
	if (functions)
		return true;
	return a->line == b->line && !a->file == !b->file &&
	       (!a->file || strcmp(a->file, b->file) == 0);
}

void parting_places(struct parting *run, int side, uint64_t id, uint64_t items, uint64_t count,
		    parting_visit visit)
{
	struct strobe_cursor *cursor = run->cursors[side];
	struct code_place last = {0}, place;
	uint64_t address;
	bool any = false;
	if (!strobe_cursor_go_to_id(cursor, id))
		return;
	items = items < LOOK_LIMIT ? items : LOOK_LIMIT;
	for (uint64_t i = 0; i < items && count && strobe_cursor_has_value(cursor); i++) {
		bool shown = strobe_cursor_kind(cursor) == STROBE_ITEM_ERROR;
		if (strobe_cursor_address(cursor, &address)) {
			code_place_find(run->sides[side].symbols, address, &place);
			shown = !any || !is_same_place(&last, &place, run->options.functions);
			last = place;
			any = true;
		}
		if (shown && !visit(run, side))
			return;
		count -= shown;
		strobe_cursor_next(cursor);
	}
}

static void put_one(struct parting *run, int side, const struct strobe_trace_diff_place *place)
{
	if (place->id == STROBE_NO_ID)
		printf("    %c ends\n", 'A' + side);
	else
		parting_places(run, side, place->id, 1, 1, put_place);
}

// Items from the first that only this side has to where both go on.
static uint64_t items_apart(const struct strobe_trace_difference *difference, int side)
{
	uint64_t first = difference->first[side].id, again = difference->again[side].id;
	return difference->met && again != STROBE_NO_ID ? again - first : UINT64_MAX;
}

static void put_side(struct parting *run, int side,
		     const struct strobe_trace_difference *difference)
{
	if (difference->first[side].id == STROBE_NO_ID) {
		printf("  then %c ends\n", 'A' + side);
		return;
	}
	if (difference->count[side] == 0) {
		printf("  %c has nothing here\n", 'A' + side);
		return;
	}
	if (difference->met)
		printf("  then %c alone, %" PRIu64 " %s\n", 'A' + side, difference->count[side],
		       parting_unit(run));
	else
		printf("  then %c goes another way\n", 'A' + side);
	parting_places(run, side, difference->first[side].id, items_apart(difference, side),
		       run->context, put_place);
}

void parting_text(struct parting *run, const struct strobe_trace_difference *difference)
{
	bool color = run->command->color;
	printf("\n%sdifference %" PRIu64 "%s, after %" PRIu64 " equal %s\n",
	       style_start(color, STYLE_HEADING), run->told, style_end(color), difference->common,
	       parting_unit(run));
	if (difference->last[0].id == STROBE_NO_ID)
		puts("  they begin differently");
	else
		puts("  last in common");
	for (int i = 0; i < 2 && difference->last[0].id != STROBE_NO_ID; i++)
		put_one(run, i, &difference->last[i]);
	for (int i = 0; i < 2; i++)
		put_side(run, i, difference);
	if (!difference->met)
		return;
	puts("  together again");
	for (int i = 0; i < 2; i++)
		put_one(run, i, &difference->again[i]);
}

void parting_end_text(const struct parting *run, bool more)
{
	const struct strobe_trace_diff_totals *totals = strobe_trace_diff_totals(run->diff);
	if (totals->complete && totals->differences == 0) {
		printf("no difference: %" PRIu64 " equal %s\n", totals->common, parting_unit(run));
		return;
	}
	printf("\n%" PRIu64 " difference%s%s, %" PRIu64 " equal %s; only in A %" PRIu64
	       ", only in B %" PRIu64 "\n",
	       run->told, run->told == 1 ? "" : "s", more ? ", and more (--limit)" : "",
	       totals->common, parting_unit(run), totals->only[0], totals->only[1]);
	if (!totals->complete && !more)
		puts("they do not meet again within the look-ahead (--look-ahead)");
}
