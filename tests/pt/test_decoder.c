// SPDX-License-Identifier: Apache-2.0
#include <intel-pt.h>
#include <stdio.h>

#include "check.h"
#include "fixture.h"

// Recorded and synthetic traces against libipt's instruction decoder, which sees each stream as a whole.

enum { CODE_OFFSET = 0x1000, CODE_SIZE = 0x3d5, CODE_START = 0x401000 };

static char path_buffer[512];

static const char *path_of(const char *name)
{
	snprintf(path_buffer, sizeof(path_buffer), "%s/%s", TRACES, name);
	return path_buffer;
}

/** All addresses that libipt's instruction decoder gives. */
struct truth {
	ARRAY(uint64_t) addresses;
	int status; // how it ended
};

static void read_sync(struct truth *truth, struct pt_insn_decoder *decoder, int status)
{
	while (status >= 0) {
		struct pt_event event;
		struct pt_insn instruction = {.iclass = ptic_error};
		while (status >= 0 && status & pts_event_pending)
			status = pt_insn_event(decoder, &event, sizeof(event));
		if (status < 0)
			break;
		status = pt_insn_next(decoder, &instruction, sizeof(instruction));
		if (status >= 0 || instruction.iclass != ptic_error)
			CHECK(array_push(&truth->addresses, instruction.ip));
	}
	truth->status = status;
}

static void find_truth(struct truth *truth, const char *packets, const char *code)
{
	struct bytes bytes = read_bytes(path_of(packets));
	struct pt_config config;
	pt_config_init(&config);
	config.begin = bytes.data;
	config.end = bytes.data + bytes.size;
	struct pt_insn_decoder *decoder = pt_insn_alloc_decoder(&config);
	CHECK(decoder != NULL);
	CHECK(pt_image_add_file(pt_insn_get_image(decoder), path_of(code), CODE_OFFSET, CODE_SIZE,
				NULL, CODE_START) >= 0);
	for (int status; (status = pt_insn_sync_forward(decoder)) >= 0;)
		read_sync(truth, decoder, status);
	pt_insn_free_decoder(decoder);
	free(bytes.data);
}

static void open_trace(const char *packets, const char *code, size_t piece,
		       struct trace_source *ret, struct bytes *ret_packets)
{
	struct bytes elf = read_bytes(path_of(code));
	struct pt_input input;
	*ret_packets = read_bytes(path_of(packets));
	input_make(&input, CODE_START, elf.data + CODE_OFFSET, CODE_SIZE);
	free(elf.data);
	input_add_thread(&input, 7, ret_packets->data, ret_packets->size, piece);
	CHECK_OK(pt_source_open(&input, ret));
}

static void read_trace(const char *packets, const char *code, size_t piece, struct items *ret)
{
	struct trace_source source;
	struct bytes bytes;
	memset(ret, 0, sizeof(*ret));
	open_trace(packets, code, piece, &source, &bytes);
	items_read(ret, &source, 0);
	struct items slow = {0};
	items_read_slowly(&slow, &source, 0);
	CHECK(items_equal(ret, &slow));
	items_fini(&slow);
	source.ops->close(source.context);
	free(bytes.data);
}

// The number of instructions that both have in common from the first on.
static size_t common(const struct items *items, const struct truth *truth)
{
	size_t count = 0;
	for (size_t i = 0; i < items->items.count; i++) {
		if (items->items.items[i].kind != STROBE_ITEM_INSTRUCTION)
			continue;
		if (count >= truth->addresses.count ||
		    items->items.items[i].address != truth->addresses.items[count])
			break;
		count++;
	}
	return count;
}

static void compare(const char *packets, const char *code, size_t count)
{
	struct truth truth = {0};
	struct items items, pieces;
	find_truth(&truth, packets, code);
	read_trace(packets, code, 0, &items);
	CHECK_EQUAL(truth.addresses.count, count);
	CHECK_EQUAL(items.instructions, count);
	CHECK_EQUAL(common(&items, &truth), count);
	CHECK_EQUAL(items.errors, 0);
	read_trace(packets, code, 101, &pieces);
	CHECK(items_equal(&items, &pieces));
	array_fini(&truth.addresses);
	items_fini(&items);
	items_fini(&pieces);
}

static void test_whole(void)
{
	compare("calls1/calls.pt", "calls1/calls", 306791);
	compare("calls6/calls.pt", "calls6/calls", 1551712);
	compare("threads2/5001.pt", "calls1/calls", 306791);
	compare("threads2/5002.pt", "calls1/calls", 306129);
}

static void test_cut(void)
{
	compare("faulty/trunc.pt", "calls1/calls", 225571);
}

static void test_each_cut(void)
{
	// Wherever a trace is cut, no instruction is lost that libipt finds.
	struct bytes packets = read_bytes(path_of("calls1/calls.pt"));
	for (size_t size = 16; size < packets.size; size += 997) {
		struct truth truth = {0};
		struct items items;
		char name[] = "/tmp/strobe-cut-XXXXXX";
		int fd = mkstemp(name);
		FILE *file = fdopen(fd, "wb");
		CHECK(file && fwrite(packets.data, 1, size, file) == size);
		fclose(file);
		snprintf(path_buffer, sizeof(path_buffer), "%s", name);
		char relative[64];
		snprintf(relative, sizeof(relative), "../../../../../../../../../../../..%s", name);
		find_truth(&truth, relative, "calls1/calls");
		read_trace(relative, "calls1/calls", 0, &items);
		remove(name);
		CHECK_EQUAL(items.instructions, truth.addresses.count);
		CHECK_EQUAL(common(&items, &truth), truth.addresses.count);
		array_fini(&truth.addresses);
		items_fini(&items);
	}
	free(packets.data);
}

static void test_random_order(void)
{
	struct trace_source source;
	struct bytes bytes;
	struct items items = {0}, again = {0};
	struct code_map *map = NULL;
	void *decoder = NULL;
	struct window window;
	const struct source_want want = {.enough = UINT32_MAX};
	open_trace("calls6/calls.pt", "calls6/calls", 0, &source, &bytes);
	uint64_t count = source.ops->block_count(source.context, 0);
	CHECK(count > 20);
	CHECK_OK(source.ops->decoder_new(source.context, &decoder, &map));
	window_init(&window);
	// Backwards with one decoder, forwards with a fresh one for each block.
	for (uint64_t block = count; block-- > 0;) {
		struct code_map *fresh_map = NULL;
		void *fresh = NULL;
		items.items.count = again.items.count = 0;
		CHECK_OK(source.ops->decode(decoder, 0, block, &want, &window));
		CHECK(window.complete && !window.more);
		items_add(&items, &window, map);
		CHECK_OK(source.ops->decoder_new(source.context, &fresh, &fresh_map));
		CHECK_OK(source.ops->decode(fresh, 0, block, &want, &window));
		items_add(&again, &window, fresh_map);
		source.ops->decoder_free(fresh);
		CHECK(items_equal(&items, &again));
		uint32_t all = window.item_count;
		const struct source_want few = {.enough = 100};
		CHECK_OK(source.ops->decode(decoder, 0, block, &few, &window));
		CHECK(window.item_count > 100 && !window.complete && window.item_count < all);
		CHECK(window.item_count < 1000);
	}
	source.ops->decoder_free(decoder);
	source.ops->close(source.context);
	window_fini(&window);
	items_fini(&items);
	items_fini(&again);
	free(bytes.data);
}

static void test_no_sync(void)
{
	struct items items;
	read_trace("faulty/nopsb.pt", "calls1/calls", 0, &items);
	CHECK_EQUAL(items.items.count, 1);
	CHECK_STRING(items.items.items[0].text,
		     "1400 bytes without a PSB before them: not decoded");
	items_fini(&items);
	read_trace("faulty/empty.pt", "calls1/calls", 0, &items);
	CHECK_EQUAL(items.items.count, 0);
	items_fini(&items);
	struct truth truth = {0};
	find_truth(&truth, "faulty/nohead.pt", "calls1/calls");
	read_trace("faulty/nohead.pt", "calls1/calls", 0, &items);
	CHECK_EQUAL(items.errors, 1);
	CHECK_STRING(items.items.items[0].text,
		     "1348 bytes without a PSB before them: not decoded");
	CHECK_EQUAL(items.instructions, truth.addresses.count);
	CHECK_EQUAL(common(&items, &truth), truth.addresses.count);
	items_fini(&items);
	array_fini(&truth.addresses);
}

// All before the error is true, and nothing true is lost before it.
static void check_damage(const char *packets, const char *text)
{
	struct truth truth = {0};
	struct items items;
	find_truth(&truth, "calls1/calls.pt", "calls1/calls");
	read_trace(packets, "calls1/calls", 0, &items);
	CHECK_EQUAL(items.errors, 1);
	size_t before = 0, instructions = 0;
	for (; items.items.items[before].kind != STROBE_ITEM_ERROR; before++)
		instructions += items.items.items[before].kind == STROBE_ITEM_INSTRUCTION;
	CHECK_STRING(items.items.items[before].text, text);
	CHECK_EQUAL(common(&items, &truth), instructions);
	// Whole blocks follow.
	CHECK(items.instructions > instructions + 50000);
	size_t last = items.items.count, same = truth.addresses.count;
	while (same && items.items.items[last - 1].kind != STROBE_ITEM_ERROR) {
		const struct item *item = &items.items.items[--last];
		if (item->kind == STROBE_ITEM_INSTRUCTION)
			CHECK_EQUAL(item->address, truth.addresses.items[--same]);
	}
	items_fini(&items);
	array_fini(&truth.addresses);
}

static void test_damage(void)
{
	check_damage("faulty/garbled.pt", "unknown opcode at byte 0x2328 of the packets");
	check_damage("faulty/hole.pt",
		     "zero bytes where packets should be at byte 0x2328 of the packets");
}

CHECK_MAIN({"whole traces have the addresses that libipt's instruction decoder finds", test_whole},
	   {"a cut trace loses no instruction", test_cut},
	   {"nor does one that is cut anywhere", test_each_cut},
	   {"blocks are the same in any order and by any decoder", test_random_order},
	   {"bytes without a PSB are an error item", test_no_sync},
	   {"garbled and lost bytes are an error item at that place", test_damage}, )
