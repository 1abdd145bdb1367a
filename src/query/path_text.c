// SPDX-License-Identifier: Apache-2.0
// A path as people read it.

#include <inttypes.h>
#include <string.h>
#include <strobe/graph_paths.h>

#include "query/node_name.h"

// What is written of a step; "" if nothing is: a block that a variable points to goes by the variable's name.
static void step_text(const struct strobe_path_step *step, struct text *ret)
{
	if (step->edge && *step->edge)
		text_append(ret, step->edge);
	else if (step->name)
		node_name_append(step->kind, step->name, ret);
	if (step->guessed) {
		if (!ret->size)
			text_append(ret, "*");
		text_append(ret, "?");
	}
}

static void put(struct text *text, const struct text *part, uint64_t times)
{
	if (!part->size)
		return;
	if (text->size)
		text_append(text, " > ");
	text_append(text, text_string(part));
	if (times > 1)
		text_printf(text, " (%" PRIu64 " times)", times);
}

char *strobe_path_text(const struct strobe_path *path)
{
	struct text text = {0};
	cleanup_text struct text part = {0}, last = {0};
	uint64_t times = 0;
	for (size_t i = 0; i < path->count; i++) {
		text_truncate(&part, 0);
		step_text(&path->steps[i], &part);
		if (times && part.size && strcmp(text_string(&part), text_string(&last)) == 0) {
			times++;
			continue;
		}
		put(&text, &last, times);
		text_truncate(&last, 0);
		text_append(&last, text_string(&part));
		times = 1;
	}
	put(&text, &last, times);
	text.failed |= part.failed || last.failed;
	return text_steal(&text);
}
