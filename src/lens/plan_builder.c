// SPDX-License-Identifier: Apache-2.0
#include "lens/plan_builder.h"

#include <string.h>

#include "base/error.h"
#include "lens/builder.h"

struct lens *plan_lens(const struct plan_builder *builder)
{
	return builder->lens;
}

struct strobe_symbols *plan_symbols(const struct plan_builder *builder)
{
	return builder->lens->symbols;
}

uint64_t plan_base(const struct plan_builder *builder)
{
	return builder->base;
}

void *plan_memory(struct plan_builder *builder, size_t size)
{
	void *memory = arena_alloc(&builder->lens->arena, size);
	if (!memory)
		builder->failed = true;
	return memory;
}

/** Whether steps follow that belong to this one. */
static bool has_span(const struct plan_step *step)
{
	return step->kind == PLAN_REPEAT || step->kind == PLAN_FLEXIBLE || step->kind == PLAN_IF ||
	       step->kind == PLAN_BASE;
}

size_t plan_add(struct plan_builder *builder, const struct plan_step *step)
{
	struct plan_step copy = *step;
	bool span = has_span(step);
	// One step is kept for the scan of what is left.
	if (builder->steps.count + !builder->last >= PLAN_STEP_LIMIT ||
	    builder->base + step->offset > UINT32_MAX ||
	    (span && builder->open == PLAN_NESTING_LIMIT))
		builder->full = true;
	if (builder->full || builder->failed)
		return SIZE_MAX;
	copy.offset = (uint32_t)(builder->base + step->offset);
	copy.span = 0;
	if (!array_push(&builder->steps, copy)) {
		builder->failed = true;
		return SIZE_MAX;
	}
	builder->flexible |= step->kind == PLAN_FLEXIBLE && builder->open == 0;
	if (span) {
		builder->bases[builder->open++] = builder->base;
		if (step->kind != PLAN_IF)
			builder->base = 0;
	}
	return builder->steps.count - 1;
}

void plan_end(struct plan_builder *builder, size_t number)
{
	if (number == SIZE_MAX)
		return;
	builder->base = builder->bases[--builder->open];
	struct plan_step *step = &builder->steps.items[number];
	step->span = (uint32_t)(builder->steps.count - number - 1);
	if (step->span == 0)
		builder->steps.count = number;
}

void plan_scan(struct plan_builder *builder, uint64_t offset, uint64_t size_bytes)
{
	if (offset > UINT32_MAX) {
		builder->full = true;
		return;
	}
	plan_add(builder, &(struct plan_step){
				  .kind = PLAN_SCAN, .offset = (uint32_t)offset, .a = size_bytes});
}

uint32_t lens_own_type(struct lens *lens, const struct lens_own_type *own)
{
	uint64_t fingerprint = hash_bytes(own->name, strlen(own->name)) ^ UINT64_C(0x6f776e);
	struct lens_entry *entry = lens_lookup(lens, own->name, fingerprint);
	if (entry)
		return entry->id;
	entry = lens_add(lens, own->name, fingerprint);
	if (!entry)
		return LENS_TYPE_NONE;
	entry->type.language = own->language;
	entry->type.size_bytes = own->size_bytes;
	entry->build = own->build;
	entry->place_name = own->place_name;
	entry->data = own->data;
	return entry->id;
}

uint32_t plan_own_type(struct plan_builder *builder, const char *name, uint64_t size_bytes,
		       void (*build)(struct plan_builder *builder, const void *data),
		       const void *data)
{
	return lens_own_type(
		builder->lens,
		&(struct lens_own_type){.name = name,
					.language = builder->entry ? builder->entry->type.language
								   : "C++",
					.size_bytes = size_bytes,
					.build = build,
					.data = data});
}

void plan_give_up(struct plan_builder *builder, size_t begin, uint64_t offset)
{
	uint64_t size = builder->entry->type.size_bytes;
	builder->full = false;
	builder->last = true;
	builder->steps.count = begin;
	builder->base = 0;
	builder->open = 0;
	if (offset < size)
		plan_scan(builder, offset, size - offset);
}

static void build(struct plan_builder *builder)
{
	struct lens_entry *entry = builder->entry;
	if (entry->storage)
		plan_scan(builder, 0, UINT64_MAX);
	else if (entry->build)
		entry->build(builder, entry->data);
	else
		plan_object(builder, entry->type.type);
	if (builder->full)
		plan_give_up(builder, 0, 0);
}

/** See lens_entry.plain. */
static bool is_plain(const struct lens_entry *entry)
{
	for (uint32_t i = 0; i < entry->plan.step_count; i++) {
		const struct plan_step *step = &entry->plan.steps[i];
		if (step->kind != PLAN_POINTER || step->type == 0 || step->self ||
		    step->offset + UINT64_C(8) > entry->type.size_bytes)
			return false;
	}
	return true;
}

/** See lens_entry.holds. */
static bool holds(const struct lens_entry *entry)
{
	for (uint32_t i = 0; i < entry->plan.step_count; i++)
		if (entry->plan.steps[i].call == cplus_held_walk)
			return true;
	return false;
}

static struct strobe_error *compile(struct lens *lens, struct lens_entry *entry)
{
	struct plan_builder builder = {.lens = lens, .entry = entry, .tail = true};
	struct plan_step *steps = NULL;
	build(&builder);
	size_t count = builder.steps.count;
	if (count > 0) {
		steps = arena_alloc(&lens->arena, count * sizeof(*steps));
		if (steps)
			memcpy(steps, builder.steps.items, count * sizeof(*steps));
	}
	array_fini(&builder.steps);
	if (builder.failed || lens->failed || (count > 0 && !steps)) {
		lens->failed = false;
		return error_no_memory();
	}
	entry->plan =
		(struct plan){.step_count = (uint32_t)count, .leaf = count == 0, .steps = steps};
	entry->flexible = builder.flexible;
	entry->plain = is_plain(entry);
	entry->holds = holds(entry);
	entry->type.plan = &entry->plan;
	return NULL;
}

struct strobe_error *lens_compile(struct lens *lens)
{
	while (lens->compiled < lens->count) {
		struct strobe_error *error = compile(lens, lens_entry(lens, lens->compiled + 1));
		if (error)
			return error;
		lens->compiled++;
	}
	if (lens->failed) { // types that could not be registered
		lens->failed = false;
		return error_no_memory();
	}
	return NULL;
}
