// SPDX-License-Identifier: Apache-2.0
// The way through the items of a dump: by runs of instructions where nothing else is asked for, which is fast.

#include "trace/dump.h"
#include "progress.h"

static bool in_range(const struct dump *dump, uint64_t id)
{
	return dump->range.whole ||
	       (!dump->range.empty && id >= dump->range.first && id <= dump->range.last);
}

// How many instructions of `run`, from item `id` on, are to be shown.
static uint64_t share(const struct dump *dump, const struct strobe_run *run, uint64_t id)
{
	uint64_t index = id - run->first_id;
	uint64_t count = dump->forwards ? run->count - index : index + 1;
	if (!dump->range.whole) {
		uint64_t left = dump->forwards ? dump->range.last - id : id - dump->range.first;
		if (left < UINT64_MAX && count > left + 1)
			count = left + 1;
	}
	return count < dump->count ? count : dump->count;
}

static uint64_t address_in(const struct strobe_run *run, uint64_t index)
{
	uint64_t address = run->address;
	for (uint64_t i = 0; i < index; i++)
		address += run->lengths[i];
	return address;
}

// Shows `count` instructions of `run`, from item `id` on; false if memory is short.
static bool show_run(struct dump *dump, const struct strobe_run *run, uint64_t id, uint64_t count)
{
	uint64_t index = id - run->first_id;
	uint64_t address = index == run->count - 1 ? run->last_address : address_in(run, index);
	decimal_set(&dump->id, id);
	for (uint64_t i = 0; i < count; i++) {
		if (i > 0 && dump->forwards)
			address += run->lengths[index++];
		else if (i > 0)
			address -= run->lengths[--index];
		if (i > 0)
			decimal_step(&dump->id, dump->forwards);
		if (!dump_instruction(dump, address,
				      index == run->count - 1 ? run->flow : STROBE_FLOW_OTHER,
				      NULL))
			return false;
	}
	return true;
}

static bool walk_run(struct dump *dump, const struct strobe_run *run, uint64_t id)
{
	uint64_t index = id - run->first_id;
	uint64_t left = dump->forwards ? run->count - index : index + 1;
	uint64_t count = share(dump, run, id);
	if (!dump->only_events) {
		if (!show_run(dump, run, id, count))
			return false;
		dump->count -= count;
	}
	if (dump->only_events || count == left)
		strobe_cursor_next_run(dump->cursor);
	else
		strobe_cursor_seek(dump->cursor, dump->forwards ? (int64_t)count : -(int64_t)count,
				   STROBE_SEEK_CURRENT);
	return true;
}

static bool walk_item(struct dump *dump, uint64_t id)
{
	struct item_time time = {0}, *shown = dump->times ? &time : NULL;
	uint64_t address;
	enum strobe_item_kind kind = strobe_cursor_kind(dump->cursor);
	bool good = true;
	if (dump->times)
		time.known = strobe_cursor_time_ns(dump->cursor, &time.ns);
	if (kind == STROBE_ITEM_INSTRUCTION && !dump->only_events) {
		unsigned size;
		enum strobe_flow flow = STROBE_FLOW_OTHER;
		if (dump->style.kinds)
			strobe_cursor_instruction(dump->cursor, &size, &flow);
		decimal_set(&dump->id, id);
		good = !strobe_cursor_address(dump->cursor, &address) ||
		       dump_instruction(dump, address, flow, shown);
		dump->count--;
	} else if (kind == STROBE_ITEM_ERROR ||
		   (kind == STROBE_ITEM_EVENT && (dump->events || dump->only_events))) {
		dump_note(dump, id, shown);
	}
	strobe_cursor_next(dump->cursor);
	return good;
}

int dump_walk(struct dump *dump)
{
	bool good = true, by_runs = !dump->times || dump->only_events;
	while (good && (dump->count > 0 || dump->only_events) &&
	       strobe_cursor_has_value(dump->cursor)) {
		uint64_t id = strobe_cursor_id(dump->cursor);
		struct strobe_run run;
		if (!in_range(dump, id) || dump->emit.problem || progress_interrupted())
			break;
		if (by_runs && strobe_cursor_run(dump->cursor, &run))
			good = walk_run(dump, &run, id);
		else
			good = walk_item(dump, id);
	}
	return good ? STATUS_DONE : command_fail(dump->command, "out of memory");
}
