// SPDX-License-Identifier: Apache-2.0
#include "snapshot/write_behind.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "check.h"

enum { PAGE = 4096, SENT = 20, GAP = 3 << 20 };

/** A block whose pages hold `value`, but for every third, which is zero, and `skip` behind it. */
static void fill(struct block *block, uint8_t value, size_t pages, uint64_t skip)
{
	for (size_t i = 0; i < pages; i++) {
		block->zero[i] = i % 3 == 0;
		memset(block->bytes + i * PAGE, value, PAGE);
	}
	block->count = pages;
	block->skip = skip;
}

/** Compares a file with what the blocks say: `pages` each. */
static void compare(const uint8_t *file, size_t blocks, size_t pages)
{
	for (size_t i = 0; i < blocks; i++) {
		for (size_t k = 0; k < pages; k++) {
			const uint8_t *page = file + i * (pages * PAGE + GAP) + k * PAGE;
			uint8_t value = k % 3 == 0 ? 0 : (uint8_t)(i + 1);
			CHECK_EQUAL(page[0], value);
			CHECK(memcmp(page, page + 1, PAGE - 1) == 0);
		}
	}
}

static void write_blocks(size_t blocks, size_t pages)
{
	struct sink sink;
	struct output *output;
	struct behind *behind;
	int fd = memfd_create("blocks", 0);
	CHECK(fd >= 0);
	sink_init(&sink, fd, "blocks");
	CHECK_OK(output_new(&sink, NULL, &output));
	CHECK_OK(behind_new(output, &behind));
	for (size_t i = 0; i < blocks; i++) {
		fill(behind_block(behind), (uint8_t)(i + 1), pages, GAP);
		if (i + 1 < blocks)
			CHECK_OK(behind_send(behind));
	}
	CHECK_OK(behind_finish(behind));
	CHECK(!behind_free(behind));
	CHECK_OK(output_finish(output));
	output_free(output);
	size_t size = blocks * (pages * PAGE + GAP);
	struct stat status;
	CHECK(fstat(fd, &status) == 0);
	CHECK_EQUAL((uint64_t)status.st_size, size);
	const uint8_t *file = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
	CHECK(file != MAP_FAILED);
	compare(file, blocks, pages);
	munmap((void *)file, size);
	close(fd);
}

static void blocks_come_in_order(void)
{
	write_blocks(SENT, BLOCK_PAGES);
}

static void one_block_needs_no_thread(void)
{
	write_blocks(1, 7);
}

/** Errors come with this block or a later one, at the last with the end. */
static void errors_are_told(void)
{
	struct sink sink;
	struct output *output;
	struct behind *behind;
	struct strobe_error *error = NULL;
	int fd = open("/dev/full", O_WRONLY);
	CHECK(fd >= 0);
	sink_init(&sink, fd, "full");
	CHECK_OK(output_new(&sink, NULL, &output));
	CHECK_OK(behind_new(output, &behind));
	for (size_t i = 0; !error && i < SENT; i++) {
		fill(behind_block(behind), 1, BLOCK_PAGES, 0);
		error = behind_send(behind);
	}
	CHECK(error && strobe_error_code(error) == STROBE_ERROR_SYSTEM);
	strobe_error_free(error);
	behind_free(behind);
	output_free(output);
	close(fd);
}

static void what_is_under_way_can_be_dropped(void)
{
	struct sink sink;
	struct output *output;
	struct behind *behind;
	int fd = memfd_create("blocks", 0);
	sink_init(&sink, fd, "blocks");
	CHECK_OK(output_new(&sink, NULL, &output));
	CHECK_OK(behind_new(output, &behind));
	for (size_t i = 0; i < 3; i++) {
		fill(behind_block(behind), 1, BLOCK_PAGES, 0);
		CHECK_OK(behind_send(behind));
	}
	behind_free(behind);
	output_free(output);
	close(fd);
}

CHECK_MAIN({"blocks come in their order", blocks_come_in_order},
	   {"one block needs no thread", one_block_needs_no_thread},
	   {"errors are told", errors_are_told},
	   {"what is under way can be dropped", what_is_under_way_can_be_dropped})
