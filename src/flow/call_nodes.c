// SPDX-License-Identifier: Apache-2.0
#include "flow/call_nodes.h"

#include <stdlib.h>
#include <string.h>

/** Bits of call_nodes.matches. */
enum { MATCH_KNOWN = 1, MATCH_FUNCTION = 2, MATCH_MODULE = 4 };

static const struct scope *scope_at(const struct call_nodes *nodes, uint32_t scope)
{
	return &nodes->places->scopes.items[scope];
}

static const struct strobe_module *module_of(const struct call_nodes *nodes, size_t index)
{
	const struct strobe_view *view = strobe_symbols_view(nodes->places->symbols);
	return index == SIZE_MAX ? NULL : strobe_view_module(view, index);
}

static uint8_t matches_of(struct call_nodes *nodes, uint32_t scope)
{
	while (nodes->matches.count <= scope)
		if (!array_push(&nodes->matches, 0)) {
			nodes->places->no_memory = true;
			return 0;
		}
	uint8_t *known = &nodes->matches.items[scope];
	if (!*known) {
		const struct scope *found = scope_at(nodes, scope);
		*known = MATCH_KNOWN;
		if (filter_function(&nodes->filter, found->name))
			*known |= MATCH_FUNCTION;
		if (filter_module(&nodes->filter, module_of(nodes, found->module)))
			*known |= MATCH_MODULE;
	}
	return *known;
}

/** Time of where execution goes on. */
static bool time_of(struct call_nodes *nodes, uint64_t id, double *ret)
{
	if (!nodes->clock || id == STROBE_NO_ID)
		return false;
	if (strobe_cursor_id(nodes->walk->cursor) == id)
		return strobe_cursor_time_ns(nodes->walk->cursor, ret);
	return strobe_cursor_go_to_id(nodes->clock, id) && strobe_cursor_time_ns(nodes->clock, ret);
}

/** Execution goes on at instruction `id`. */
static void go_to(struct call_nodes *nodes, uint64_t id, uint64_t address)
{
	nodes->to_id = id;
	nodes->to_address = address;
	nodes->has_time = time_of(nodes, id, &nodes->time_ns);
}

static void describe(struct call_nodes *nodes, const struct call_node *node,
		     struct strobe_call *ret)
{
	const struct scope *scope = scope_at(nodes, node->scope);
	const struct strobe_module *module = module_of(nodes, scope->module);
	struct strobe_line line;
	*ret = (struct strobe_call){
		.kind = (enum strobe_call_kind)node->kind,
		.inlined = node->kind == STROBE_CALL_INLINED,
		.depth = node->depth,
		.frame_depth = node->frame_depth,
		.function_id = scope->function_id,
		.function = scope->name,
		.module = module ? module->name : NULL,
		.module_index = scope->module,
		.function_start = scope->start,
		.address = node->address,
		.from_id = node->from_id,
		.from_address = node->from_address,
		.first_id = node->first_id,
		.has_time = node->has_time,
		.first_time_ns = node->first_time_ns,
		.last_id = STROBE_NO_ID,
	};
	if (places_line(nodes->places, node->scope, node->address, &line)) {
		ret->file = line.file;
		ret->line = line.line;
		ret->column = line.column;
	}
}

/** Tells of all open calls up to `count` that the visitor does not know yet. */
static void tell_enter(struct call_nodes *nodes, size_t count)
{
	for (; nodes->told < count && !nodes->ended; nodes->told++) {
		struct strobe_call call;
		struct call_node *node = &nodes->nodes.items[nodes->told];
		if (!node->visible)
			continue;
		if (nodes->options.max_calls &&
		    nodes->summary->shown_count >= nodes->options.max_calls) {
			nodes->summary->limited = nodes->ended = true;
			return;
		}
		nodes->summary->shown_count++;
		describe(nodes, node, &call);
		if (nodes->visitor->enter && !nodes->visitor->enter(nodes->visitor->context, &call))
			nodes->ended = true;
	}
}

static void tell_leave(struct call_nodes *nodes, const struct call_node *node, uint64_t count,
		       enum strobe_call_end end)
{
	struct strobe_call call;
	describe(nodes, node, &call);
	call.end = end;
	call.instruction_count = count;
	call.own_count = count - node->inner_count;
	if (count) {
		call.last_id = nodes->last_id;
		call.last_address = nodes->last_address;
	}
	call.to_id = nodes->to_id;
	call.to_address = nodes->to_address;
	call.has_time &= nodes->has_time;
	call.last_time_ns = nodes->time_ns;
	if (nodes->visitor->leave && !nodes->visitor->leave(nodes->visitor->context, &call))
		nodes->ended = true;
}

static void close_last(struct call_nodes *nodes, enum strobe_call_end end)
{
	size_t last = nodes->nodes.count - 1;
	struct call_node *node = &nodes->nodes.items[last];
	uint64_t count = nodes->count - node->start_count;
	if (last > 0)
		nodes->nodes.items[last - 1].inner_count += count;
	if (node->visible && count >= nodes->options.min_instructions && !nodes->ended)
		tell_enter(nodes, last + 1);
	if (node->visible && nodes->told > last)
		tell_leave(nodes, node, count, end);
	nodes->shown_depth -= node->visible;
	nodes->nodes.count = last;
	if (nodes->told > last)
		nodes->told = last;
}

static void close_to(struct call_nodes *nodes, size_t count, enum strobe_call_end end)
{
	while (nodes->nodes.count > count)
		close_last(nodes, end);
}

/** Opens a call in the innermost one. */
static void open_node(struct call_nodes *nodes, uint32_t scope, enum strobe_call_kind kind,
		      uint64_t address)
{
	const struct call_node *outer =
		nodes->nodes.count ? &nodes->nodes.items[nodes->nodes.count - 1] : NULL;
	uint8_t matches = matches_of(nodes, scope);
	struct call_node node = {
		.scope = scope,
		.kind = (uint8_t)kind,
		.depth = nodes->shown_depth,
		.frame_depth = (uint32_t)nodes->frame_nodes.count - 1,
		.inside = (outer && outer->inside) || matches & MATCH_FUNCTION,
		.first_id = kind == STROBE_CALL_CALLER ? STROBE_NO_ID : nodes->to_id,
		.address = address,
		.from_id = nodes->last_id,
		.from_address = nodes->last_address,
		.start_count = nodes->count,
		.has_time = nodes->has_time,
		.first_time_ns = nodes->time_ns,
	};
	node.visible = node.inside && matches & MATCH_MODULE &&
		       (!nodes->options.max_depth || node.depth < nodes->options.max_depth);
	if (!array_push(&nodes->nodes, node)) {
		nodes->places->no_memory = nodes->ended = true;
		return;
	}
	nodes->shown_depth += node.visible;
	if (!nodes->options.min_instructions)
		tell_enter(nodes, nodes->nodes.count);
}

/** Opens what is inlined between the innermost open call and `scope`. */
static void open_inlined(struct call_nodes *nodes, uint32_t scope, uint64_t address,
			 enum strobe_call_kind kind)
{
	if (nodes->ended || nodes->nodes.items[nodes->nodes.count - 1].scope == scope)
		return;
	open_inlined(nodes, scope_at(nodes, scope)->parent, address, kind);
	if (nodes->ended)
		return;
	nodes->summary->inlined_count++;
	open_node(nodes, scope, kind, address);
}

static void open_frame(struct call_nodes *nodes, size_t index)
{
	static const uint8_t kinds[] = {
		[SHADOW_FIRST] = STROBE_CALL_FIRST,	    [SHADOW_CALLED] = STROBE_CALL_CALLED,
		[SHADOW_CALLER] = STROBE_CALL_CALLER,	    [SHADOW_TAIL] = STROBE_CALL_TAIL,
		[SHADOW_INTERRUPT] = STROBE_CALL_INTERRUPT, [SHADOW_SYSTEM] = STROBE_CALL_SYSTEM,
	};
	const struct shadow *shadow = &nodes->walk->shadow;
	const struct shadow_frame *frame = &shadow->frames.items[index];
	enum strobe_call_kind kind = (enum strobe_call_kind)kinds[frame->kind];
	uint64_t address = nodes->to_address;
	if (kind == STROBE_CALL_CALLER && index + 1 < shadow->frames.count)
		address = shadow->frames.items[index + 1].return_address;
	if (!array_push(&nodes->frame_nodes, (uint32_t)nodes->nodes.count)) {
		nodes->places->no_memory = nodes->ended = true;
		return;
	}
	open_node(nodes, scope_at(nodes, frame->place)->function, kind, address);
	if (kind == STROBE_CALL_CALLER && !nodes->ended)
		open_inlined(nodes, frame->place, address, STROBE_CALL_CALLER);
}

static void count_step(struct call_nodes *nodes, const struct shadow_step *step)
{
	const struct shadow *shadow = &nodes->walk->shadow;
	struct strobe_calls_summary *summary = nodes->summary;
	size_t had = nodes->frame_nodes.count;
	switch (step->move) {
	case SHADOW_PUSH:
		if (shadow->frames.items[shadow->frames.count - 1].kind == SHADOW_CALLED)
			summary->call_count++;
		else
			summary->interrupt_count++;
		break;
	case SHADOW_RETURN:
		summary->return_count++;
		break;
	case SHADOW_UNWIND:
		summary->unwound_count += had - step->keep;
		break;
	case SHADOW_SWAP:
		summary->tail_count += !step->returned;
		break;
	default:
		break;
	}
	if (shadow->frames.count > 0 && shadow->frames.count - 1 > summary->max_depth)
		summary->max_depth = (uint32_t)shadow->frames.count - 1;
}

static void tell_gap(struct call_nodes *nodes)
{
	if (!nodes->gap.text || nodes->ended)
		return;
	nodes->gap.depth = nodes->shown_depth;
	nodes->gap.to_id = nodes->to_id;
	nodes->gap.to_address = nodes->to_address;
	tell_enter(nodes, nodes->nodes.count);
	if (!nodes->ended && nodes->visitor->gap &&
	    !nodes->visitor->gap(nodes->visitor->context, &nodes->gap))
		nodes->ended = true;
	nodes->gap.text = NULL;
}

static enum strobe_call_end end_of_swapped(const struct shadow_step *step)
{
	if (step->move == SHADOW_GAP)
		return STROBE_CALL_LOST;
	return step->returned ? STROBE_CALL_RETURNED : STROBE_CALL_JUMPED;
}

static bool take_step(void *context, const struct shadow_step *step, uint64_t id, uint64_t address)
{
	static const uint8_t ends[] = {
		[SHADOW_STAY] = STROBE_CALL_RETURNED,  [SHADOW_PUSH] = STROBE_CALL_RETURNED,
		[SHADOW_SWAP] = STROBE_CALL_JUMPED,    [SHADOW_RETURN] = STROBE_CALL_RETURNED,
		[SHADOW_UNWIND] = STROBE_CALL_UNWOUND, [SHADOW_GAP] = STROBE_CALL_LOST,
	};
	struct call_nodes *nodes = context;
	size_t first = step->swapped ? step->keep - 1 : step->keep;
	count_step(nodes, step);
	go_to(nodes, id, address);
	if (first < nodes->frame_nodes.count) {
		if (step->keep < nodes->frame_nodes.count)
			close_to(nodes, nodes->frame_nodes.items[step->keep],
				 (enum strobe_call_end)ends[step->move]);
		close_to(nodes, nodes->frame_nodes.items[first], end_of_swapped(step));
		nodes->frame_nodes.count = first;
	}
	if (step->move == SHADOW_GAP)
		tell_gap(nodes);
	for (size_t i = first; i < nodes->walk->shadow.frames.count && !nodes->ended; i++)
		open_frame(nodes, i);
	return !nodes->ended;
}

/** Is `scope` the same as `inner`, or around it? */
static bool holds(const struct call_nodes *nodes, uint32_t scope, uint32_t inner)
{
	uint32_t depth = scope_at(nodes, scope)->depth;
	while (scope_at(nodes, inner)->depth > depth)
		inner = scope_at(nodes, inner)->parent;
	return inner == scope;
}

/** Execution goes on in another scope of the same frame. */
static void change_scope(struct call_nodes *nodes, uint32_t scope, uint64_t id, uint64_t address)
{
	size_t base = nodes->frame_nodes.items[nodes->frame_nodes.count - 1];
	go_to(nodes, id, address);
	while (nodes->nodes.count > base + 1 &&
	       !holds(nodes, nodes->nodes.items[nodes->nodes.count - 1].scope, scope))
		close_last(nodes, STROBE_CALL_RETURNED);
	if (!holds(nodes, nodes->nodes.items[nodes->nodes.count - 1].scope, scope)) {
		close_last(nodes, STROBE_CALL_JUMPED); // from one nameless module into another
		open_node(nodes, scope_at(nodes, scope)->function, STROBE_CALL_TAIL, address);
	}
	if (!nodes->ended)
		open_inlined(nodes, scope, address, STROBE_CALL_INLINED);
}

static bool take_piece(void *context, const struct walk_piece *piece)
{
	struct call_nodes *nodes = context;
	const struct place *place = piece->place;
	uint32_t at = piece->skip, end = piece->skip + piece->count;
	for (uint32_t i = piece->segment; i < piece->segment_end && at < end; i++) {
		const struct place_segment *segment = &place->segments[i];
		uint32_t until = i + 1 < place->segment_count && place->segments[i + 1].first < end
					 ? place->segments[i + 1].first
					 : end;
		if (nodes->nodes.items[nodes->nodes.count - 1].scope != segment->scope) {
			if (at > piece->skip)
				nodes->last_address = segment->before;
			change_scope(nodes, segment->scope, piece->first_id + (at - piece->skip),
				     at > piece->skip ? segment->address : piece->address);
			if (nodes->ended)
				return false;
		}
		nodes->count += until - at;
		nodes->last_id = piece->first_id + (until - 1 - piece->skip);
		at = until;
	}
	nodes->last_address = piece->last_address;
	return true;
}

/** It is told when it is known what goes on behind it. */
static bool take_gap(void *context, uint64_t first_id, uint64_t last_id, const char *text)
{
	struct call_nodes *nodes = context;
	nodes->summary->gap_count++;
	free(nodes->gap_text);
	nodes->gap_text = strdup(text);
	nodes->gap = (struct strobe_call_gap){.first_id = first_id,
					      .last_id = last_id,
					      .text = nodes->gap_text ? nodes->gap_text : "",
					      .from_id = nodes->last_id,
					      .from_address = nodes->last_address};
	return !nodes->ended;
}

struct walk_ops call_nodes_ops(struct call_nodes *nodes)
{
	return (struct walk_ops){
		.step = take_step, .piece = take_piece, .gap = take_gap, .context = nodes};
}

struct strobe_error *call_nodes_init(struct call_nodes *nodes, struct walk *walk,
				     const struct strobe_calls_options *options,
				     const struct strobe_calls_visitor *visitor,
				     struct strobe_calls_summary *summary)
{
	*nodes = (struct call_nodes){.walk = walk,
				     .places = walk->places,
				     .options = *options,
				     .visitor = visitor,
				     .summary = summary,
				     .last_id = STROBE_NO_ID,
				     .to_id = STROBE_NO_ID};
	struct strobe_error *error =
		filter_init(&nodes->filter, strobe_symbols_view(walk->places->symbols),
			    options->match, options->function, options->module);
	if (!error && options->times)
		error = strobe_cursor_clone(walk->cursor, &nodes->clock);
	return error;
}

void call_nodes_fini(struct call_nodes *nodes)
{
	array_fini(&nodes->nodes);
	array_fini(&nodes->frame_nodes);
	array_fini(&nodes->matches);
	filter_fini(&nodes->filter);
	strobe_cursor_close(nodes->clock);
	free(nodes->gap_text);
}

void call_nodes_end(struct call_nodes *nodes)
{
	nodes->to_address = 0;
	nodes->to_id = STROBE_NO_ID;
	nodes->has_time = time_of(nodes, nodes->last_id, &nodes->time_ns);
	tell_gap(nodes);
	close_to(nodes, 0, STROBE_CALL_RUNNING);
	nodes->summary->instruction_count = nodes->count;
}
