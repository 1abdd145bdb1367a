// SPDX-License-Identifier: Apache-2.0
#include "trace/scan.h"

#include <assert.h>
#include <string.h>

#include "base/error.h"

void scanned_block_fini(struct scanned_block *block)
{
	array_fini(&block->units);
	array_fini(&block->errors);
	arena_fini(&block->arena);
}

size_t scan_error_text_size(const char *text)
{
	size_t size = strlen(text);
	for (const char *at = text; (at = strstr(at, ": 0x")); at++)
		size = (size_t)(at - text);
	return size;
}

static struct strobe_error *count_error(struct scanned_block *block, uint32_t thread,
					const char *text)
{
	size_t size = scan_error_text_size(text);
	for (size_t i = 0; i < block->errors.count; i++) {
		struct scanned_error *error = &block->errors.items[i];
		if (error->thread == thread && strncmp(error->text, text, size) == 0 &&
		    error->text[size] == '\0') {
			error->count++;
			return NULL;
		}
	}
	struct scanned_error fresh = {.thread = thread, .count = 1};
	fresh.text = arena_copy_string(&block->arena, text, size);
	return fresh.text && array_push(&block->errors, fresh) ? NULL : error_no_memory();
}

static struct strobe_error *scan_note(struct scanned_block *block, struct scanned_unit *scanned,
				      const struct window_note *note)
{
	if (note->is_error) {
		scanned->unit.error_count++;
		return scanned->thread == WINDOW_NOBODY
			       ? NULL
			       : count_error(block, scanned->thread, note->text ? note->text : "");
	}
	assert(note->type < STROBE_EVENT_TYPE_COUNT);
	scanned->unit.event_counts[note->type]++;
	return NULL;
}

static uint32_t cut_end(const struct window *window, uint32_t cut)
{
	return cut + 1 < window->cuts.count ? window->cuts.items[cut + 1].first_item
					    : window->item_count;
}

/** Notes and calls of the parts from `*part` up to item `end`. */
static struct strobe_error *scan_parts(struct scanned_block *block, struct scanned_unit *scanned,
				       const struct window *window, const struct code_map *map,
				       uint32_t end, size_t *part)
{
	uint32_t pops = 0, depth = 0, instructions = 0;
	size_t i = *part, count = window->parts.count;
	const struct window_part *parts = window->parts.items;
	const struct code_tables *tables = code_map_tables(map);
	struct strobe_error *error = NULL;
	for (; i < count && parts[i].first_item < end && !error; i++) {
		if (parts[i].what & WINDOW_NOTE) {
			error = scan_note(block, scanned,
					  &window->notes.items[parts[i].what & ~WINDOW_NOTE]);
			continue;
		}
		uint32_t size = (i + 1 < count ? parts[i + 1].first_item : window->item_count) -
				parts[i].first_item;
		const struct code_stretch *stretch = code_tables_stretch(tables, parts[i].what);
		instructions += size;
		if (size < stretch->count)
			continue;
		// Without branches: what follows what is not to be foreseen.
		uint32_t returns = stretch->flow == STROBE_FLOW_RETURN;
		uint32_t empty = returns & (depth == 0);
		depth += (stretch->flow == STROBE_FLOW_CALL) - (returns - empty);
		pops += empty;
	}
	scanned->unit.pops = pops;
	scanned->unit.pushes = depth;
	scanned->unit.instruction_count = instructions;
	*part = i;
	return error;
}

static void add_point(struct scanned_unit *scanned, uint64_t offset, uint64_t value)
{
	struct unit *unit = &scanned->unit;
	if (unit->has_clock && value <= unit->last.value)
		return;
	if (unit->has_clock && unit->last.id == offset && scanned->early_count > 0 &&
	    scanned->early[scanned->early_count - 1].id == offset)
		scanned->early_count--; // replaced
	unit->last = (struct clock_point){.id = offset, .value = value};
	if (!unit->has_clock || unit->first.id == offset)
		unit->first = unit->last;
	unit->has_clock = true;
	if (scanned->early_count < SCAN_EARLY_POINTS)
		scanned->early[scanned->early_count++] = unit->last;
}

/** The clock where the cut begins, in it, and where it ends. `*clock` is the next of the window's. */
static void scan_clocks(struct scanned_unit *scanned, const struct window *window, uint32_t cut,
			size_t *clock)
{
	const struct window_cut *cuts = window->cuts.items;
	uint32_t first = cuts[cut].first_item, end = cut_end(window, cut);
	struct unit *unit = &scanned->unit;
	size_t i = *clock;
	while (i < window->clocks.count && window->clocks.items[i].item <= first)
		i++;
	if (i > 0)
		add_point(scanned, 0, window->clocks.items[i - 1].value);
	if (cuts[cut].clock)
		add_point(scanned, 0, cuts[cut].clock);
	scanned->has_start = unit->has_clock;
	scanned->start = unit->first.value;
	// A clock value right at the end is from there on: a cut's own says better when it ended.
	uint64_t stop = cut + 1 < window->cuts.count ? cuts[cut + 1].clock : 0;
	for (; i < window->clocks.count && window->clocks.items[i].item < end + (stop == 0); i++)
		add_point(scanned, window->clocks.items[i].item - first,
			  window->clocks.items[i].value);
	if (stop)
		add_point(scanned, end - first, stop);
	*clock = i;
}

struct strobe_error *scan_window(struct scanned_block *block, const struct window *window,
				 const struct code_map *map, uint32_t stream, uint64_t index,
				 uint32_t part)
{
	size_t next_part = 0, next_clock = 0;
	struct strobe_error *error = NULL;
	block->item_count += window->item_count;
	for (uint32_t cut = 0; cut < window->cuts.count && !error; cut++) {
		uint32_t end = cut_end(window, cut);
		struct scanned_unit scanned = {
			.thread = window->cuts.items[cut].thread,
			.unit = {.stream = stream,
				 .block = index,
				 .part = part,
				 .cut = cut,
				 .cpu = window->cpu,
				 .item_count = end - window->cuts.items[cut].first_item}};
		scan_clocks(&scanned, window, cut, &next_clock);
		error = scan_parts(block, &scanned, window, map, end, &next_part);
		if (!error && !array_push(&block->units, scanned))
			error = error_no_memory();
	}
	return error;
}

void scan_share_bytes(struct scanned_block *block, uint64_t size_bytes)
{
	uint64_t items = 0, given = 0;
	for (size_t i = 0; i < block->units.count; i++) {
		items += block->units.items[i].unit.item_count;
		uint64_t until = size_bytes;
		if (block->item_count)
			until = (uint64_t)((unsigned __int128)size_bytes * items /
					   block->item_count);
		block->units.items[i].raw_bytes = until - given;
		given = until;
	}
}
