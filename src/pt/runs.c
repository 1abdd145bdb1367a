// SPDX-License-Identifier: Apache-2.0
#include "pt/runs.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

enum { ENTRIES = 8192, ENTRY_RUNS = 5 };

/** Following a block through stretches. */
struct walk {
	const uint64_t *until;
	uint32_t left; // instructions to come
	unsigned bits;
	uint32_t stretch, index; // the next instruction
	struct run_entry entry;	 // what was added; count > ENTRY_RUNS: too much for one
};

struct strobe_error *runs_init(struct runs *runs, struct code_map *map)
{
	memset(runs, 0, sizeof(*runs));
	runs->map = map;
	// Zero pages until they are used: few blocks need it where packets are plain.
	runs->entries = calloc(ENTRIES, sizeof(*runs->entries));
	return runs->entries ? NULL : error_no_memory();
}

void runs_fini(struct runs *runs)
{
	free(runs->entries);
	memset(runs, 0, sizeof(*runs));
}

void runs_close(struct runs *runs)
{
	runs->open = false;
}

static unsigned mode_bits(enum pt_exec_mode mode)
{
	return mode == ptem_16bit ? 16 : mode == ptem_32bit ? 32 : 64;
}

static bool consumes_packets(const struct code_stretch *stretch)
{
	switch ((enum strobe_flow)stretch->flow) {
	case STROBE_FLOW_OTHER:
		return false;
	case STROBE_FLOW_JUMP:
	case STROBE_FLOW_CALL:
		return !stretch->has_target;
	default:
		return true;
	}
}

// Where execution goes on behind a stretch without a packet's help.
static bool follow(const struct code_stretch *stretch, uint64_t *next)
{
	if (consumes_packets(stretch))
		return false;
	*next = stretch->flow == STROBE_FLOW_OTHER ? stretch->end : stretch->target;
	return true;
}

// How many of `count` instructions from `index` on come before the one at `until`.
static uint32_t count_until(const struct runs *runs, const struct code_stretch *stretch,
			    uint32_t index, uint32_t count, uint64_t until)
{
	const uint8_t *lengths = code_map_lengths(runs->map, stretch);
	uint64_t address = code_map_address(runs->map, stretch, index);
	uint32_t before = 0;
	if (until < address || until >= stretch->end)
		return count;
	for (; before < count && address != until; before++)
		address += lengths[index + before];
	return before;
}

static struct strobe_error *add_run(struct walk *walk, struct window *window, uint32_t count)
{
	uint8_t runs = walk->entry.count;
	if (runs < ENTRY_RUNS) {
		walk->entry.runs[runs].stretch = walk->stretch;
		walk->entry.runs[runs].count = count;
	}
	if (runs <= ENTRY_RUNS)
		walk->entry.count++;
	if (walk->index == 0)
		return window_add_run(window, walk->stretch, count);
	// More of the run that the window ends with.
	window->item_count += count;
	window->instruction_count += count;
	return NULL;
}

// The part of the walk that lies in one stretch. True when the walk is over.
static struct strobe_error *walk_stretch(struct runs *runs, struct window *window,
					 struct walk *walk, struct runs_result *ret, bool *over)
{
	const struct code_stretch *stretch = code_map_stretch(runs->map, walk->stretch);
	uint32_t count = stretch->count - walk->index;
	if (count > walk->left)
		count = walk->left;
	uint32_t wanted = count;
	if (walk->until)
		count = count_until(runs, stretch, walk->index, count, *walk->until);
	ret->met = count < wanted;
	if (count) {
		struct strobe_error *error = add_run(walk, window, count);
		if (error)
			return error;
		ret->added += count;
		walk->left -= count;
		walk->index += count;
		ret->last = code_map_address(runs->map, stretch, walk->index - 1);
		ret->consumes = walk->index == stretch->count && consumes_packets(stretch);
		ret->flow = stretch->flow;
		ret->stretch = walk->stretch;
	}
	*over = ret->met || walk->left == 0;
	runs->open = walk->index > 0 && walk->index < stretch->count;
	if (runs->open) {
		runs->stretch = walk->stretch;
		runs->done = walk->index;
		runs->next = code_map_address(runs->map, stretch, walk->index);
		ret->after = runs->next;
		ret->after_known = true;
	} else {
		ret->after_known = follow(stretch, &ret->after);
	}
	return NULL;
}

static struct strobe_error *walk_block(struct runs *runs, struct window *window, struct walk *walk,
				       uint64_t ip, struct runs_result *ret)
{
	bool over = false;
	struct strobe_error *error = NULL;
	if (runs->open && runs->next == ip) {
		walk->stretch = runs->stretch;
		walk->index = runs->done;
	} else {
		error = code_map_find(runs->map, ip, walk->bits, &walk->stretch);
	}
	ret->after = ip;
	ret->after_known = true;
	while (!error && walk->stretch != CODE_NONE) {
		error = walk_stretch(runs, window, walk, ret, &over);
		if (error || over || !ret->after_known)
			break;
		walk->index = 0;
		error = code_map_find(runs->map, ret->after, walk->bits, &walk->stretch);
	}
	ret->agrees = over;
	return error;
}

struct strobe_error *runs_add_until(struct runs *runs, struct window *window,
				    const struct pt_block *block, const uint64_t *until,
				    uint32_t limit, struct runs_result *ret)
{
	struct walk walk = {
		.until = until,
		.left = block->ninsn < limit ? block->ninsn : limit,
		.bits = mode_bits(block->mode),
	};
	bool whole = walk.left == block->ninsn;
	*ret = (struct runs_result){.agrees = true};
	if (walk.left == 0)
		return NULL;
	struct strobe_error *error = walk_block(runs, window, &walk, block->ip, ret);
	if (!error && ret->agrees && !ret->met && whole && ret->last != block->end_ip)
		ret->agrees = false;
	return error;
}

static struct run_entry *entry_of(struct runs *runs, const struct pt_block *block)
{
	uint64_t key = block->ip * UINT64_C(0x9e3779b97f4a7c15) + block->ninsn;
	return &runs->entries[(key >> 32) % ENTRIES];
}

static struct strobe_error *add_new(struct runs *runs, struct window *window,
				    const struct pt_block *block, struct run_entry *entry,
				    struct runs_result *ret)
{
	struct walk walk = {.left = block->ninsn, .bits = mode_bits(block->mode)};
	bool fresh = !runs->open || runs->next != block->ip;
	*ret = (struct runs_result){.agrees = true};
	struct strobe_error *error = walk_block(runs, window, &walk, block->ip, ret);
	if (error)
		return error;
	if (ret->agrees && ret->last != block->end_ip)
		ret->agrees = false;
	if (ret->agrees && fresh && !runs->open && walk.entry.count <= ENTRY_RUNS) {
		*entry = walk.entry;
		entry->ip = block->ip;
		entry->end_ip = block->end_ip;
		entry->instructions = block->ninsn;
		entry->mode = (uint8_t)block->mode;
		entry->consumes = ret->consumes;
		entry->flow = ret->flow;
	}
	return NULL;
}

struct strobe_error *runs_add(struct runs *runs, struct window *window,
			      const struct pt_block *block, struct runs_result *ret)
{
	struct run_entry *entry = entry_of(runs, block);
	if (entry->ip != block->ip || entry->instructions != block->ninsn ||
	    entry->end_ip != block->end_ip || entry->mode != (uint8_t)block->mode ||
	    entry->count == 0 || runs->open)
		return add_new(runs, window, block, entry, ret);
	if (!array_reserve(&window->parts, window->parts.count + ENTRY_RUNS))
		return error_no_memory();
	struct window_part *part = &window->parts.items[window->parts.count];
	uint32_t item = window->item_count;
	for (unsigned i = 0; i < entry->count; i++) {
		part[i] = (struct window_part){.first_item = item, .what = entry->runs[i].stretch};
		item += entry->runs[i].count;
	}
	window->parts.count += entry->count;
	window->item_count = item;
	window->instruction_count += entry->instructions;
	ret->consumes = entry->consumes;
	ret->flow = entry->flow;
	ret->stretch = entry->runs[entry->count - 1].stretch;
	ret->agrees = true;
	ret->last = block->end_ip;
	ret->added = block->ninsn;
	return NULL;
}
