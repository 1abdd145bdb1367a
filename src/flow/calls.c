// SPDX-License-Identifier: Apache-2.0
#include "flow/calls.h"

#include "base/error.h"
#include "flow/call_nodes.h"

const char *strobe_call_kind_name(enum strobe_call_kind kind)
{
	static const char *const names[] = {"first",	 "call",   "caller", "tail",
					    "interrupt", "system", "inlined"};
	return (size_t)kind < sizeof(names) / sizeof(names[0]) ? names[kind] : NULL;
}

const char *strobe_call_end_name(enum strobe_call_end end)
{
	static const char *const names[] = {"open", "return", "jump", "unwound", "gap", "running"};
	return (size_t)end < sizeof(names) / sizeof(names[0]) ? names[end] : NULL;
}

static struct strobe_error *check(const struct strobe_trace *trace, size_t thread_index,
				  const struct strobe_symbols *symbols,
				  const struct strobe_calls_options *options)
{
	if (options->size != sizeof(*options))
		return error_new(STROBE_ERROR_INVALID, "options are of another version");
	return places_check(trace, thread_index, symbols);
}

/** Two walks: who called what was running at the beginning and behind gaps is known at the end only. */
static struct strobe_error *walk_twice(struct walk *walk, struct call_nodes *nodes, uint64_t end_id)
{
	struct shadow_plan plan = {0};
	uint64_t first_id = nodes->options.first_id;
	struct strobe_error *error = walk_plan(walk->cursor, walk->places, first_id, end_id, &plan);
	if (!error) {
		walk->shadow.plan = &plan;
		walk->ops = call_nodes_ops(nodes);
		error = walk_items(walk, first_id, end_id);
	}
	if (!error)
		call_nodes_end(nodes);
	shadow_plan_fini(&plan);
	return error;
}

struct strobe_error *calls_walk(struct strobe_trace *trace, size_t thread_index,
				struct places *places, const struct strobe_calls_options *options,
				const struct strobe_calls_visitor *visitor,
				struct strobe_calls_summary *ret)
{
	struct call_nodes nodes;
	struct walk walk = {.places = places};
	struct strobe_error *error = strobe_cursor_open(trace, thread_index, &walk.cursor);
	if (error)
		return error;
	uint64_t count = strobe_trace_thread(trace, thread_index)->item_count;
	uint64_t end_id = options->end_id && options->end_id < count ? options->end_id : count;
	*ret = (struct strobe_calls_summary){0};
	error = call_nodes_init(&nodes, &walk, options, visitor, ret);
	if (!error)
		error = walk_twice(&walk, &nodes, end_id);
	call_nodes_fini(&nodes);
	shadow_fini(&walk.shadow);
	strobe_cursor_close(walk.cursor);
	return error;
}

struct strobe_error *strobe_calls_walk(struct strobe_trace *trace, size_t thread_index,
				       struct strobe_symbols *symbols,
				       const struct strobe_calls_options *options,
				       const struct strobe_calls_visitor *visitor,
				       struct strobe_calls_summary *ret)
{
	struct places places;
	struct strobe_error *error = check(trace, thread_index, symbols, options);
	if (error)
		return error;
	places_init(&places, symbols, options->no_inlined);
	error = calls_walk(trace, thread_index, &places, options, visitor, ret);
	places_fini(&places);
	return error;
}
