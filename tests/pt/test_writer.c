// SPDX-License-Identifier: Apache-2.0
// What was written is read back by libipt's instruction decoder: the same addresses and events in the same
// order, as one stream, and block by block.

#include <intel-pt.h>

#include "check.h"
#include "reading.h"
#include "pt/return_stack.h"

/** As one stream. */
static void check_whole(const struct walk *walk, const uint8_t *bytes, size_t size)
{
	struct reading reading = {0};
	reading_begin(&reading, walk->program, bytes, size, NULL);
	CHECK_EQUAL(-reading_run(&reading), pte_eos);
	CHECK(reading_compare(&reading, walk, walk->items.count, true));
	reading_end(&reading);
	array_fini(&reading.items);
}

static uint64_t first_address(const uint8_t *bytes, size_t size)
{
	struct pt_config config;
	struct pt_packet packet = {0};
	pt_config_init(&config);
	config.begin = (uint8_t *)(uintptr_t)bytes;
	config.end = config.begin + size;
	struct pt_packet_decoder *decoder = pt_pkt_alloc_decoder(&config);
	CHECK(pt_pkt_sync_forward(decoder) >= 0);
	while (packet.type != ppt_psbend && packet.type != ppt_fup)
		CHECK(pt_pkt_next(decoder, &packet, sizeof(packet)) >= 0);
	pt_pkt_free_decoder(decoder);
	if (packet.type == ppt_psbend)
		return 0;
	CHECK(packet.payload.ip.ipc == pt_ipc_update_16 ||
	      packet.payload.ip.ipc == pt_ipc_update_32 || packet.payload.ip.ipc == pt_ipc_sext_48);
	return packet.payload.ip.ip;
}

/** Each block by itself, with a decoder of its own. */
static size_t check_blocks(const struct walk *walk, const uint8_t *bytes, size_t size)
{
	struct reading reading = {0};
	size_t blocks = 0;
	for (size_t at = 0, next; at < size; at = next, blocks++) {
		next = find_psb(bytes, size, at + 1);
		reading_begin(&reading, walk->program, bytes + at, next - at, NULL);
		reading.stop = next < size ? first_address(bytes + next, size - next) : 0;
		CHECK_EQUAL(-reading_run(&reading), pte_eos);
		reading_end(&reading);
	}
	CHECK(reading_compare(&reading, walk, walk->items.count, true));
	array_fini(&reading.items);
	return blocks;
}

struct trial {
	uint64_t seed;
	unsigned instructions, follow_returns, deeper;
	struct pt_writer_options writer;
};

static void wander(struct walk *walk)
{
	for (unsigned i = 0; i < 40; i++) {
		walk_run(walk, 1 + chance_below(&walk->chance, 800));
		switch (chance_below(&walk->chance, 5)) {
		case 0:
			walk_interrupt(walk);
			break;
		case 1:
			walk_skip(walk, 50);
			break;
		case 2:
			walk_ptwrite(walk, chance_next(&walk->chance));
			break;
		case 3:
			walk_leave(walk);
			walk_run(walk, 10);
			walk_ptwrite(walk, 1);
			walk_ptwrite(walk, 2);
			walk_enable(walk);
			break;
		default:
			pt_writer_sync(walk->writer);
		}
	}
}

static void try_one(const struct trial *trial)
{
	struct program program;
	struct walk walk;
	size_t size;
	struct walk_options options = {.seed = trial->seed ^ 77,
				       .follow_returns = trial->follow_returns,
				       .deeper = trial->deeper,
				       .writer = trial->writer,
				       .timed = trial->seed % 2,
				       .clock = 1000,
				       .clock_step = 3};
	program_make(&program, trial->seed, 0x400000, trial->instructions, &program_mix_usual);
	walk_begin(&walk, &program, &options);
	if (trial->seed % 3 == 0)
		walk_ptwrite(&walk, trial->seed);
	walk_enable(&walk);
	wander(&walk);
	const uint8_t *bytes = walk_end(&walk, &size);
	check_whole(&walk, bytes, size);
	size_t blocks = check_blocks(&walk, bytes, size);
	CHECK(blocks > 1);
	walk_done(&walk);
	program_fini(&program);
}

static void run_many(unsigned follow_returns, unsigned deeper,
		     const struct pt_writer_options *writer)
{
	for (uint64_t seed = 1; seed <= 40; seed++) {
		struct trial trial = {.seed = seed,
				      .instructions = 20 + (unsigned)seed * 40,
				      .follow_returns = follow_returns,
				      .deeper = deeper,
				      .writer = *writer};
		printf("# seed %llu\n", (unsigned long long)seed);
		try_one(&trial);
	}
}

static void with_returns(void)
{
	run_many(100, 0, &(struct pt_writer_options){.psb_bytes = 512});
}

static void with_false_returns(void)
{
	run_many(70, 0, &(struct pt_writer_options){.psb_bytes = 2048});
}

static void with_deep_recursion(void)
{
	run_many(95, 60, &(struct pt_writer_options){.psb_bytes = 100000});
}

static void with_long_tnt(void)
{
	run_many(90, 10, &(struct pt_writer_options){.psb_bytes = 700, .long_tnt = true});
}

static void without_compression(void)
{
	run_many(100, 0,
		 &(struct pt_writer_options){.no_return_compression = true, .core_bus_ratio = 36});
}

static unsigned count_packets(const uint8_t *bytes, size_t size, enum pt_packet_type type)
{
	struct pt_config config;
	unsigned count = 0;
	pt_config_init(&config);
	config.begin = (uint8_t *)(uintptr_t)bytes;
	config.end = config.begin + size;
	struct pt_packet_decoder *decoder = pt_pkt_alloc_decoder(&config);
	struct pt_packet packet;
	CHECK(pt_pkt_sync_forward(decoder) >= 0);
	while (pt_pkt_next(decoder, &packet, sizeof(packet)) >= 0)
		count += packet.type == type;
	pt_pkt_free_decoder(decoder);
	return count;
}

// Recursion by hand: `depth` calls, each back into the same function, then as many returns.
static unsigned count_tips(unsigned depth)
{
	struct pt_writer *writer;
	struct pt_writer_options options = {.psb_bytes = 1 << 20};
	struct pt_step call = {0x1000, 5, STROBE_FLOW_CALL, true, 0x1000};
	struct pt_step test = {0x1000 - 6, 6, STROBE_FLOW_COND_JUMP, true, 0x1000 - 6};
	struct pt_step back = {0x1005, 1, STROBE_FLOW_RETURN, false, 0};
	size_t size;
	CHECK_OK(pt_writer_new(&options, &writer));
	CHECK_OK(pt_writer_enable(writer, test.address));
	CHECK_OK(pt_writer_step(writer, &test, 0x1000));
	for (unsigned i = 0; i < depth; i++)
		CHECK_OK(pt_writer_step(writer, &call, i + 1 < depth ? 0x1000 : 0x1005));
	for (unsigned i = 0; i < depth; i++)
		CHECK_OK(pt_writer_step(writer, &back, 0x1005));
	CHECK_OK(pt_writer_async_disable(writer, 0x1005));
	const uint8_t *bytes = pt_writer_bytes(writer, &size);
	unsigned tips = count_packets(bytes, size, ppt_tip);
	pt_writer_free(writer);
	return tips;
}

static void returns_beyond_64_have_packets(void)
{
	// One packet takes the flow out of the recursion.
	CHECK_EQUAL(count_tips(64), 1);
	CHECK_EQUAL(count_tips(65), 2);
	CHECK_EQUAL(count_tips(100), 37);
}

static void a_stale_call_is_not_used(void)
{
	struct return_stack stack = {0};
	return_stack_push(&stack, 10);
	return_stack_push(&stack, 20);
	CHECK(!return_stack_return(&stack, 30)); // one decoder now has 10 on top, another 20
	CHECK(!return_stack_return(&stack, 20));
	return_stack_push(&stack, 40);
	CHECK(return_stack_return(&stack, 40));
	CHECK(!return_stack_return(&stack, 10));
	return_stack_clear(&stack);
	CHECK(!return_stack_return(&stack, 10));
}

static void bytes_are_taken(void)
{
	struct program program;
	struct walk walk;
	struct walk_options options = {.seed = 5, .follow_returns = 100, .writer.psb_bytes = 256};
	ARRAY(uint8_t) all = {0};
	size_t size;
	program_make(&program, 5, 0x7f0000001000, 500, &program_mix_usual);
	walk_begin(&walk, &program, &options);
	walk_enable(&walk);
	for (unsigned i = 0; i < 200; i++) {
		walk_run(&walk, 20);
		size_t whole = pt_writer_whole(walk.writer);
		const uint8_t *bytes = pt_writer_bytes(walk.writer, &size);
		CHECK(whole <= size);
		CHECK(!whole || find_psb(bytes, size, whole) == whole);
		for (size_t k = 0; k < whole; k++)
			CHECK(array_push(&all, bytes[k]));
		pt_writer_take(walk.writer, whole);
		CHECK_EQUAL(pt_writer_whole(walk.writer), 0);
	}
	const uint8_t *bytes = walk_end(&walk, &size);
	for (size_t k = 0; k < size; k++)
		CHECK(array_push(&all, bytes[k]));
	check_whole(&walk, all.items, all.count);
	CHECK(check_blocks(&walk, all.items, all.count) > 4);
	array_fini(&all);
	walk_done(&walk);
	program_fini(&program);
}

static void what_cannot_be_is_an_asynchronous_branch(void)
{
	struct pt_writer *writer;
	struct pt_writer_options options = {0};
	struct pt_step plain = {0x2000, 1, STROBE_FLOW_OTHER, false, 0};
	size_t size;
	CHECK_OK(pt_writer_new(&options, &writer));
	CHECK_OK(pt_writer_enable(writer, 0x2000));
	CHECK_OK(pt_writer_step(writer, &plain, 0x2001));
	const uint8_t *bytes = pt_writer_bytes(writer, &size);
	CHECK_EQUAL(count_packets(bytes, size, ppt_tip), 0);
	plain.address = 0x2001;
	CHECK_OK(pt_writer_step(writer, &plain, 0x3000));
	bytes = pt_writer_bytes(writer, &size);
	CHECK_EQUAL(count_packets(bytes, size, ppt_tip), 1);
	CHECK_EQUAL(count_packets(bytes, size, ppt_fup), 2);
	pt_writer_free(writer);
}

CHECK_MAIN({"random programs whose returns match", with_returns},
	   {"returns that go elsewhere", with_false_returns},
	   {"recursion deeper than 64", with_deep_recursion}, {"long TNT packets", with_long_tnt},
	   {"without return compression", without_compression},
	   {"returns beyond the 64th have packets", returns_beyond_64_have_packets},
	   {"an entry that decoders disagree on is not used", a_stale_call_is_not_used},
	   {"bytes are taken while it is written", bytes_are_taken},
	   {"what cannot be is an asynchronous branch", what_cannot_be_is_an_asynchronous_branch})
