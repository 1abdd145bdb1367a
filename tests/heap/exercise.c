// SPDX-License-Identifier: Apache-2.0
// A program that allocates and frees at random, keeps a log of all that malloc gave and took back, whoever called
// it, then says "ready" and waits: exercise LOG [THREADS [ROUNDS [SEED [WAY...]]]]. The log is pairs of words: the
// address, and the usable size, or 0 where it was freed.
//
// WAY: "fork" (a child goes on), "foreign" (others call sbrk too), "blocked" (sbrk cannot grow), "maps" (mappings
// of its own that look like chunks), "exit" (half of the threads end), "many" (small blocks alone).
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

enum { LOG_PAIRS = 1 << 20, SLOTS = 600, MAX_THREADS = 64 };

static _Atomic uint64_t *log_words; // [0] = pairs so far
static const char *ways;

// Allocations before main() are kept here until there is a log.
static uint64_t early[2 * 1024];
static _Atomic uint64_t early_count;

static void note(const void *pointer, uint64_t size)
{
	if (!pointer)
		return;
	if (!log_words) {
		uint64_t at = atomic_fetch_add(&early_count, 1);
		if (at >= 1024)
			_exit(9);
		early[2 * at] = (uint64_t)(uintptr_t)pointer;
		early[2 * at + 1] = size;
		return;
	}
	uint64_t at = atomic_fetch_add(&log_words[0], 1);
	if (at >= LOG_PAIRS - 1)
		_exit(9);
	log_words[2 + 2 * at] = (uint64_t)(uintptr_t)pointer;
	log_words[3 + 2 * at] = size;
}

#ifdef WRAPPED
#define REAL(name) __real_##name
#define OURS(name) __wrap_##name
#else
#define REAL(name) __libc_##name
#define OURS(name) name
#endif
void *REAL(malloc)(size_t size);
void *REAL(calloc)(size_t count, size_t size);
void *REAL(realloc)(void *pointer, size_t size);
void *REAL(memalign)(size_t alignment, size_t size);
void REAL(free)(void *pointer);
void *OURS(malloc)(size_t size);
void *OURS(calloc)(size_t count, size_t size);
void *OURS(realloc)(void *pointer, size_t size);
void *OURS(memalign)(size_t alignment, size_t size);
void *OURS(aligned_alloc)(size_t alignment, size_t size);
int OURS(posix_memalign)(void **ret, size_t alignment, size_t size);
void OURS(free)(void *pointer);

void *OURS(malloc)(size_t size)
{
	void *pointer = REAL(malloc)(size);
	note(pointer, malloc_usable_size(pointer));
	return pointer;
}

void *OURS(calloc)(size_t count, size_t size)
{
	void *pointer = REAL(calloc)(count, size);
	note(pointer, malloc_usable_size(pointer));
	return pointer;
}

void *OURS(realloc)(void *old, size_t size)
{
	uint64_t old_size = malloc_usable_size(old);
	note(old, 0);
	void *pointer = REAL(realloc)(old, size);
	if (pointer)
		note(pointer, malloc_usable_size(pointer));
	else if (size)
		note(old, old_size);
	return pointer;
}

void *OURS(memalign)(size_t alignment, size_t size)
{
	void *pointer = REAL(memalign)(alignment, size);
	note(pointer, malloc_usable_size(pointer));
	return pointer;
}

void *OURS(aligned_alloc)(size_t alignment, size_t size)
{
	return OURS(memalign)(alignment, size);
}

int OURS(posix_memalign)(void **ret, size_t alignment, size_t size)
{
	*ret = OURS(memalign)(alignment, size);
	return *ret ? 0 : ENOMEM;
}

void OURS(free)(void *pointer)
{
	note(pointer, 0);
	REAL(free)(pointer);
}

static bool way(const char *name)
{
	return ways && strstr(ways, name);
}

static uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static size_t random_size(uint64_t *state)
{
	uint64_t kind = next_random(state) % 1000, bits = next_random(state);
	if (way("many") || kind < 600)
		return 1 + bits % 200;
	if (kind < 900)
		return 1 + bits % 3000;
	if (kind < 985)
		return 1 + bits % 200000;
	if (kind < 999)
		return 1 + bits % (4 << 20);
	return 1 + bits % (200 << 20);
}

static void *allocate(uint64_t *state)
{
	size_t size = random_size(state);
	uint64_t how = next_random(state) % 10;
	if (how == 0)
		return calloc(1, size);
	if (how == 1) {
		void *pointer = NULL;
		return posix_memalign(&pointer, (size_t)16 << next_random(state) % 12, size)
			       ? NULL
			       : pointer;
	}
	return malloc(size);
}

static void exercise(void *blocks[SLOTS], unsigned rounds, uint64_t *state)
{
	for (unsigned i = 0; i < rounds; i++) {
		void **slot = &blocks[next_random(state) % SLOTS];
		if (!*slot)
			*slot = allocate(state);
		else if (next_random(state) % 4) {
			free(*slot);
			*slot = NULL;
		} else {
			void *moved = realloc(*slot, random_size(state));
			*slot = moved ? moved : *slot;
		}
		if (way("foreign") && i % 500 == 499) {
			uint64_t *bytes = sbrk(48 + (intptr_t)(next_random(state) % 5000));
			memset(bytes, 0x5a, 48);
		}
	}
}

static struct work {
	uint64_t state;
	unsigned rounds;
	bool ends;
	void *blocks[SLOTS];
} work[MAX_THREADS];
static atomic_uint ready;

static void *run(void *argument)
{
	struct work *mine = argument;
	exercise(mine->blocks, mine->rounds, &mine->state);
	atomic_fetch_add(&ready, 1);
	while (!mine->ends)
		pause();
	return NULL;
}

static void open_log(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
	size_t size = 16 + 16 * (size_t)LOG_PAIRS;
	if (fd < 0 || ftruncate(fd, (off_t)size) != 0)
		_exit(8);
	_Atomic uint64_t *words = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	uint64_t count = early_count;
	words[0] = count;
	for (uint64_t i = 0; i < 2 * count; i++)
		words[2 + i] = early[i];
	log_words = words;
}

/** Mappings of the program that begin as a mmapped chunk would. */
static void make_maps(void)
{
	for (unsigned i = 0; i < 4; i++) {
		uint64_t *words = mmap(NULL, 16 * 4096, PROT_READ | PROT_WRITE,
				       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		memset(words, 0xff, (size_t)16 * 4096);
		words[0] = 0;
		words[1] = ((uint64_t)16 << 12) | 2;
		words[5 * 512] = 0;
		words[5 * 512 + 1] = ((uint64_t)3 << 12) | 2;
	}
}

static void block_sbrk(void)
{
	uintptr_t end = ((uintptr_t)sbrk(0) + 4095) & ~(uintptr_t)4095;
	mmap((void *)end, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
}

static void run_threads(unsigned count, unsigned rounds, uint64_t seed)
{
	pthread_t threads[MAX_THREADS];
	for (unsigned i = 0; i < count && i < MAX_THREADS; i++) {
		work[i] = (struct work){.state = seed * 1000003 + i + 1,
					.rounds = rounds,
					.ends = way("exit") && i % 2};
		if (i > 0 && pthread_create(&threads[i], NULL, run, &work[i]) != 0)
			_exit(7);
		if (i > 0 && work[i].ends && i % 4 == 1)
			pthread_join(threads[i], NULL);
	}
	exercise(work[0].blocks, rounds, &work[0].state);
	while (ready + 1 < count)
		usleep(1000);
	for (unsigned i = 1; i < count; i++)
		if (work[i].ends && i % 4 == 3)
			pthread_join(threads[i], NULL);
	// What others allocated is freed here too.
	for (unsigned i = 1; i < count; i++)
		for (unsigned slot = 0; slot < SLOTS; slot += 7) {
			free(work[i].blocks[slot]);
			work[i].blocks[slot] = NULL;
		}
}

int main(int argc, char **argv)
{
	unsigned threads = argc > 2 ? (unsigned)atoi(argv[2]) : 1;
	unsigned rounds = argc > 3 ? (unsigned)atoi(argv[3]) : 2000;
	uint64_t seed = argc > 4 ? strtoull(argv[4], NULL, 10) : 1;
	ways = argc > 5 ? argv[5] : NULL;
	if (argc < 2)
		return 2;
	open_log(argv[1]);
	prctl(PR_SET_PDEATHSIG, 9);
	prctl(PR_SET_PTRACER, -1L);
	if (way("maps"))
		make_maps();
	if (way("blocked")) {
		exercise(work[0].blocks, rounds, &seed);
		block_sbrk();
	}
	run_threads(threads, rounds, seed);
	if (way("fork")) {
		pid_t child = fork();
		if (child)
			for (;;)
				pause();
		prctl(PR_SET_PDEATHSIG, 9);
		prctl(PR_SET_PTRACER, -1L);
		exercise(work[0].blocks, rounds, &work[0].state);
	}
	printf("ready %d\n", (int)getpid());
	fflush(stdout);
	for (;;)
		pause();
}
