// SPDX-License-Identifier: Apache-2.0
#ifndef FLOW_CALL_NODES_H
#define FLOW_CALL_NODES_H

// The calls that are open while a walk goes on, real and inlined ones, and the telling of them.
//
// Invariants:
//  1. nodes are the open calls, outermost first; frame_nodes[i] is the real call of shadow frame i, and those
//     between it and frame_nodes[i + 1] are inlined into it, each into the one before.
//  2. The visitor was told of nodes[0, told) that are visible, and of no others.

#include <strobe/calls.h>

#include "base/array.h"
#include "flow/filter.h"
#include "flow/walk.h"

struct call_node {
	uint32_t scope;
	uint32_t depth; // as shown; valid if visible
	uint32_t frame_depth;
	uint8_t kind;
	bool visible; // a filter lets it through
	bool inside;  // it, or one around it, is a function that is asked for
	bool has_time;
	double first_time_ns;
	uint64_t first_id, address, from_id, from_address;
	uint64_t start_count; // instructions before it
	uint64_t inner_count; // instructions in calls in it, that have ended
};

struct call_nodes {
	struct walk *walk;
	struct places *places;
	struct strobe_cursor *clock; // for times inside runs; NULL = no times are asked for
	struct strobe_calls_options options;
	const struct strobe_calls_visitor *visitor;
	struct strobe_calls_summary *summary;
	struct filter filter;
	ARRAY(struct call_node) nodes;
	ARRAY(uint32_t) frame_nodes;
	ARRAY(uint8_t) matches; // by scope: what the filters say of it, once known
	size_t told;
	uint32_t shown_depth; // visible nodes
	uint64_t count;	      // instructions so far
	uint64_t last_id, last_address;
	uint64_t to_address; // where execution goes on
	bool has_time;	     // of `to_id`
	double time_ns;
	uint64_t to_id;
	struct strobe_call_gap gap; // that is to be told; text NULL = none
	char *gap_text;
	bool ended;
};

struct strobe_error *call_nodes_init(struct call_nodes *nodes, struct walk *walk,
				     const struct strobe_calls_options *options,
				     const struct strobe_calls_visitor *visitor,
				     struct strobe_calls_summary *summary) STROBE_MUST_CHECK;
void call_nodes_fini(struct call_nodes *nodes);
/** What the walk is to tell. */
struct walk_ops call_nodes_ops(struct call_nodes *nodes);
/** The walk is over: those that are open are left. */
void call_nodes_end(struct call_nodes *nodes);

#endif
