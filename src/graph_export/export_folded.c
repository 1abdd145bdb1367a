// SPDX-License-Identifier: Apache-2.0
// Folded stacks (Brendan Gregg's FlameGraph) of dominators: a line has who holds it, from the root on, and bytes.

#include "base/error.h"
#include "graph_export/export.h"
#include "graph_export/fold.h"
#include "graph_export/output.h"

enum { DEPTH_LIMIT = 500, DEFAULT_LINES = 100000 };

/** Names separate at ';', and the weight at the last blank. */
static void put_name(struct output *out, const char *name)
{
	for (; *name; name++)
		output_char(out, *name == ';' ? ':' : (unsigned char)*name < 0x20 ? '?' : *name);
}

/** Writes the stack that ends with group `index`. `above` has room for DEPTH_LIMIT + 4 groups. */
static void put_stack(struct output *out, const struct fold *fold, uint32_t index, uint32_t *above)
{
	size_t depth = 0;
	for (; index != FOLD_NONE; index = fold->groups.items[index].parent)
		above[depth++] = index;
	while (depth) {
		put_name(out, fold_name(fold, &fold->groups.items[above[--depth]]));
		if (depth)
			output_char(out, ';');
	}
}

static struct strobe_error *write_stacks(const struct export_job *job, const struct fold *fold)
{
	struct output out;
	uint32_t above[DEPTH_LIMIT + 4];
	struct strobe_error *error = output_open(&out, job->path);
	if (error)
		return error;
	for (size_t i = 0; i < fold->groups.count; i++) {
		if (!fold->groups.items[i].self_bytes)
			continue;
		put_stack(&out, fold, (uint32_t)i, above);
		output_char(&out, ' ');
		output_unsigned(&out, fold->groups.items[i].self_bytes);
		output_char(&out, '\n');
	}
	return output_commit(&out);
}

struct strobe_error *graph_export_folded(const struct export_job *job)
{
	const struct fold_options options = {
		.node = (uint32_t)job->options.node,
		.alone_bytes = UINT64_MAX,
		.max_depth = DEPTH_LIMIT,
		.max_groups = job->options.max_nodes ? job->options.max_nodes : DEFAULT_LINES,
		.with_unreachable = job->options.with_unreachable,
	};
	struct fold fold;
	struct strobe_error *error = fold_make(&fold, job, &options);
	if (!error)
		error = write_stacks(job, &fold);
	fold_fini(&fold);
	return error;
}
