// SPDX-License-Identifier: Apache-2.0
#include "trace/code_place.h"
#include "trace/parting.h"

void parting_begin_json(struct parting *run)
{
	struct json *json = &run->json;
	if (!run->begun) {
		json_init(json, stdout);
		json_object(json, NULL);
		json_string(json, "a", run->command->arguments[0]);
		json_string(json, "b", run->command->arguments[1]);
		json_string(json, "compared", run->options.functions ? "calls" : "instructions");
		json_array(json, "threads", true);
	}
	run->begun = true;
	json_object(json, NULL);
	for (int i = 0; i < 2; i++)
		json_signed(
			json, i ? "tid_b" : "tid_a",
			strobe_trace_thread(run->sides[i].trace, run->sides[i].thread_index)->tid);
	json_array(json, "differences", true);
}

static bool put_place(struct parting *run, int side)
{
	json_object(&run->json, NULL);
	item_json(&run->json, run->sides[side].symbols, run->cursors[side]);
	json_object_end(&run->json);
	return true;
}

static void place_json(struct parting *run, int side, const char *key,
		       const struct strobe_trace_diff_place *place)
{
	if (place->id == STROBE_NO_ID || !strobe_cursor_go_to_id(run->cursors[side], place->id)) {
		json_null(&run->json, key);
		return;
	}
	json_object(&run->json, key);
	item_json(&run->json, run->sides[side].symbols, run->cursors[side]);
	json_object_end(&run->json);
}

static void side_json(struct parting *run, int side,
		      const struct strobe_trace_difference *difference)
{
	struct json *json = &run->json;
	uint64_t first = difference->first[side].id, again = difference->again[side].id;
	uint64_t items = difference->met && again != STROBE_NO_ID ? again - first : UINT64_MAX;
	json_object(json, side ? "b" : "a");
	place_json(run, side, "last_common", &difference->last[side]);
	place_json(run, side, "first", &difference->first[side]);
	json_unsigned(json, "count", difference->count[side]);
	json_array(json, "next", true);
	if (difference->count[side] && first != STROBE_NO_ID)
		parting_places(run, side, first, items, run->context, put_place);
	json_array_end(json);
	place_json(run, side, "again", &difference->again[side]);
	json_object_end(json);
}

void parting_json(struct parting *run, const struct strobe_trace_difference *difference)
{
	struct json *json = &run->json;
	json_object(json, NULL);
	json_unsigned(json, "common", difference->common);
	json_bool(json, "met", difference->met);
	for (int i = 0; i < 2; i++)
		side_json(run, i, difference);
	json_object_end(json);
}

void parting_end_json(struct parting *run, bool more)
{
	const struct strobe_trace_diff_totals *totals = strobe_trace_diff_totals(run->diff);
	struct json *json = &run->json;
	json_array_end(json);
	json_unsigned(json, "count", run->told);
	json_bool(json, "limited", more);
	json_unsigned(json, "common", totals->common);
	json_unsigned(json, "only_a", totals->only[0]);
	json_unsigned(json, "only_b", totals->only[1]);
	json_bool(json, "complete", totals->complete);
	json_object_end(json);
}
