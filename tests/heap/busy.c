// SPDX-License-Identifier: Apache-2.0
// A program that allocates and frees in many threads, keeps book of what it holds, and then stands still.
// usage: busy TABLE_FD THREADS OPERATIONS LARGEST SEED
// With INTERPOSED, all of the process's blocks are in the book, the C library's too.
#ifndef _GNU_SOURCE
#define _GNU_SOURCE // for musl-gcc
#endif
#include <dlfcn.h>
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "truth.h"

enum { SHARED = 4096, MINE = 512, MAX_THREADS = 64 };

/** Before main knows where the book is, the blocks are here. */
static struct truth *truth;
static struct {
	void *pointer;
	size_t size;
} early[4096];
static size_t early_count;

static _Atomic(void *) shared[SHARED];
static _Atomic unsigned standing;
static unsigned thread_count;
static size_t operations, largest;

static void note(void *pointer, size_t size)
{
	if (!pointer)
		return;
	if (truth) {
		truth_add(truth, pointer, malloc_usable_size(pointer), size);
	} else if (early_count < sizeof(early) / sizeof(early[0])) {
		early[early_count].pointer = pointer;
		early[early_count++].size = size;
	}
}

static void forget(void *pointer)
{
	if (truth)
		truth_remove(truth, pointer);
	for (size_t i = 0; !truth && i < early_count; i++)
		if (early[i].pointer == pointer)
			early[i].pointer = NULL;
}

#ifdef INTERPOSED
#define NEXT(type, name, ...) static type (*name)(__VA_ARGS__)
NEXT(void *, next_malloc, size_t);
NEXT(void *, next_calloc, size_t, size_t);
NEXT(void *, next_realloc, void *, size_t);
NEXT(void, next_free, void *);
NEXT(void *, next_aligned_alloc, size_t, size_t);

static void resolve(void)
{
	if (next_malloc)
		return;
	next_calloc = (void *(*)(size_t, size_t))dlsym(RTLD_NEXT, "calloc");
	next_realloc = (void *(*)(void *, size_t))dlsym(RTLD_NEXT, "realloc");
	next_free = (void (*)(void *))dlsym(RTLD_NEXT, "free");
	next_aligned_alloc = (void *(*)(size_t, size_t))dlsym(RTLD_NEXT, "aligned_alloc");
	next_malloc = (void *(*)(size_t))dlsym(RTLD_NEXT, "malloc");
}

void *malloc(size_t size)
{
	resolve();
	void *pointer = next_malloc(size);
	note(pointer, size);
	return pointer;
}

void *calloc(size_t count, size_t size)
{
	resolve();
	void *pointer = next_calloc(count, size);
	note(pointer, count * size);
	return pointer;
}

void *realloc(void *old, size_t size)
{
	resolve();
	if (old)
		forget(old);
	void *pointer = next_realloc(old, size);
	note(pointer, size);
	return pointer;
}

void *aligned_alloc(size_t alignment, size_t size)
{
	resolve();
	void *pointer = next_aligned_alloc(alignment, size);
	note(pointer, size);
	return pointer;
}

void *memalign(size_t alignment, size_t size)
{
	return aligned_alloc(alignment, size);
}

int posix_memalign(void **ret, size_t alignment, size_t size)
{
	*ret = aligned_alloc(alignment, size);
	return *ret ? 0 : ENOMEM;
}

void free(void *pointer)
{
	resolve();
	if (pointer)
		forget(pointer);
	next_free(pointer);
}
#define hold_malloc malloc
#define hold_calloc calloc
#define hold_realloc realloc
#define hold_aligned aligned_alloc
#define let_go free
#else
static void *hold_malloc(size_t size)
{
	void *pointer = malloc(size);
	note(pointer, size);
	return pointer;
}

static void *hold_calloc(size_t count, size_t size)
{
	void *pointer = calloc(count, size);
	note(pointer, count * size);
	return pointer;
}

static void *hold_realloc(void *old, size_t size)
{
	if (old)
		forget(old);
	void *pointer = realloc(old, size);
	note(pointer, size);
	return pointer;
}

static void *hold_aligned(size_t alignment, size_t size)
{
	void *pointer = aligned_alloc(alignment, size);
	note(pointer, size);
	return pointer;
}

static void let_go(void *pointer)
{
	if (pointer)
		forget(pointer);
	free(pointer);
}
#endif

static uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

/** Mostly small, some of pages, a few as large as may be. */
static size_t random_size(uint64_t *state)
{
	uint64_t kind = next_random(state) % 1000, value = next_random(state);
	if (kind < 800)
		return 1 + value % 512;
	if (kind < 970)
		return 1 + value % 16384;
	if (kind < 998)
		return 1 + value % (largest < 262144 ? largest : 262144);
	return 1 + value % largest;
}

static void *allocate(uint64_t *state, void *old)
{
	size_t size = random_size(state);
	if (size > 1 << 26) { // of the largest, nothing is touched
		let_go(old);
		return hold_malloc(size);
	}
	switch (next_random(state) % 8) {
	case 0:
		let_go(old);
		return hold_calloc(1, size);
	case 1:
	case 2:
		return hold_realloc(old, size);
	case 3:
		let_go(old);
		return hold_aligned((size_t)16 << next_random(state) % 9,
				    (size + 4095) / 4096 * 4096);
	default:
		let_go(old);
		return hold_malloc(size);
	}
}

/** Works on blocks of its own and on those of all; frees what others allocated. */
static void work(uint64_t seed)
{
	void **mine = mmap(NULL, MINE * sizeof(*mine), PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint64_t state = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
	for (size_t i = 0; i < operations; i++) {
		size_t at = next_random(&state) % MINE;
		mine[at] = allocate(&state, mine[at]);
		if (i % 4 == 0) {
			size_t place = next_random(&state) % SHARED;
			mine[at] = atomic_exchange(&shared[place], mine[at]);
		}
		if (i % 3 == 0) {
			at = next_random(&state) % MINE;
			let_go(mine[at]);
			mine[at] = NULL;
		}
	}
	for (size_t i = 0; i < MINE; i += 3) {
		let_go(mine[i]);
		mine[i] = NULL;
	}
}

static void *thread_main(void *argument)
{
	uint64_t number = (uint64_t)(uintptr_t)argument;
	work(number);
	if (number % 4 == 3)
		return NULL; // its cache ends with it
	atomic_fetch_add(&standing, 1);
	for (;;)
		pause();
}

int main(int argc, char **argv)
{
	if (argc < 6)
		return 2;
	struct truth *book =
		mmap(NULL, sizeof(*book), PROT_READ | PROT_WRITE, MAP_SHARED, atoi(argv[1]), 0);
	thread_count = (unsigned)atoi(argv[2]);
	operations = (size_t)atol(argv[3]);
	largest = (size_t)atol(argv[4]);
	uint64_t seed = (uint64_t)atol(argv[5]) * 1000;
	pthread_t threads[MAX_THREADS];
	if (book == MAP_FAILED || thread_count > MAX_THREADS)
		return 2;
	truth = book;
	for (size_t i = 0; i < early_count; i++)
		if (early[i].pointer)
			note(early[i].pointer, early[i].size);
	unsigned staying = 0;
	for (uint64_t i = 0; i < thread_count; i++) {
		staying += (seed + i) % 4 != 3;
		if (pthread_create(&threads[i], NULL, thread_main, (void *)(uintptr_t)(seed + i)) !=
		    0)
			return 3;
	}
	for (uint64_t i = 0; i < thread_count; i++)
		if ((seed + i) % 4 == 3)
			pthread_join(threads[i], NULL);
	work(seed + 1000);
	while (atomic_load(&standing) < staying)
		usleep(1000);
	usleep(20000); // the last may not be in pause() yet
	atomic_store(&truth->ready, 1);
	for (;;)
		pause();
}
