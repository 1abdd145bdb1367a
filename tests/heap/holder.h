// SPDX-License-Identifier: Apache-2.0
#ifndef TESTS_HEAP_HOLDER_H
#define TESTS_HEAP_HOLDER_H

// Runs a program that keeps a book of its blocks (busy.c) and compares the heap's books with it.

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strobe/heap.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../check.h"
#include "truth.h"

struct holder {
	pid_t pid;
	struct truth *truth;
	struct strobe_view *view;
	struct strobe_symbols *symbols;
	struct strobe_heap *heap;
};

/** What comparing found. */
struct comparison {
	struct truth *truth;
	const struct strobe_heap *heap;
	const char *allocator;	    // blocks of others are passed over
	uint64_t held, seen;	    // blocks in the book; of these, allocated in the heap
	uint64_t invented, resized; // allocated, not in the book; in both, of different sizes
	uint64_t misrequested;	    // requested_bytes is neither 0 nor what was asked for
	uint64_t requested;	    // blocks that have it
	uint64_t disorder;	    // blocks that are not behind the one before
	uint64_t blocks[STROBE_HEAP_BOOKS + 1], bytes[STROBE_HEAP_BOOKS + 1];
	uint64_t end, invented_bytes;
};

/** Starts `argv`, whose second element becomes the book's descriptor, and waits until it stands still. */
static inline void holder_start(struct holder *holder, const char **argv, const char *environment)
{
	char number[16];
	int fd = memfd_create("truth", 0);
	CHECK(fd >= 0 && ftruncate(fd, sizeof(struct truth)) == 0);
	holder->truth = mmap(NULL, sizeof(struct truth), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CHECK(holder->truth != MAP_FAILED);
	snprintf(number, sizeof(number), "%d", fd);
	argv[1] = number;
	holder->pid = fork();
	CHECK(holder->pid >= 0);
	if (holder->pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (environment)
			putenv((char *)environment);
		execvp(argv[0], (char **)argv);
		_exit(127);
	}
	close(fd);
	for (int i = 0; i < 60000 && !atomic_load(&holder->truth->ready); i++) {
		int status;
		CHECK(waitpid(holder->pid, &status, WNOHANG) == 0);
		usleep(1000);
	}
	CHECK(atomic_load(&holder->truth->ready));
	CHECK_EQUAL(atomic_load(&holder->truth->overflow), 0);
}

static inline void holder_open(struct holder *holder)
{
	char target[16];
	snprintf(target, sizeof(target), "%d", holder->pid);
	CHECK_OK(strobe_view_open(target, NULL, &holder->view));
	CHECK_OK(strobe_symbols_open(holder->view, &holder->symbols));
	CHECK_OK(strobe_heap_open(holder->symbols, &holder->heap));
}

static inline void holder_stop(struct holder *holder)
{
	strobe_heap_close(holder->heap);
	strobe_symbols_close(holder->symbols);
	strobe_view_close(holder->view);
	if (holder->pid > 0) {
		kill(holder->pid, SIGKILL);
		waitpid(holder->pid, NULL, 0);
	}
	if (holder->truth)
		munmap(holder->truth, sizeof(struct truth));
	memset(holder, 0, sizeof(*holder));
}

static inline bool compare_block(void *context, const struct strobe_heap_block *block)
{
	struct comparison *comparison = context;
	size_t allocator = strobe_heap_arena(comparison->heap, block->arena)->allocator;
	const char *name = strobe_heap_allocator(comparison->heap, allocator)->name;
	if (block->address < comparison->end)
		comparison->disorder++;
	comparison->end = block->address + block->size_bytes;
	if (strcmp(name, comparison->allocator) != 0)
		return true;
	comparison->blocks[block->state]++;
	comparison->bytes[block->state] += block->size_bytes;
	if (block->state != STROBE_HEAP_ALLOCATED)
		return true;
	struct truth_slot *slot = truth_find(comparison->truth, block->address);
	if (!slot) {
		if (comparison->invented++ < 10)
			printf("# not in the book: 0x%llx, %llu bytes\n",
			       (unsigned long long)block->address,
			       (unsigned long long)block->size_bytes);
		comparison->invented_bytes += block->size_bytes;
		return true;
	}
	comparison->seen++;
	if (slot->usable != block->size_bytes && comparison->resized++ < 10)
		printf("# 0x%llx: %llu bytes, in the book %llu\n",
		       (unsigned long long)block->address, (unsigned long long)block->size_bytes,
		       (unsigned long long)slot->usable);
	if (block->requested_bytes) {
		comparison->requested++;
		if (block->requested_bytes != slot->requested && comparison->misrequested++ < 10)
			printf("# 0x%llx: requested %llu bytes, in the book %llu\n",
			       (unsigned long long)block->address,
			       (unsigned long long)block->requested_bytes,
			       (unsigned long long)slot->requested);
	}
	return true;
}

/** Compares all blocks of the allocator of that name. */
static inline void holder_compare(struct holder *holder, const char *allocator,
				  struct comparison *ret)
{
	*ret = (struct comparison){
		.truth = holder->truth, .heap = holder->heap, .allocator = allocator};
	for (size_t i = 0; i < TRUTH_SLOTS; i++)
		ret->held += atomic_load(&holder->truth->slots[i].address) > 1;
	CHECK_OK(strobe_heap_blocks(holder->heap, compare_block, ret));
	static const char *const states[] = {"allocated", "free", "cached",
					     "fast bin",  "top",  "books"};
	for (size_t i = 0; i <= STROBE_HEAP_BOOKS; i++)
		printf("# %s: %llu blocks, %llu bytes\n", states[i],
		       (unsigned long long)ret->blocks[i], (unsigned long long)ret->bytes[i]);
	for (size_t i = 0; i < strobe_heap_damage_count(holder->heap) && i < 10; i++)
		printf("# damage at 0x%llx: %s\n",
		       (unsigned long long)strobe_heap_damage(holder->heap, i)->address,
		       strobe_heap_damage(holder->heap, i)->what);
}

#endif
