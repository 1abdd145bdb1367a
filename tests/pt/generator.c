// SPDX-License-Identifier: Apache-2.0
#include "generator.h"

#include <intel-pt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void must(struct strobe_error *error)
{
	if (!error)
		return;
	fprintf(stderr, "generator: %s (%s)\n", strobe_error_message(error),
		strobe_error_origin(error));
	abort();
}

static void require(bool done)
{
	if (done)
		return;
	fprintf(stderr, "generator: out of memory\n");
	abort();
}

uint64_t chance_next(struct chance *chance)
{
	// Steele, Lea, Flood: splitmix64.
	uint64_t z = chance->state += UINT64_C(0x9e3779b97f4a7c15);
	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

unsigned chance_below(struct chance *chance, unsigned limit)
{
	return (unsigned)(chance_next(chance) % limit);
}

static uint64_t pick(struct walk *walk)
{
	const struct program *program = walk->program;
	return program->steps.items[chance_below(&walk->chance, (unsigned)program->steps.count)]
		.address;
}

static bool tick(void *context, uint64_t *ret)
{
	struct walk *walk = context;
	*ret = walk->clock;
	return walk->options.timed;
}

void walk_begin(struct walk *walk, const struct program *program,
		const struct walk_options *options)
{
	*walk = (struct walk){.program = program, .options = *options};
	walk->chance.state = options->seed;
	walk->clock = options->clock;
	walk->at = program->steps.items[0].address;
	walk->options.writer.clock = tick;
	walk->options.writer.context = walk;
	must(pt_writer_new(&walk->options.writer, &walk->writer));
}

void walk_done(struct walk *walk)
{
	walk->writer = pt_writer_free(walk->writer);
	array_fini(&walk->calls);
	array_fini(&walk->items);
}

static void note(struct walk *walk, const struct expected_item *item)
{
	size_t offset;
	pt_writer_bytes(walk->writer, &offset);
	require(array_push(&walk->items, *item));
	walk->items.items[walk->items.count - 1].offset = offset;
	walk->items.items[walk->items.count - 1].clock = walk->clock;
}

void walk_expect(struct walk *walk, enum strobe_event_type type, uint64_t address, uint64_t value)
{
	struct expected_item item = {
		.is_event = true, .type = type, .address = address, .value = value};
	note(walk, &item);
}

void walk_enable(struct walk *walk)
{
	must(pt_writer_enable(walk->writer, walk->at));
	walk_expect(walk, STROBE_EVENT_ENABLED, walk->at, 0);
	walk->last_cycle = walk->clock;
	walk->enabled = true;
}

void walk_disable(struct walk *walk)
{
	must(pt_writer_async_disable(walk->writer, walk->at));
	walk_expect(walk, STROBE_EVENT_DISABLED_SOFTWARE, walk->at, 0);
	walk->enabled = false;
}

// Behind some call, as all code that is returned to.
static uint64_t pick_behind_call(struct walk *walk)
{
	const struct program *program = walk->program;
	size_t count = program->steps.count, start = chance_below(&walk->chance, (unsigned)count);
	for (size_t i = 0; i + 1 < count; i++) {
		size_t at = (start + i) % (count - 1);
		if (program->steps.items[at].flow == STROBE_FLOW_CALL)
			return program->steps.items[at + 1].address;
	}
	return pick(walk);
}

static uint64_t return_to(struct walk *walk)
{
	uint64_t open = 0;
	if (walk->calls.count)
		open = walk->calls.items[--walk->calls.count];
	if (!open || chance_below(&walk->chance, 100) >= walk->options.follow_returns)
		return pick_behind_call(walk);
	return open;
}

/** Where `step` goes. */
static uint64_t choose(struct walk *walk, const struct pt_step *step)
{
	uint64_t end = step->address + step->size_bytes;
	switch (step->flow) {
	case STROBE_FLOW_COND_JUMP:
		return chance_below(&walk->chance, 2) ? step->target : end;
	case STROBE_FLOW_CALL:
		require(array_push(&walk->calls, end));
		return step->has_target ? step->target : pick(walk);
	case STROBE_FLOW_JUMP:
		return step->has_target ? step->target : pick(walk);
	case STROBE_FLOW_RETURN:
		return return_to(walk);
	default:
		return end;
	}
}

static void put_cycles(struct walk *walk)
{
	struct pt_packet packet = {.type = ppt_cyc};
	packet.payload.cyc.value = walk->clock - walk->last_cycle;
	if (!walk->options.cycles || !packet.payload.cyc.value)
		return;
	walk->last_cycle = walk->clock;
	walk_packet(walk, &packet);
}

/** Time passes by an instruction. */
static void advance(struct walk *walk)
{
	struct pt_packet packet = {.type = ppt_mtc};
	const struct walk_options *options = &walk->options;
	uint64_t before = walk->clock;
	walk->clock += options->clock_step;
	walk->instruction_count++;
	if (!walk->enabled || !options->mtc_shift || !options->writer.crystal_ratio)
		return;
	uint64_t ticks = walk->clock / options->writer.crystal_ratio >> options->mtc_shift;
	if (ticks == before / options->writer.crystal_ratio >> options->mtc_shift)
		return;
	put_cycles(walk);
	packet.payload.mtc.ctc = (uint8_t)ticks;
	walk_packet(walk, &packet);
}

// Deep recursion: where a return is to be avoided, an interrupt goes elsewhere.
static bool avoid(struct walk *walk, const struct pt_step *step)
{
	return step->flow == STROBE_FLOW_RETURN &&
	       chance_below(&walk->chance, 100) < walk->options.deeper;
}

static void step_once(struct walk *walk, const uint64_t *payload)
{
	const struct pt_step *step = program_at(walk->program, walk->at);
	if (walk->enabled && avoid(walk, step)) {
		walk_interrupt(walk);
		step = program_at(walk->program, walk->at);
	}
	struct expected_item item = {.address = step->address};
	bool call = step->flow == STROBE_FLOW_FAR_CALL;
	if (walk->enabled && payload)
		must(pt_writer_ptwrite(walk->writer, step->address, *payload));
	if (walk->enabled)
		note(walk, &item);
	if (walk->enabled && payload)
		walk_expect(walk, STROBE_EVENT_PTWRITE, step->address, *payload);
	walk->at = choose(walk, step);
	advance(walk);
	if (!walk->enabled)
		return;
	if (!call) {
		must(pt_writer_step(walk->writer, step, walk->at));
		return;
	}
	must(pt_writer_disable(walk->writer, step, 0));
	walk_expect(walk, STROBE_EVENT_DISABLED_HARDWARE, 0, 0);
	walk->enabled = false;
	walk_enable(walk);
}

void walk_run(struct walk *walk, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		step_once(walk, NULL);
}

/** Where a step leaves to: a place that was not passed since the last packet, as nothing outside was. */
static uint64_t choose_exit(struct walk *walk, const struct pt_step *step)
{
	uint64_t to = choose(walk, step);
	if (step->flow == STROBE_FLOW_COND_JUMP && to < step->address)
		return step->address + step->size_bytes;
	if (step->flow == STROBE_FLOW_RETURN ||
	    (!step->has_target &&
	     (step->flow == STROBE_FLOW_JUMP || step->flow == STROBE_FLOW_CALL)))
		return walk->program->base + 2 * walk->program->code.count + 64;
	return to;
}

void walk_leave(struct walk *walk)
{
	const struct pt_step *step = program_at(walk->program, walk->at);
	uint64_t end = step->address + step->size_bytes;
	struct expected_item item = {.address = step->address};
	note(walk, &item);
	uint64_t to = choose_exit(walk, step);
	advance(walk);
	walk->enabled = false;
	walk->at = pick(walk);
	must(pt_writer_disable(walk->writer, step, to));
	if (step->flow == STROBE_FLOW_OTHER ||
	    (step->flow == STROBE_FLOW_COND_JUMP && to != step->target)) {
		walk_expect(walk, STROBE_EVENT_DISABLED_SOFTWARE, end, 0);
		return;
	}
	walk_expect(walk, STROBE_EVENT_DISABLED_HARDWARE, 0, 0);
	if (step->flow != STROBE_FLOW_FAR_CALL)
		walk->items.items[walk->items.count - 1].target = to;
}

bool walk_until(struct walk *walk, enum strobe_flow flow)
{
	for (unsigned i = 0; i < 100000; i++) {
		if (program_at(walk->program, walk->at)->flow == flow)
			return true;
		step_once(walk, NULL);
	}
	return false;
}

void walk_interrupt(struct walk *walk)
{
	uint64_t to = pick(walk);
	must(pt_writer_async_branch(walk->writer, walk->at, to));
	walk_expect(walk, STROBE_EVENT_ASYNC_BRANCH, walk->at, 0);
	walk->items.items[walk->items.count - 1].target = to;
	walk->at = to;
}

void walk_skip(struct walk *walk, unsigned count)
{
	walk_disable(walk);
	walk_run(walk, count);
	walk_enable(walk);
}

void walk_overflow(struct walk *walk, unsigned count)
{
	struct pt_packet overflow = {.type = ppt_ovf}, fup = {.type = ppt_fup};
	bool enabled = walk->enabled;
	// Behind its last branch nobody knows how far it ran: the packets are lost right there.
	if (enabled && walk_until(walk, STROBE_FLOW_COND_JUMP))
		walk_run(walk, 1);
	walk->enabled = false;
	walk_run(walk, count);
	walk->enabled = enabled;
	walk_packet(walk, &overflow);
	if (enabled) {
		fup.payload.ip.ipc = pt_ipc_sext_48;
		fup.payload.ip.ip = walk->at & UINT64_C(0xffffffffffff);
		walk_packet(walk, &fup);
	}
	walk_expect(walk, STROBE_EVENT_DISABLED_SOFTWARE, enabled ? walk->at : 0, 0);
	walk->items.items[walk->items.count - 1].is_event = false;
	walk->items.items[walk->items.count - 1].is_error = true;
}

void walk_ptwrite(struct walk *walk, uint64_t payload)
{
	if (walk->enabled) {
		step_once(walk, &payload);
		return;
	}
	must(pt_writer_ptwrite(walk->writer, 0, payload));
	walk_expect(walk, STROBE_EVENT_PTWRITE, 0, payload);
}

void walk_packet(struct walk *walk, const void *packet)
{
	must(pt_writer_packet(walk->writer, packet));
}

const uint8_t *walk_end(struct walk *walk, size_t *size)
{
	if (walk->enabled)
		walk_disable(walk);
	return pt_writer_bytes(walk->writer, size);
}

size_t find_psb(const uint8_t *bytes, size_t size, size_t from)
{
	static const uint8_t psb[16] = {2, 0x82, 2, 0x82, 2, 0x82, 2, 0x82,
					2, 0x82, 2, 0x82, 2, 0x82, 2, 0x82};
	const uint8_t *found =
		from < size ? memmem(bytes + from, size - from, psb, sizeof(psb)) : NULL;
	return found ? (size_t)(found - bytes) : size;
}
