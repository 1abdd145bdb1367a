// SPDX-License-Identifier: Apache-2.0
#include "situations.h"

#include <intel-pt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void put_ip(struct walk *walk, enum pt_packet_type type, uint64_t ip)
{
	struct pt_packet packet = {.type = type};
	packet.payload.ip.ipc = pt_ipc_sext_48;
	packet.payload.ip.ip = ip & UINT64_C(0xffffffffffff);
	walk_packet(walk, &packet);
}

static void some(struct walk *walk)
{
	walk_run(walk, 1 + chance_below(&walk->chance, 400));
}

static void only_run(struct walk *walk)
{
	some(walk);
}

static void interrupts(struct walk *walk)
{
	some(walk);
	walk_interrupt(walk);
}

static void gaps(struct walk *walk)
{
	some(walk);
	walk_skip(walk, 1 + chance_below(&walk->chance, 100));
	some(walk);
	walk_leave(walk);
	walk_run(walk, chance_below(&walk->chance, 20));
	walk_enable(walk);
}

static void overflow(struct walk *walk)
{
	some(walk);
	walk_overflow(walk, 1 + chance_below(&walk->chance, 1000));
}

static void overflow_while_disabled(struct walk *walk)
{
	some(walk);
	walk_disable(walk);
	walk_overflow(walk, 10);
	walk_enable(walk);
}

static void ptwrites(struct walk *walk)
{
	some(walk);
	walk_ptwrite(walk, chance_next(&walk->chance));
	some(walk);
	walk_disable(walk);
	walk_ptwrite(walk, 1);
	walk_ptwrite(walk, 2);
	walk_enable(walk);
}

static void transactions(struct walk *walk)
{
	struct pt_packet mode = {.type = ppt_mode, .payload.mode.leaf = pt_mol_tsx};
	some(walk);
	mode.payload.mode.bits.tsx.intx = 1;
	walk_packet(walk, &mode);
	put_ip(walk, ppt_fup, walk->at);
	walk_expect(walk, STROBE_EVENT_TSX, walk->at, 1);
	walk_until(walk, STROBE_FLOW_RETURN);
	walk_run(walk, 1);
	mode.payload.mode.bits.tsx.intx = 0;
	walk_packet(walk, &mode);
	put_ip(walk, ppt_fup, walk->at);
	walk_expect(walk, STROBE_EVENT_TSX, walk->at, 0);
}

static void execution_mode(struct walk *walk)
{
	struct pt_packet mode = {.type = ppt_mode, .payload.mode.leaf = pt_mol_exec};
	some(walk);
	mode.payload.mode.bits.exec = pt_set_exec_mode(ptem_64bit);
	// No PSB comes between the packet and the one that it belongs to.
	walk_disable(walk);
	pt_writer_sync(walk->writer);
	walk_enable(walk);
	walk_disable(walk);
	walk_packet(walk, &mode);
	walk_enable(walk);
	walk_expect(walk, STROBE_EVENT_EXEC_MODE, walk->at, 64);
}

static void paging(struct walk *walk)
{
	struct pt_packet packet = {.type = ppt_pip};
	some(walk);
	walk_disable(walk);
	packet.payload.pip.cr3 = UINT64_C(0x1234000);
	walk_packet(walk, &packet);
	walk_expect(walk, STROBE_EVENT_PAGING, 0, packet.payload.pip.cr3);
	walk_enable(walk);
}

static void virtual_machines(struct walk *walk)
{
	struct pt_packet packet = {.type = ppt_vmcs};
	some(walk);
	walk_disable(walk);
	packet.payload.vmcs.base = UINT64_C(0xabcd000);
	walk_packet(walk, &packet);
	walk_expect(walk, STROBE_EVENT_VMCS, 0, packet.payload.vmcs.base);
	walk_enable(walk);
}

static void stops(struct walk *walk)
{
	struct pt_packet packet = {.type = ppt_stop};
	some(walk);
	walk_disable(walk);
	walk_packet(walk, &packet);
	walk_expect(walk, STROBE_EVENT_STOP, 0, 0);
	walk_enable(walk);
}

static void ratios(struct walk *walk)
{
	struct pt_packet packet = {.type = ppt_cbr};
	some(walk);
	packet.payload.cbr.ratio = (uint8_t)(8 + chance_below(&walk->chance, 40));
	walk_disable(walk);
	walk_packet(walk, &packet);
	walk_expect(walk, STROBE_EVENT_CORE_BUS_RATIO, 0, packet.payload.cbr.ratio);
	walk_enable(walk);
}

static void power(struct walk *walk)
{
	struct pt_packet stop = {.type = ppt_exstop}, wait = {.type = ppt_mwait};
	struct pt_packet entry = {.type = ppt_pwre}, leave = {.type = ppt_pwrx};
	some(walk);
	// What has no address is where the last branch left the flow.
	walk_until(walk, STROBE_FLOW_COND_JUMP);
	walk_run(walk, 1);
	wait.payload.mwait.hints = 0x20;
	wait.payload.mwait.ext = 1;
	stop.payload.exstop.ip = 1;
	walk_packet(walk, &entry);
	walk_expect(walk, STROBE_EVENT_POWER_ENTRY, 0, 0);
	walk_packet(walk, &wait);
	walk_packet(walk, &stop);
	put_ip(walk, ppt_fup, walk->at);
	walk_expect(walk, STROBE_EVENT_MWAIT, walk->at, 0x20);
	walk_expect(walk, STROBE_EVENT_EXECUTION_STOPPED, walk->at, 0);
	walk_packet(walk, &leave);
	walk_expect(walk, STROBE_EVENT_POWER_EXIT, 0, 0);
}

static void maintenance(struct walk *walk)
{
	struct pt_packet packet = {.type = ppt_mnt};
	some(walk);
	walk_disable(walk);
	packet.payload.mnt.payload = UINT64_C(0x1122334455667788);
	walk_packet(walk, &packet);
	walk_expect(walk, STROBE_EVENT_MAINTENANCE, 0, packet.payload.mnt.payload);
	walk_enable(walk);
}

/** A place for damage of `size` bytes, in the second half and not in a PSB. */
static size_t place(const uint8_t *bytes, size_t total, struct chance *chance, size_t size)
{
	size_t at = total / 2 + chance_below(chance, (unsigned)(total / 4));
	while (find_psb(bytes, total, at > 48 ? at - 48 : 0) < at + size && at > 64)
		at--;
	return at;
}

enum { DAMAGE_BYTES = 40 };

static size_t make_hole(uint8_t *bytes, size_t size, struct chance *chance, struct damage *ret)
{
	size_t at = place(bytes, size, chance, DAMAGE_BYTES);
	memset(bytes + at, 0, DAMAGE_BYTES);
	*ret = (struct damage){at, at + DAMAGE_BYTES, 0};
	return size;
}

static size_t garble(uint8_t *bytes, size_t size, struct chance *chance, struct damage *ret)
{
	size_t at = place(bytes, size, chance, DAMAGE_BYTES);
	for (unsigned i = 0; i < DAMAGE_BYTES; i++)
		bytes[at + i] = (uint8_t)chance_next(chance);
	*ret = (struct damage){at, at + DAMAGE_BYTES, 0};
	return size;
}

static size_t lose(uint8_t *bytes, size_t size, struct chance *chance, struct damage *ret)
{
	size_t at = place(bytes, size, chance, DAMAGE_BYTES);
	memmove(bytes + at, bytes + at + DAMAGE_BYTES, size - at - DAMAGE_BYTES);
	*ret = (struct damage){at, at + DAMAGE_BYTES, DAMAGE_BYTES};
	return size - DAMAGE_BYTES;
}

static size_t cut_end(uint8_t *bytes, size_t size, struct chance *chance, struct damage *ret)
{
	size_t at = place(bytes, size, chance, 1);
	*ret = (struct damage){at, UINT64_MAX, size - at};
	return at;
}

static size_t cut_head(uint8_t *bytes, size_t size, struct chance *chance, struct damage *ret)
{
	size_t at = 100 + chance_below(chance, (unsigned)(size / 4));
	memmove(bytes, bytes + at, size - at);
	*ret = (struct damage){0, at, at};
	return size - at;
}

static size_t spoil_psb(uint8_t *bytes, size_t size, struct chance *chance, struct damage *ret)
{
	size_t at = find_psb(bytes, size, size / 2);
	(void)chance;
	if (at == size)
		at = find_psb(bytes, size, 1);
	memset(bytes + at, 0x55, 16);
	*ret = (struct damage){at, at + 16, 0};
	return size;
}

/** Takes away the FUP of an asynchronous branch: its TIP then belongs to nothing. */
static size_t lose_fup(uint8_t *bytes, size_t size, struct chance *chance, struct damage *ret)
{
	struct pt_config config;
	struct pt_packet packet, before = {0};
	uint64_t at = 0, last = 0;
	size_t found = 0, length = 0;
	(void)chance;
	pt_config_init(&config);
	config.begin = bytes;
	config.end = bytes + size;
	struct pt_packet_decoder *decoder = pt_pkt_alloc_decoder(&config);
	if (!decoder)
		abort();
	pt_pkt_sync_forward(decoder);
	while (!(found && at > size / 2)) {
		pt_pkt_get_offset(decoder, &at);
		if (pt_pkt_next(decoder, &packet, sizeof(packet)) < 0)
			break;
		if (packet.type == ppt_tip && before.type == ppt_fup) {
			found = last;
			length = before.size;
		}
		before = packet;
		last = at;
	}
	pt_pkt_free_decoder(decoder);
	memmove(bytes + found, bytes + found + length, size - found - length);
	*ret = (struct damage){found, found + length, length};
	return size - length;
}

const struct situation situations[] = {
	{"plain", "branches and system calls", only_run, .timed = true},
	{"untimed", "without any clock", only_run},
	{"interrupts", "asynchronous branches", interrupts, .timed = true},
	{"gaps", "tracing off and on", gaps, .timed = true},
	{"overflow", "packets lost while tracing", overflow, .timed = true},
	{"overflow-off", "packets lost while not tracing", overflow_while_disabled, .timed = true},
	{"ptwrite", "PTWRITE", ptwrites, .timed = true},
	{"tsx", "transactions", transactions, .timed = true},
	{"exec-mode", "MODE.Exec", execution_mode, .timed = true},
	{"paging", "PIP", paging, .timed = true},
	{"vmcs", "VMCS", virtual_machines, .timed = true},
	{"stop", "TraceStop", stops, .timed = true},
	{"cbr", "core:bus ratios", ratios, .timed = true},
	{"power", "power states", power, .timed = true},
	{"maintenance", "MNT", maintenance, .timed = true},
	{"mtc", "TMA and MTC", only_run, .timed = true, .mtc = true},
	{"cyc", "TMA, MTC and CYC", only_run, .timed = true, .mtc = true, .cycles = true},
	{"hole", "40 bytes are zero", only_run, make_hole, .timed = true},
	{"garbled", "40 bytes are noise", only_run, garble, .timed = true},
	{"lost", "40 bytes are missing", only_run, lose, .timed = true},
	{"cut", "the end is missing", only_run, cut_end, .timed = true},
	{"headless", "the beginning is missing", only_run, cut_head, .timed = true},
	{"spoiled-psb", "a PSB is noise", only_run, spoil_psb, .timed = true},
	{"lost-fup", "an asynchronous branch without FUP", interrupts, lose_fup, .timed = true},
};
const size_t situation_count = sizeof(situations) / sizeof(situations[0]);

const struct situation *situation_find(const char *name)
{
	for (size_t i = 0; i < situation_count; i++)
		if (strcmp(situations[i].name, name) == 0)
			return &situations[i];
	return NULL;
}

void make_trace(struct made_trace *trace, const struct situation *situation, uint64_t seed,
		unsigned instructions)
{
	struct walk_options options = {.seed = seed + 1000,
				       .follow_returns = 95,
				       .timed = situation->timed,
				       .clock = 1000000,
				       .clock_step = 1};
	struct chance chance = {seed + 2000};
	options.writer.psb_bytes = 512;
	if (situation->mtc) {
		options.mtc_shift = MADE_MTC_SHIFT;
		options.writer.crystal_ratio = MADE_CRYSTAL_RATIO;
		options.writer.core_bus_ratio = MADE_BUS_RATIO;
	}
	options.cycles = situation->cycles;
	*trace = (struct made_trace){0};
	program_make(&trace->program, seed, 0x400000, 300, &program_mix_usual);
	walk_begin(&trace->walk, &trace->program, &options);
	walk_enable(&trace->walk);
	while (trace->walk.instruction_count < instructions)
		situation->walk(&trace->walk);
	const uint8_t *bytes = walk_end(&trace->walk, &trace->size);
	trace->bytes = malloc(trace->size);
	if (!trace->bytes)
		abort();
	memcpy(trace->bytes, bytes, trace->size);
	trace->damaged = situation->damage != NULL;
	if (trace->damaged)
		trace->size = situation->damage(trace->bytes, trace->size, &chance, &trace->damage);
}

void made_trace_fini(struct made_trace *trace)
{
	walk_done(&trace->walk);
	program_fini(&trace->program);
	free(trace->bytes);
}

size_t made_trace_certain(const struct made_trace *trace)
{
	const struct walk *walk = &trace->walk;
	size_t count = walk->items.count;
	while (trace->damaged && count) {
		const struct expected_item *item = &walk->items.items[count - 1];
		bool plain = !item->is_event && !item->is_error;
		if (item->offset + plain <= trace->damage.start)
			break;
		count--;
	}
	return count;
}
