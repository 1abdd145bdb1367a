// SPDX-License-Identifier: Apache-2.0
#include "pt/plain.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "pt/plain_packets.h"

enum {
	RETURNS = 64,	 // libipt's, and the processor's
	IDLE_MAX = 4096, // stretches without a packet
	ROOM = 16,	 // parts that are free at least when a stretch is added
	PLACES = 8192,	 // of which the stretch is remembered
};
#define UNKNOWN (CODE_NONE - 1)

/** How a stretch goes on. */
enum node_kind {
	NODE_NEW, // not looked at yet
	NODE_ON,  // at `taken`, always
	NODE_CALL,
	NODE_CONDITIONAL,
	NODE_RETURN,
	NODE_INDIRECT,
	NODE_INDIRECT_CALL,
	NODE_SYSTEM_CALL,
	NODE_FAR,
};

/** A stretch of the code map, with the stretches behind it: UNKNOWN until they are asked for. */
struct node {
	uint32_t count;
	uint32_t kind;
	uint32_t taken; // where a direct branch goes, or straight code goes on
	uint32_t end;	// what is behind it in memory
};

struct place {
	uint64_t address;
	uint32_t stretch;
};

/**
 * Invariants: node i is stretch i's. Between two steps `at` is the stretch that comes next, if `enabled`; `pending` is
 * what the packets have next, and PLAIN_TNT only as long as there are bits.
 */
struct plain {
	struct code_map *map;
	ARRAY(struct node) nodes;
	struct place *places;
	struct plain_packets packets;
	uint32_t returns[RETURNS]; // stretches, or UNKNOWN: then `return_addresses` tells
	uint64_t return_addresses[RETURNS];
	uint32_t return_calls[RETURNS]; // whose they are
	unsigned return_top, return_count;
	enum plain_kind pending;
	bool enabled;
	uint32_t at;
	uint64_t resumes; // where tracing goes on if it only paused
	// Of the slice.
	struct decoder *decoder;
	struct window *window;
	bool refused;
};

struct strobe_error *plain_new(struct code_map *map, struct plain **ret)
{
	struct plain *plain = calloc(1, sizeof(*plain));
	if (plain)
		plain->places = calloc(PLACES, sizeof(*plain->places));
	if (!plain || !plain->places) {
		free(plain);
		return error_no_memory();
	}
	plain->map = map;
	*ret = plain;
	return NULL;
}

struct plain *plain_free(struct plain *plain)
{
	if (!plain)
		return NULL;
	array_fini(&plain->nodes);
	free(plain->places);
	free(plain);
	return NULL;
}

static uint32_t classify(const struct code_stretch *stretch)
{
	switch ((enum strobe_flow)stretch->flow) {
	case STROBE_FLOW_OTHER:
		return NODE_ON;
	case STROBE_FLOW_CALL:
		if (!stretch->has_target)
			return NODE_INDIRECT_CALL;
		// Code that asks where it is: no processor keeps that for a return.
		return stretch->target == stretch->end ? NODE_ON : NODE_CALL;
	case STROBE_FLOW_RETURN:
		return NODE_RETURN;
	case STROBE_FLOW_JUMP:
		return stretch->has_target ? NODE_ON : NODE_INDIRECT;
	case STROBE_FLOW_COND_JUMP:
		return NODE_CONDITIONAL;
	case STROBE_FLOW_FAR_CALL:
		return NODE_SYSTEM_CALL;
	default:
		return NODE_FAR;
	}
}

static struct strobe_error *grow_nodes(struct plain *plain)
{
	size_t count = code_map_count(plain->map), before = plain->nodes.count;
	if (!array_reserve(&plain->nodes, count))
		return error_no_memory();
	memset(plain->nodes.items + before, 0, (count - before) * sizeof(*plain->nodes.items));
	plain->nodes.count = count;
	return NULL;
}

static struct node *look_at(struct plain *plain, uint32_t index)
{
	struct node *node = &plain->nodes.items[index];
	if (node->kind == NODE_NEW) {
		const struct code_stretch *stretch = code_map_stretch(plain->map, index);
		node->count = stretch->count;
		node->kind = classify(stretch);
		node->taken = node->end = UNKNOWN;
	}
	return node;
}

// The stretch at `address`; none is a reason to refuse.
static struct strobe_error *find(struct plain *plain, uint64_t address, uint32_t *ret)
{
	struct place *place =
		&plain->places[(address * UINT64_C(0x9e3779b97f4a7c15) >> 40) % PLACES];
	if (place->address == address && address) {
		*ret = place->stretch;
		return NULL;
	}
	struct strobe_error *error = code_map_find(plain->map, address, 64, ret);
	if (!error && code_map_count(plain->map) > plain->nodes.count)
		error = grow_nodes(plain);
	if (error)
		return error;
	if (*ret == CODE_NONE)
		plain->refused = true;
	else
		*place = (struct place){address, *ret};
	return NULL;
}

// Goes to where a direct branch goes, or to what is behind a stretch.
static struct strobe_error *go(struct plain *plain, bool taken)
{
	uint32_t from = plain->at, to = UNKNOWN;
	const struct code_stretch *stretch = code_map_stretch(plain->map, from);
	bool to_target = taken && stretch->flow != STROBE_FLOW_OTHER;
	struct strobe_error *error = find(plain, to_target ? stretch->target : stretch->end, &to);
	if (error || plain->refused)
		return error;
	struct node *node = &plain->nodes.items[from];
	*(taken ? &node->taken : &node->end) = to;
	plain->at = to;
	return NULL;
}

// The call is at the end of stretch `at`.
static inline void push_return(struct plain *plain, const struct node *node, uint32_t at)
{
	unsigned top = plain->return_top = (plain->return_top + 1) % RETURNS;
	plain->returns[top] = node->end;
	if (node->end == UNKNOWN)
		plain->return_addresses[top] = code_map_stretch(plain->map, at)->end;
	plain->return_calls[top] = at;
	if (plain->return_count < RETURNS)
		plain->return_count++;
}

static struct strobe_error *pop_return(struct plain *plain)
{
	unsigned top = plain->return_top;
	if (plain->return_count == 0) {
		plain->refused = true;
		return NULL;
	}
	plain->return_top = (top + RETURNS - 1) % RETURNS;
	plain->return_count--;
	if (plain->returns[top] != UNKNOWN) {
		plain->at = plain->returns[top];
		return NULL;
	}
	struct strobe_error *error = find(plain, plain->return_addresses[top], &plain->at);
	if (!error && !plain->refused)
		plain->nodes.items[plain->return_calls[top]].end = plain->at;
	return error;
}

static void read_on(struct plain *plain)
{
	plain->pending = plain_packets_next(&plain->packets, plain->enabled);
	if (plain->pending == PLAIN_OTHER)
		plain->refused = true;
}

static bool take_bit(struct plain *plain)
{
	bool bit = plain->packets.bits >> 63;
	plain->packets.bits <<= 1;
	if (--plain->packets.bit_count == 0)
		read_on(plain);
	return bit;
}

// Goes to the address that the packets have next.
static struct strobe_error *follow_tip(struct plain *plain)
{
	if (plain->pending != PLAIN_TIP ||
	    damage_is_inside(&plain->decoder->damage, plain->packets.ip)) {
		plain->refused = true;
		return NULL;
	}
	struct strobe_error *error = find(plain, plain->packets.ip, &plain->at);
	read_on(plain);
	return error;
}

static struct strobe_error *follow_return(struct plain *plain)
{
	if (plain->pending == PLAIN_TNT) {
		struct strobe_error *error = pop_return(plain);
		if (!plain->refused && !take_bit(plain))
			plain->refused = true;
		return error;
	}
	const struct code_stretch *from = code_map_stretch(plain->map, plain->at);
	if (plain->pending == PLAIN_TIP &&
	    !damage_check_return(&plain->decoder->damage, from, plain->packets.ip, false))
		plain->refused = true;
	return plain->refused ? NULL : follow_tip(plain);
}

static struct strobe_error *tick(struct plain *plain)
{
	return plain->packets.has_clock ? decoding_tick(plain->decoder, plain->packets.clock)
					: NULL;
}

// Tracing ended at a system call, whose stretch is in the window.
static struct strobe_error *end_at_system_call(struct plain *plain)
{
	const struct code_stretch *stretch = code_map_stretch(plain->map, plain->at);
	struct window_note note = {
		.type = STROBE_EVENT_DISABLED_HARDWARE,
		.has_address = true,
		.address = code_map_address(plain->map, stretch, stretch->count - 1u),
		.has_target = plain->packets.has_ip,
		.target = plain->packets.has_ip ? plain->packets.ip : 0,
		.text = "",
	};
	// With an address it could be a jump's before, which left what is traced.
	if (plain->pending != PLAIN_PGD || plain->packets.has_ip) {
		plain->refused = true;
		return NULL;
	}
	struct strobe_error *error = tick(plain);
	plain->enabled = false;
	plain->resumes = stretch->end;
	read_on(plain);
	return error ? error : decoding_note(plain->decoder, &note);
}

// SKD022: before the entry of a virtual machine, the FUP may be one too many.
static bool may_be_erratum(const struct plain *plain)
{
	const struct code_stretch *stretch = code_map_stretch(plain->map, plain->at);
	return plain->decoder->source->config.errata.skd022 &&
	       stretch->flow == STROBE_FLOW_FAR_RETURN && stretch->count == 1;
}

// Tracing ended before an instruction that is reached.
static struct strobe_error *end_before(struct plain *plain)
{
	struct window_note note = {
		.type = STROBE_EVENT_DISABLED_SOFTWARE,
		.has_address = true,
		.address = plain->packets.from,
		.has_target = plain->packets.has_ip,
		.target = plain->packets.has_ip ? plain->packets.ip : 0,
		.text = "",
	};
	if (may_be_erratum(plain)) {
		plain->refused = true;
		return NULL;
	}
	struct strobe_error *error = tick(plain);
	plain->enabled = false;
	plain->resumes = plain->packets.from;
	read_on(plain);
	return error ? error : decoding_note(plain->decoder, &note);
}

static struct strobe_error *begin_again(struct plain *plain)
{
	bool resumed = plain->packets.ip == plain->resumes;
	struct window_note note = {
		.type = STROBE_EVENT_ENABLED,
		.has_address = true,
		.address = plain->packets.ip,
		.value = resumed,
		.text = resumed ? "resumed" : "",
	};
	struct strobe_error *error = tick(plain);
	if (!error)
		error = decoding_note(plain->decoder, &note);
	if (!error)
		error = find(plain, plain->packets.ip, &plain->at);
	plain->enabled = true;
	read_on(plain);
	return error;
}

// A stretch is in the window; what now?
static struct strobe_error *leave(struct plain *plain, const struct node *node)
{
	switch (node->kind) {
	case NODE_CONDITIONAL: {
		if (plain->pending != PLAIN_TNT)
			break;
		bool taken = take_bit(plain);
		uint32_t to = taken ? node->taken : node->end;
		if (to == UNKNOWN)
			return go(plain, taken);
		plain->at = to;
		return NULL;
	}
	case NODE_CALL:
		push_return(plain, node, plain->at);
		if (node->taken == UNKNOWN)
			return go(plain, true);
		plain->at = node->taken;
		return NULL;
	case NODE_ON:
		if (node->taken == UNKNOWN)
			return go(plain, true);
		plain->at = node->taken;
		return NULL;
	case NODE_RETURN:
		return follow_return(plain);
	case NODE_INDIRECT_CALL:
		push_return(plain, node, plain->at);
		return follow_tip(plain);
	case NODE_INDIRECT:
	case NODE_FAR:
		return follow_tip(plain);
	case NODE_SYSTEM_CALL:
		return plain->pending == PLAIN_TIP ? follow_tip(plain) : end_at_system_call(plain);
	default:
		break;
	}
	plain->refused = true;
	return NULL;
}

static struct strobe_error *add(struct window *window, uint32_t stretch, uint32_t count)
{
	if (window->parts.capacity - window->parts.count < ROOM &&
	    !array_reserve(&window->parts, window->parts.count + ROOM))
		return error_no_memory();
	window->parts.items[window->parts.count++] =
		(struct window_part){.first_item = window->item_count, .what = stretch};
	window->item_count += count;
	window->instruction_count += count;
	return NULL;
}

// Straight code up to `address`, with no packets' help.
static struct strobe_error *walk_to(struct plain *plain, uint64_t address)
{
	struct strobe_error *error = NULL;
	for (unsigned idle = 0; !error && !plain->refused; idle++) {
		const struct code_stretch *stretch = code_map_stretch(plain->map, plain->at);
		const uint8_t *lengths = code_map_lengths(plain->map, stretch);
		uint64_t at = stretch->address;
		uint32_t count = 0;
		for (; count < stretch->count && at != address; count++)
			at += lengths[count];
		// Up to the address, or all of it.
		bool met = count < stretch->count;
		if (count)
			error = add(plain->window, plain->at, count);
		if (met || error)
			return error;
		const struct node *node = look_at(plain, plain->at);
		if ((node->kind != NODE_ON && node->kind != NODE_CALL) || idle >= IDLE_MAX)
			plain->refused = true;
		else
			error = leave(plain, node);
	}
	return error;
}

// No packets are left. True instructions may be, up to the next PSB.
static struct strobe_error *finish(struct plain *plain)
{
	const struct decoder *decoder = plain->decoder;
	if (!plain->enabled)
		return NULL;
	if (decoder->has_next && decoder->next_has_ip)
		return walk_to(plain, decoder->next_ip);
	plain->refused = true;
	return NULL;
}

/** What stride() changes, in registers. */
struct stride {
	struct window_part *part, *part_end;
	uint64_t bits;
	unsigned bit_count;
	uint32_t at, items;
	unsigned idle;
};

static void stride_begin(const struct plain *plain, size_t most_parts, unsigned idle,
			 struct stride *ret)
{
	const struct window *window = plain->window;
	size_t end = window->parts.capacity < most_parts ? window->parts.capacity : most_parts;
	*ret = (struct stride){
		.part = window->parts.items + window->parts.count,
		.part_end = window->parts.items + end,
		.bits = plain->packets.bits,
		.bit_count = plain->pending == PLAIN_TNT ? plain->packets.bit_count : 0,
		.at = plain->at,
		.items = window->item_count,
		.idle = idle,
	};
}

static void stride_end(struct plain *plain, const struct stride *stride)
{
	struct window *window = plain->window;
	size_t count = (size_t)(stride->part - window->parts.items);
	window->instruction_count += stride->items - window->item_count;
	window->item_count = stride->items;
	window->parts.count = count;
	plain->at = stride->at;
	if (plain->pending != PLAIN_TNT)
		return;
	plain->packets.bits = stride->bits;
	plain->packets.bit_count = stride->bit_count;
	if (stride->bit_count == 0)
		read_on(plain);
}

// Where the way from `node` is known: false where it is not, or no bit is there to tell.
static inline bool know(struct plain *plain, const struct node *node, struct stride *stride,
			uint32_t *to)
{
	bool bit = stride->bits >> 63;
	switch (node->kind) {
	case NODE_ON:
	case NODE_CALL:
		*to = node->taken;
		if (*to == UNKNOWN || ++stride->idle > IDLE_MAX)
			return false;
		if (node->kind == NODE_CALL)
			push_return(plain, node, stride->at);
		return true;
	case NODE_CONDITIONAL:
		*to = bit ? node->taken : node->end;
		break;
	case NODE_RETURN:
		*to = plain->returns[plain->return_top];
		if (!bit || plain->return_count == 0 || stride->bit_count == 0 || *to == UNKNOWN)
			return false;
		plain->return_top = (plain->return_top + RETURNS - 1) % RETURNS;
		plain->return_count--;
		break;
	default:
		return false;
	}
	if (stride->bit_count == 0 || *to == UNKNOWN)
		return false;
	stride->bits <<= 1;
	stride->bit_count--;
	stride->idle = 0;
	return true;
}

// As far as the way is known already, which it mostly is: the same as steps of run(), with all in registers.
static void stride(struct plain *plain, uint32_t enough, size_t most_parts, unsigned *idle)
{
	const struct node *nodes = plain->nodes.items;
	struct stride stride;
	stride_begin(plain, most_parts, *idle, &stride);
	while (stride.items <= enough && stride.part < stride.part_end) {
		const struct node *node = &nodes[stride.at];
		uint32_t to;
		if (!know(plain, node, &stride, &to))
			break;
		*stride.part++ =
			(struct window_part){.first_item = stride.items, .what = stride.at};
		stride.items += node->count;
		stride.at = to;
		if (stride.bit_count == 0 && plain->pending == PLAIN_TNT) {
			stride_end(plain, &stride);
			stride_begin(plain, most_parts, stride.idle, &stride);
			if (plain->pending > PLAIN_PGD)
				break;
		}
	}
	stride_end(plain, &stride);
	*idle = stride.idle;
}

// With bits and addresses as they come.
static struct strobe_error *run(struct plain *plain, uint32_t enough, size_t most_parts)
{
	struct window *window = plain->window;
	struct strobe_error *error = NULL;
	unsigned idle = 0;
	while (!error && plain->enabled && !plain->refused && plain->pending <= PLAIN_PGD) {
		stride(plain, enough, most_parts, &idle);
		if (window->item_count > enough || plain->pending > PLAIN_PGD)
			break;
		const struct node *node = look_at(plain, plain->at);
		error = add(window, plain->at, node->count);
		idle = node->kind == NODE_ON || node->kind == NODE_CALL ? idle + 1 : 0;
		if (idle > IDLE_MAX || window->parts.count > most_parts)
			plain->refused = true;
		else if (!error)
			error = leave(plain, node);
	}
	return error;
}

bool plain_begin(struct plain *plain, const struct decoder *decoder, bool *has_clock,
		 uint64_t *clock)
{
	if (!plain_packets_begin(&plain->packets, decoder->bytes + decoder->slice,
				 decoder->slice_end - decoder->slice, &plain->enabled))
		return false;
	*has_clock = plain->packets.has_clock;
	*clock = plain->packets.clock;
	return true;
}

static struct strobe_error *step(struct plain *plain, uint32_t enough, size_t most_parts)
{
	struct strobe_error *error;
	if (plain->enabled && plain->pending == PLAIN_ASYNC_PGD) {
		error = walk_to(plain, plain->packets.from);
		return error || plain->refused ? error : end_before(plain);
	}
	if (plain->enabled)
		return run(plain, enough, most_parts);
	if (plain->pending == PLAIN_PGE)
		return begin_again(plain);
	plain->refused = true;
	return NULL;
}

struct strobe_error *plain_decode(struct plain *plain, struct decoder *decoder,
				  enum plain_outcome *ret)
{
	struct strobe_error *error = NULL;
	uint32_t enough = decoder->enough;
	plain->decoder = decoder;
	plain->window = decoder->window;
	plain->refused = false;
	plain->return_count = 0;
	plain->resumes = plain->enabled ? plain->packets.ip : 0;
	if (plain->enabled)
		error = find(plain, plain->packets.ip, &plain->at);
	read_on(plain);
	while (!error && !plain->refused && plain->pending != PLAIN_END &&
	       decoder->window->item_count <= enough)
		error = step(plain, enough, WINDOW_MAX_PARTS / 2);
	bool full = decoder->window->item_count > enough;
	if (!error && !plain->refused && !full)
		error = finish(plain);
	*ret = plain->refused ? PLAIN_REFUSED : full ? PLAIN_ENOUGH : PLAIN_DONE;
	return error;
}
