// SPDX-License-Identifier: Apache-2.0
// Folded stacks (Brendan Gregg's FlameGraph): a tree of distinct stacks, written when all is counted.

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/error.h"
#include "base/hash.h"
#include "flow/export.h"
#include "flow/export_output.h"
#include "flow/timeline.h"

enum { NODE_NONE = 0 };

/** A distinct stack. Node 0 is the root; children have higher indexes than their parents. */
struct node {
	const char *name;
	uint32_t parent;
	double weight; // of it alone
};

/** A call that is open. */
struct frame {
	uint32_t node;
	double time_ns;
	double below; // weight of what it called, as far as that has nodes of its own
};

struct folding {
	struct export_job *job;
	ARRAY(struct node) nodes;
	ARRAY(struct frame) frames;
	struct hash children; // parent and name -> node
	uint64_t from_id;
};

static uint64_t child_key(uint32_t parent, const char *name)
{
	return hash_bytes(name, strlen(name)) + (uint64_t)parent * UINT64_C(0x9e3779b97f4a7c15);
}

/** The child of `parent` called `name`; NODE_NONE when memory is short. */
static uint32_t child(struct folding *folding, uint32_t parent, const char *name)
{
	uint64_t key = child_key(parent, name);
	void *known;
	for (; (known = hash_get(&folding->children, key)); key++) {
		const struct node *node = &folding->nodes.items[(uintptr_t)known];
		if (node->parent == parent && strcmp(node->name, name) == 0)
			return (uint32_t)(uintptr_t)known;
	}
	struct node added = {.name = name, .parent = parent};
	uintptr_t index = folding->nodes.count;
	if (index >= UINT32_MAX || !array_push(&folding->nodes, added) ||
	    !hash_put(&folding->children, key, (void *)index))
		return NODE_NONE;
	return (uint32_t)index;
}

static struct strobe_error *begin(void *context, const struct strobe_call *call, const char *name,
				  double time_ns)
{
	struct folding *folding = context;
	uint32_t parent = folding->frames.items[folding->frames.count - 1].node;
	struct frame frame = {.node = child(folding, parent, name), .time_ns = time_ns};
	if (frame.node == NODE_NONE || !array_push(&folding->frames, frame))
		return error_no_memory();
	return NULL;
}

static struct strobe_error *end(void *context, const struct strobe_call *call, const char *name,
				double time_ns)
{
	struct folding *folding = context;
	struct frame *frame = &folding->frames.items[folding->frames.count - 1];
	double whole = folding->job->options.by_time ? time_ns - frame->time_ns
						     : (double)call->instruction_count;
	folding->nodes.items[frame->node].weight += whole - frame->below;
	folding->frames.count--;
	folding->frames.items[folding->frames.count - 1].below += whole;
	return NULL;
}

static struct strobe_error *note(void *context, const struct timeline_note *note)
{
	return NULL;
}

// Names separate at ';', and the weight at the last blank.
static void put_name(FILE *out, const char *name)
{
	for (; *name; name++)
		putc(*name == ';' ? ':' : (unsigned char)*name < 0x20 ? '?' : *name, out);
}

static void put_stack(struct folding *folding, FILE *out, uint32_t node)
{
	// A stack is written from its outermost function on: frames are free by now.
	folding->frames.count = 0;
	for (; node != NODE_NONE; node = folding->nodes.items[node].parent) {
		struct frame frame = {.node = node};
		if (!array_push(&folding->frames, frame))
			return;
	}
	while (folding->frames.count) {
		put_name(out,
			 folding->nodes.items[folding->frames.items[--folding->frames.count].node]
				 .name);
		if (folding->frames.count)
			putc(';', out);
	}
}

static struct strobe_error *write_stacks(struct folding *folding)
{
	struct export_output output;
	struct strobe_error *error = export_output_open(&output, folding->job->path);
	if (error)
		return error;
	for (size_t i = 1; i < folding->nodes.count; i++) {
		double weight = folding->nodes.items[i].weight + 0.5;
		if (weight < 1)
			continue;
		put_stack(folding, output.out, (uint32_t)i);
		fprintf(output.out, " %" PRIu64 "\n", (uint64_t)weight);
		folding->job->summary.stacks++;
	}
	return export_output_commit(&output, &folding->job->summary.bytes);
}

static struct strobe_error *fold(struct folding *folding)
{
	struct export_job *job = folding->job;
	const struct timeline_sink sink = {begin, end, note, folding};
	struct node root = {.name = ""};
	struct frame bottom = {.node = NODE_NONE};
	if (!array_push(&folding->nodes, root) || !array_push(&folding->frames, bottom))
		return error_no_memory();
	job->options.no_events = true;
	for (size_t i = job->first_thread; i < job->end_thread; i++) {
		struct strobe_error *error = timeline_walk(job->trace, job->symbols, i,
							   &job->options, &sink, &job->summary);
		if (error)
			return error;
	}
	return write_stacks(folding);
}

struct strobe_error *export_folded(struct export_job *job)
{
	struct folding folding = {.job = job};
	struct strobe_error *error = fold(&folding);
	array_fini(&folding.nodes);
	array_fini(&folding.frames);
	hash_fini(&folding.children);
	return error;
}
