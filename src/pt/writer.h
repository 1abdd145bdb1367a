// SPDX-License-Identifier: Apache-2.0
#ifndef PT_WRITER_H
#define PT_WRITER_H

// Writes Intel PT packets for a flow of instructions that is known: what a recorder without PT hardware saw, or what a
// test made up. The inverse of decoding: decoding gives the same addresses. Packets are made by libipt's encoder;
// the TNT, TIP and PSB rules are the manual's (Intel SDM 3C, chapter Intel Processor Trace).

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <strobe/cursor.h>

#include "base/array.h"

struct pt_writer;

struct pt_writer_options {
	uint32_t psb_bytes;	    // a PSB at least every so many bytes of packets; 0 = 4096
	bool no_return_compression; // DisRETC
	bool long_tnt; // TNT packets of 47 branches: they take as much room, and are read faster
	uint8_t core_bus_ratio; // a CBR in each PSB+; 0 = none
	uint16_t crystal_ratio; // TSC ticks a crystal clock tick: a TMA behind each TSC; 0 = none
	bool (*clock)(void *context, uint64_t *ret); // TSC for PSBs and enables; NULL = none
	void *context;
};

/** One executed instruction. */
struct pt_step {
	uint64_t address;
	uint8_t size_bytes;
	enum strobe_flow flow;
	bool has_target; // direct branch
	uint64_t target;
};

struct strobe_error *pt_writer_new(const struct pt_writer_options *options, struct pt_writer **ret)
	STROBE_MUST_CHECK;
struct pt_writer *pt_writer_free(struct pt_writer *writer);

/**
 * Tracing begins, or goes on, at `address`: PSB+ with that address if none was written yet, else TIP.PGE after
 * a TSC. A PSB+ that is due comes before it.
 */
struct strobe_error *pt_writer_enable(struct pt_writer *writer, uint64_t address) STROBE_MUST_CHECK;
/**
 * `step` was executed, and `next` is the address of what was executed next in the traced code. Where the
 * instruction cannot go there, the flow goes to where it does go, and from there on by an asynchronous branch.
 */
struct strobe_error *pt_writer_step(struct pt_writer *writer, const struct pt_step *step,
				    uint64_t next) STROBE_MUST_CHECK;
/**
 * `step` was executed and tracing ended with it: TIP.PGD. Of a far branch (syscall) nobody knows where it went, and
 * `next` is ignored; any other went to `next`, out of what is traced.
 */
struct strobe_error *pt_writer_disable(struct pt_writer *writer, const struct pt_step *step,
				       uint64_t next) STROBE_MUST_CHECK;
/** Tracing ended before the instruction at `address` was executed: FUP, TIP.PGD. */
struct strobe_error *pt_writer_async_disable(struct pt_writer *writer, uint64_t address)
	STROBE_MUST_CHECK;
/** Execution went from `from`, which was not executed, to `to`: FUP, TIP. */
struct strobe_error *pt_writer_async_branch(struct pt_writer *writer, uint64_t from, uint64_t to)
	STROBE_MUST_CHECK;
/**
 * PTWRITE with a payload of 8 bytes. With tracing enabled it is bound to the instruction at `address` (FUP), whose step
 * is to follow: decoders tell it behind that instruction, and one at most of each. With tracing disabled `address`
 * is not used, and there may be any number. Like all that is bound by address alone, it is at the first pass where
 * a loop without any packets passes there.
 */
struct strobe_error *pt_writer_ptwrite(struct pt_writer *writer, uint64_t address, uint64_t payload)
	STROBE_MUST_CHECK;
/**
 * A PSB+ at the next place where one can be, which is behind a branch that has a packet, so that its address stands for
 * one place in the flow only: what was written before is then a whole block.
 */
void pt_writer_sync(struct pt_writer *writer);
/** Any packet as it is: `packet` is a struct pt_packet of libipt. For tests of kinds that have no call here. */
struct strobe_error *pt_writer_packet(struct pt_writer *writer, const void *packet)
	STROBE_MUST_CHECK;

/** Bytes made so far and not taken yet; pending TNT bits are flushed only by what forces them out. */
const uint8_t *pt_writer_bytes(const struct pt_writer *writer, size_t *size);
/** Size of the bytes before the last PSB: whole blocks. */
size_t pt_writer_whole(const struct pt_writer *writer);
/** Forgets the first `size` bytes. */
void pt_writer_take(struct pt_writer *writer, size_t size);

#endif
