// SPDX-License-Identifier: Apache-2.0
#include "pt/writer.h"

#include <assert.h>
#include <intel-pt.h>
#include <string.h>

#include "base/error.h"
#include "pt/return_stack.h"

enum {
	PSB_BYTES = 4096, // unless said
	PACKET_SIZE = 64, // more than any packet takes
	SHORT_TNT = 6,
	LONG_TNT = 47,
};

// Invariants: at most LONG_TNT branches are pending, and none while another packet is written; last_ip is what a
// decoder has that read all bytes; psb is the offset of the last PSB in `bytes`, or 0.
struct pt_writer {
	struct pt_writer_options options;
	struct pt_encoder *encoder; // of one packet at a time
	uint8_t packet[PACKET_SIZE];
	ARRAY(uint8_t) bytes;
	size_t psb;
	uint64_t since_psb;
	bool begun, enabled, sync_wanted;
	uint64_t last_ip;
	bool no_last_ip; // decoders forget it at an overflow, or do not
	uint64_t tnt;	 // the oldest is the highest of tnt_count bits
	unsigned tnt_count;
	struct return_stack returns;
};

struct strobe_error *pt_writer_new(const struct pt_writer_options *options, struct pt_writer **ret)
{
	struct pt_config config;
	struct pt_writer *writer = calloc(1, sizeof(*writer));
	if (!writer)
		return error_no_memory();
	writer->options = *options;
	if (!writer->options.psb_bytes)
		writer->options.psb_bytes = PSB_BYTES;
	pt_config_init(&config);
	config.begin = writer->packet;
	config.end = writer->packet + sizeof(writer->packet);
	writer->encoder = pt_alloc_encoder(&config);
	if (!writer->encoder) {
		free(writer);
		return error_no_memory();
	}
	*ret = writer;
	return NULL;
}

struct pt_writer *pt_writer_free(struct pt_writer *writer)
{
	if (!writer)
		return NULL;
	pt_free_encoder(writer->encoder);
	array_fini(&writer->bytes);
	free(writer);
	return NULL;
}

static struct strobe_error *put(struct pt_writer *writer, const struct pt_packet *packet)
{
	pt_enc_sync_set(writer->encoder, 0);
	int size = pt_enc_next(writer->encoder, packet);
	if (size < 0)
		return error_new(STROBE_ERROR_INVALID, "packet of type %d: %s", (int)packet->type,
				 pt_errstr(pt_errcode(size)));
	if (!array_reserve(&writer->bytes, writer->bytes.count + (size_t)size))
		return error_no_memory();
	memcpy(writer->bytes.items + writer->bytes.count, writer->packet, (size_t)size);
	writer->bytes.count += (size_t)size;
	writer->since_psb += (uint64_t)size;
	return NULL;
}

static struct strobe_error *put_tnt(struct pt_writer *writer, unsigned count)
{
	unsigned rest = writer->tnt_count - count;
	struct pt_packet packet = {.type = count > SHORT_TNT ? ppt_tnt_64 : ppt_tnt_8};
	packet.payload.tnt.bit_size = (uint8_t)count;
	packet.payload.tnt.payload = writer->tnt >> rest & ((UINT64_C(1) << count) - 1);
	writer->tnt_count = rest;
	return put(writer, &packet);
}

// Before any other packet: branches that have none yet come first.
static struct strobe_error *flush_tnt(struct pt_writer *writer)
{
	struct strobe_error *error = NULL;
	while (!error && writer->tnt_count)
		error = put_tnt(writer,
				writer->tnt_count < SHORT_TNT ? writer->tnt_count : SHORT_TNT);
	return error;
}

static struct strobe_error *add_tnt(struct pt_writer *writer, bool taken)
{
	writer->tnt = writer->tnt << 1 | taken;
	writer->tnt_count++;
	if (writer->tnt_count < (writer->options.long_tnt ? LONG_TNT : SHORT_TNT))
		return NULL;
	return put_tnt(writer, writer->tnt_count);
}

static struct strobe_error *put_plain(struct pt_writer *writer, enum pt_packet_type type)
{
	struct pt_packet packet = {.type = type};
	return put(writer, &packet);
}

// The shortest payload that a decoder completes from the last one (SDM, "IP Compression").
static struct pt_packet_ip compress(const struct pt_writer *writer, uint64_t ip)
{
	uint64_t changed = writer->no_last_ip ? UINT64_MAX : ip ^ writer->last_ip;
	if (!(changed >> 16))
		return (struct pt_packet_ip){pt_ipc_update_16, ip & 0xffff};
	if (!(changed >> 32))
		return (struct pt_packet_ip){pt_ipc_update_32, ip & 0xffffffff};
	if ((uint64_t)((int64_t)(ip << 16) >> 16) == ip)
		return (struct pt_packet_ip){pt_ipc_sext_48, ip & UINT64_C(0xffffffffffff)};
	return (struct pt_packet_ip){pt_ipc_full, ip};
}

static struct strobe_error *put_ip(struct pt_writer *writer, enum pt_packet_type type, uint64_t ip)
{
	struct pt_packet packet = {.type = type, .payload.ip = compress(writer, ip)};
	writer->last_ip = ip;
	writer->no_last_ip = false;
	return put(writer, &packet);
}

static struct strobe_error *put_tma(struct pt_writer *writer, uint64_t tsc)
{
	struct pt_packet packet = {.type = ppt_tma};
	packet.payload.tma.ctc = (uint16_t)(tsc / writer->options.crystal_ratio);
	packet.payload.tma.fc = (uint16_t)(tsc % writer->options.crystal_ratio);
	return put(writer, &packet);
}

static struct strobe_error *put_tsc(struct pt_writer *writer)
{
	struct pt_packet packet = {.type = ppt_tsc};
	uint64_t value;
	if (!writer->options.clock || !writer->options.clock(writer->options.context, &value))
		return NULL;
	packet.payload.tsc.tsc = value & UINT64_C(0xffffffffffffff); // 7 bytes
	struct strobe_error *error = put(writer, &packet);
	return error || !writer->options.crystal_ratio ? error : put_tma(writer, value);
}

static void begin_block(struct pt_writer *writer)
{
	writer->psb = writer->bytes.count;
	writer->since_psb = 0;
	writer->last_ip = 0;
	writer->no_last_ip = false;
	writer->sync_wanted = false;
	writer->begun = true;
	// Calls before a PSB are nobody's who begins there.
	return_stack_clear(&writer->returns);
}

/** PSB+; at `address` if tracing is enabled. */
static struct strobe_error *put_psb(struct pt_writer *writer, uint64_t address)
{
	struct pt_packet mode = {.type = ppt_mode, .payload.mode.leaf = pt_mol_exec};
	struct pt_packet ratio = {.type = ppt_cbr};
	mode.payload.mode.bits.exec = pt_set_exec_mode(ptem_64bit);
	ratio.payload.cbr.ratio = writer->options.core_bus_ratio;
	struct strobe_error *error = flush_tnt(writer);
	begin_block(writer);
	if (!error)
		error = put_plain(writer, ppt_psb);
	if (!error)
		error = put_tsc(writer);
	if (!error && ratio.payload.cbr.ratio)
		error = put(writer, &ratio);
	if (!error)
		error = put(writer, &mode);
	if (!error && writer->enabled)
		error = put_ip(writer, ppt_fup, address);
	return error ? error : put_plain(writer, ppt_psbend);
}

static bool psb_is_due(const struct pt_writer *writer)
{
	return writer->sync_wanted || writer->since_psb >= writer->options.psb_bytes;
}

struct strobe_error *pt_writer_enable(struct pt_writer *writer, uint64_t address)
{
	struct strobe_error *error = NULL;
	assert(!writer->enabled);
	if (!writer->begun) {
		writer->enabled = true;
		return put_psb(writer, address);
	}
	if (psb_is_due(writer))
		error = put_psb(writer, 0);
	else
		error = put_tsc(writer);
	writer->enabled = true;
	return error ? error : put_ip(writer, ppt_tip_pge, address);
}

static struct strobe_error *put_two(struct pt_writer *writer, uint64_t from,
				    enum pt_packet_type type, uint64_t to)
{
	struct strobe_error *error = flush_tnt(writer);
	if (!error)
		error = put_ip(writer, ppt_fup, from);
	return error ? error : put_ip(writer, type, to);
}

/** Where the last packet leaves the decoder, at `next`, a PSB can be. */
static struct strobe_error *settle(struct pt_writer *writer, uint64_t next)
{
	return psb_is_due(writer) ? put_psb(writer, next) : NULL;
}

struct strobe_error *pt_writer_async_branch(struct pt_writer *writer, uint64_t from, uint64_t to)
{
	assert(writer->enabled);
	struct strobe_error *error = put_two(writer, from, ppt_tip, to);
	return error ? error : settle(writer, to);
}

static bool is_direct(const struct pt_step *step)
{
	return step->has_target &&
	       (step->flow == STROBE_FLOW_JUMP || step->flow == STROBE_FLOW_CALL);
}

/** Where a step without a packet of its own leads. */
static uint64_t follow(const struct pt_step *step, uint64_t next)
{
	uint64_t end = step->address + step->size_bytes;
	if (step->flow == STROBE_FLOW_COND_JUMP)
		return step->has_target && next == step->target ? next : end;
	return is_direct(step) ? step->target : end;
}

static void note_call(struct pt_writer *writer, const struct pt_step *step)
{
	uint64_t end = step->address + step->size_bytes;
	// A call to the next instruction asks for its own address, and never returns.
	if (step->flow == STROBE_FLOW_CALL && !(step->has_target && step->target == end))
		return_stack_push(&writer->returns, end);
}

static bool is_compressed(struct pt_writer *writer, const struct pt_step *step, uint64_t next)
{
	if (step->flow != STROBE_FLOW_RETURN || writer->options.no_return_compression)
		return false;
	return return_stack_return(&writer->returns, next);
}

struct strobe_error *pt_writer_step(struct pt_writer *writer, const struct pt_step *step,
				    uint64_t next)
{
	struct strobe_error *error = NULL;
	uint64_t to = next;
	assert(writer->enabled);
	note_call(writer, step);
	if (step->flow == STROBE_FLOW_COND_JUMP) {
		to = follow(step, next);
		error = add_tnt(writer, step->has_target && to == step->target);
	} else if (step->flow == STROBE_FLOW_OTHER || is_direct(step)) {
		to = follow(step, next);
		return to == next ? NULL : pt_writer_async_branch(writer, to, next);
	} else if (is_compressed(writer, step, next)) {
		error = add_tnt(writer, true);
	} else {
		error = flush_tnt(writer);
		if (!error)
			error = put_ip(writer, ppt_tip, next);
	}
	if (!error && to != next)
		return pt_writer_async_branch(writer, to, next);
	return error ? error : settle(writer, next);
}

struct strobe_error *pt_writer_async_disable(struct pt_writer *writer, uint64_t address)
{
	struct pt_packet packet = {.type = ppt_tip_pgd};
	assert(writer->enabled);
	struct strobe_error *error = flush_tnt(writer);
	if (!error)
		error = put_ip(writer, ppt_fup, address);
	writer->enabled = false;
	return error ? error : put(writer, &packet); // its address is suppressed
}

static bool is_far(enum strobe_flow flow)
{
	return flow == STROBE_FLOW_FAR_CALL || flow == STROBE_FLOW_FAR_RETURN ||
	       flow == STROBE_FLOW_FAR_JUMP;
}

struct strobe_error *pt_writer_disable(struct pt_writer *writer, const struct pt_step *step,
				       uint64_t next)
{
	struct pt_packet packet = {.type = ppt_tip_pgd};
	uint64_t end = step->address + step->size_bytes;
	assert(writer->enabled);
	// What goes on behind itself is no branch that could tell of the end.
	if (step->flow == STROBE_FLOW_OTHER)
		return pt_writer_async_disable(writer, end);
	if (step->flow == STROBE_FLOW_COND_JUMP && (!step->has_target || next != step->target)) {
		struct strobe_error *error = add_tnt(writer, false);
		return error ? error : pt_writer_async_disable(writer, end);
	}
	// Whether a call out of what is traced is on its stack, each decoder answers for itself.
	if (step->flow == STROBE_FLOW_CALL)
		return_stack_clear(&writer->returns);
	else if (step->flow == STROBE_FLOW_RETURN)
		return_stack_skip(&writer->returns);
	struct strobe_error *error = flush_tnt(writer);
	writer->enabled = false;
	if (error)
		return error;
	return is_far(step->flow) ? put(writer, &packet) : put_ip(writer, ppt_tip_pgd, next);
}

struct strobe_error *pt_writer_ptwrite(struct pt_writer *writer, uint64_t address, uint64_t payload)
{
	struct pt_packet packet = {.type = ppt_ptw};
	packet.payload.ptw.payload = payload;
	packet.payload.ptw.plc = 1; // 8 bytes
	packet.payload.ptw.ip = writer->enabled;
	struct strobe_error *error = writer->begun ? flush_tnt(writer) : put_psb(writer, 0);
	if (!error)
		error = put(writer, &packet);
	return error || !writer->enabled ? error : put_ip(writer, ppt_fup, address);
}

void pt_writer_sync(struct pt_writer *writer)
{
	writer->sync_wanted = true;
}

/** What a decoder's last IP is after `ip`. */
static uint64_t update_ip(uint64_t last_ip, const struct pt_packet_ip *ip)
{
	static const unsigned bits[] = {
		[pt_ipc_update_16] = 16, [pt_ipc_update_32] = 32, [pt_ipc_update_48] = 48};
	switch (ip->ipc) {
	case pt_ipc_update_16:
	case pt_ipc_update_32:
	case pt_ipc_update_48: {
		uint64_t mask = (UINT64_C(1) << bits[ip->ipc]) - 1;
		return (last_ip & ~mask) | (ip->ip & mask);
	}
	case pt_ipc_sext_48:
		return (uint64_t)((int64_t)(ip->ip << 16) >> 16);
	case pt_ipc_full:
		return ip->ip;
	case pt_ipc_suppressed:
		break;
	}
	return last_ip;
}

struct strobe_error *pt_writer_packet(struct pt_writer *writer, const void *given)
{
	const struct pt_packet *packet = given;
	struct strobe_error *error = flush_tnt(writer);
	if (error)
		return error;
	switch (packet->type) {
	case ppt_psb:
		begin_block(writer);
		break;
	case ppt_tip_pge:
	case ppt_tip_pgd:
		writer->enabled = packet->type == ppt_tip_pge;
		writer->last_ip = update_ip(writer->last_ip, &packet->payload.ip);
		break;
	case ppt_tip:
	case ppt_fup:
		writer->no_last_ip = writer->no_last_ip && packet->payload.ip.ipc < pt_ipc_sext_48;
		writer->last_ip = update_ip(writer->last_ip, &packet->payload.ip);
		break;
	case ppt_ovf:
		return_stack_clear(&writer->returns);
		writer->no_last_ip = true;
		break;
	default:
		break;
	}
	return put(writer, packet);
}

const uint8_t *pt_writer_bytes(const struct pt_writer *writer, size_t *size)
{
	*size = writer->bytes.count;
	return writer->bytes.items;
}

size_t pt_writer_whole(const struct pt_writer *writer)
{
	return writer->psb;
}

void pt_writer_take(struct pt_writer *writer, size_t size)
{
	assert(size <= writer->bytes.count);
	if (!size)
		return;
	writer->bytes.count -= size;
	memmove(writer->bytes.items, writer->bytes.items + size, writer->bytes.count);
	writer->psb -= size < writer->psb ? size : writer->psb;
}
