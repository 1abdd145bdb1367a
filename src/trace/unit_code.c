// SPDX-License-Identifier: Apache-2.0
#include "trace/unit_code.h"

#include <assert.h>
#include <string.h>

enum {
	NEXT_BLOCK = 1 << 0, // part 0, cut 0 of the block behind
	NEXT_PART = 1 << 1,  // cut 0 of the part behind
	NEW_CPU = 1 << 2,
	CPU_CHANGED = 1 << 3, // with an item
	HAS_CLOCK = 1 << 4,
	ONE_POINT = 1 << 5,
	FLAGS = (1 << 6) - 1,
	MAX_CPU = 1 << 20,
	ERRORS = STROBE_EVENT_TYPE_COUNT, // stands for a type
	KINDS = STROBE_EVENT_TYPE_COUNT + 1,
};

// What is frequent has the lower bits of the mask, and so fewer bytes.
static const uint8_t kinds[KINDS] = {
	STROBE_EVENT_SYNC_POINT,
	STROBE_EVENT_CLOCK_TICK,
	STROBE_EVENT_ENABLED,
	STROBE_EVENT_DISABLED_HARDWARE,
	STROBE_EVENT_DISABLED_SOFTWARE,
	STROBE_EVENT_CPU_CHANGED,
	ERRORS,
	STROBE_EVENT_ASYNC_BRANCH,
	STROBE_EVENT_SYSTEM_CALL,
	STROBE_EVENT_SYSTEM_CALL_END,
	STROBE_EVENT_PAGING,
	STROBE_EVENT_EXEC_MODE,
	STROBE_EVENT_CORE_BUS_RATIO,
	STROBE_EVENT_PTWRITE,
	STROBE_EVENT_TSX,
	STROBE_EVENT_STOP,
	STROBE_EVENT_VMCS,
	STROBE_EVENT_EXECUTION_STOPPED,
	STROBE_EVENT_MWAIT,
	STROBE_EVENT_POWER_ENTRY,
	STROBE_EVENT_POWER_EXIT,
	STROBE_EVENT_MAINTENANCE,
	STROBE_EVENT_SIGNAL,
	STROBE_EVENT_THREAD_START,
	STROBE_EVENT_THREAD_END,
	STROBE_EVENT_EXEC,
	STROBE_EVENT_SKIPPED,
};

uint8_t *code_put(uint8_t *at, uint64_t value)
{
	for (; value >= 0x80; value >>= 7)
		*at++ = (uint8_t)(value | 0x80);
	*at++ = (uint8_t)value;
	return at;
}

uint64_t code_get(struct code_bytes *bytes)
{
	uint64_t value = 0;
	for (unsigned shift = 0; shift < 64 && bytes->at < bytes->end; shift += 7) {
		uint8_t byte = *bytes->at++;
		if (shift == 63 && byte > 1)
			break;
		value |= (uint64_t)(byte & 0x7f) << shift;
		if (!(byte & 0x80))
			return value;
	}
	bytes->bad = true;
	return 0;
}

uint64_t code_get_most(struct code_bytes *bytes, uint64_t most)
{
	uint64_t value = code_get(bytes);
	if (value > most)
		bytes->bad = true;
	return bytes->bad ? 0 : value;
}

static uint64_t count_of(const struct unit *unit, unsigned kind)
{
	return kind == ERRORS ? unit->error_count : unit->event_counts[kind];
}

static unsigned flags_of(const struct unit *unit, const struct unit_carry *carry)
{
	unsigned flags = 0;
	if (carry->placed && unit->stream == carry->stream && unit->cut == 0) {
		if (unit->block == carry->block + 1 && unit->part == 0)
			flags |= NEXT_BLOCK;
		else if (unit->block == carry->block && unit->part == carry->part + 1)
			flags |= NEXT_PART;
	}
	if (unit->cpu != carry->cpu)
		flags |= NEW_CPU;
	if (unit->cpu_changed)
		flags |= CPU_CHANGED;
	if (unit->has_clock)
		flags |= HAS_CLOCK;
	if (unit->has_clock && unit->first.id == unit->last.id)
		flags |= ONE_POINT;
	return flags;
}

static void move_on(struct unit_carry *carry, const struct unit *unit)
{
	carry->placed = true;
	carry->block = unit->block;
	carry->stream = unit->stream;
	carry->part = unit->part;
	carry->cpu = unit->cpu;
	carry->first_id += unit->item_count;
	if (unit->has_clock) {
		carry->has_before = true;
		carry->before = unit->last;
	}
}

static uint8_t *put_clocks(uint8_t *at, const struct unit *unit, const struct unit_carry *carry)
{
	at = code_put(at, unit->first.id - unit->first_id);
	at = code_put(at, unit->first.value - (carry->has_before ? carry->before.value : 0));
	if (unit->first.id == unit->last.id)
		return at;
	at = code_put(at, unit->last.id - unit->first.id);
	return code_put(at, unit->last.value - unit->first.value);
}

size_t unit_encode(const struct unit *unit, struct unit_carry *carry, uint8_t ret[UNIT_CODE_MAX])
{
	unsigned flags = flags_of(unit, carry);
	uint8_t *at = ret;
	uint64_t mask = 0;
	assert(unit->first_id == carry->first_id && unit->cpu >= -1 && unit->cpu < MAX_CPU);
	*at++ = (uint8_t)flags;
	if (!(flags & (NEXT_BLOCK | NEXT_PART))) {
		at = code_put(at, unit->stream);
		at = code_put(at, unit->block);
		at = code_put(at, unit->part);
		at = code_put(at, unit->cut);
	}
	if (flags & NEW_CPU)
		at = code_put(at, (uint64_t)(unit->cpu + 1));
	at = code_put(at, unit->item_count);
	for (unsigned i = 0; i < KINDS; i++)
		mask |= (uint64_t)(count_of(unit, kinds[i]) != 0) << i;
	at = code_put(at, mask);
	for (unsigned i = 0; i < KINDS; i++)
		if (mask >> i & 1)
			at = code_put(at, count_of(unit, kinds[i]));
	if (unit->has_clock)
		at = put_clocks(at, unit, carry);
	at = code_put(at, unit->pops);
	at = code_put(at, unit->pushes);
	move_on(carry, unit);
	return (size_t)(at - ret);
}

static void get_place(struct code_bytes *bytes, unsigned flags, const struct unit_carry *carry,
		      struct unit *unit)
{
	if (flags & (NEXT_BLOCK | NEXT_PART)) {
		bool block = flags & NEXT_BLOCK;
		if (!carry->placed || carry->block == UINT64_MAX || carry->part == UINT32_MAX ||
		    flags % 4 == (NEXT_BLOCK | NEXT_PART))
			bytes->bad = true;
		unit->stream = carry->stream;
		unit->block = carry->block + block;
		unit->part = block ? 0 : carry->part + 1;
		return;
	}
	unit->stream = (uint32_t)code_get_most(bytes, UINT32_MAX);
	unit->block = code_get(bytes);
	unit->part = (uint32_t)code_get_most(bytes, UINT32_MAX);
	unit->cut = (uint32_t)code_get_most(bytes, UINT32_MAX);
}

static void get_counts(struct code_bytes *bytes, struct unit *unit)
{
	unit->item_count = code_get_most(bytes, UINT32_MAX);
	uint64_t rest = unit->item_count;
	uint64_t mask = code_get_most(bytes, (UINT64_C(1) << KINDS) - 1);
	for (unsigned i = 0; i < KINDS; i++) {
		uint64_t count = mask >> i & 1 ? code_get_most(bytes, rest) : 0;
		rest -= count;
		if (kinds[i] == ERRORS)
			unit->error_count = count;
		else
			unit->event_counts[kinds[i]] = (uint32_t)count;
	}
	unit->instruction_count = (uint32_t)rest;
	if (unit->item_count == 0)
		bytes->bad = true;
}

static void get_clocks(struct code_bytes *bytes, unsigned flags, const struct unit_carry *carry,
		       struct unit *unit)
{
	uint64_t before = carry->has_before ? carry->before.value : 0;
	unit->has_clock = true;
	uint64_t offset = code_get_most(bytes, unit->item_count);
	unit->first.id = unit->first_id + offset;
	unit->first.value = before + code_get_most(bytes, UINT64_MAX - before);
	unit->last = unit->first;
	if (flags & ONE_POINT)
		return;
	unit->last.id += code_get_most(bytes, unit->item_count - offset);
	unit->last.value += code_get_most(bytes, UINT64_MAX - unit->first.value);
	if (unit->last.id == unit->first.id || unit->last.value == unit->first.value)
		bytes->bad = true;
}

bool unit_decode(struct code_bytes *bytes, struct unit_carry *carry, struct unit *ret)
{
	memset(ret, 0, sizeof(*ret));
	if (bytes->at == bytes->end)
		return false;
	unsigned flags = *bytes->at++;
	if (flags & ~(unsigned)FLAGS)
		return false;
	ret->first_id = carry->first_id;
	ret->has_before = carry->has_before;
	ret->before = carry->before;
	ret->cpu_changed = flags & CPU_CHANGED;
	get_place(bytes, flags, carry, ret);
	ret->cpu = flags & NEW_CPU ? (int)code_get_most(bytes, MAX_CPU) - 1 : carry->cpu;
	get_counts(bytes, ret);
	if (flags & HAS_CLOCK)
		get_clocks(bytes, flags, carry, ret);
	ret->pops = (uint32_t)code_get_most(bytes, UINT32_MAX);
	ret->pushes = (uint32_t)code_get_most(bytes, UINT32_MAX);
	if (bytes->bad || ret->item_count > UINT64_MAX - ret->first_id ||
	    (ret->cpu_changed && !ret->event_counts[STROBE_EVENT_CPU_CHANGED]))
		return false;
	move_on(carry, ret);
	return true;
}
