// SPDX-License-Identifier: Apache-2.0
// A process to capture that measures how long it stands: a thread reads the clock without a pause
// and keeps the longest gap.
//
// usage: capture_target MIB THREADS random|server|huge
// Commands on its standard input, one a line; each is answered by a line:
//   reset   spin, and forget the longest gap so far
//   gap     the longest gap in ns since then; stop spinning
//   fork    how many ns fork() takes here
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { PAGE = 4096, STACK = 64 * 1024 };
static _Atomic uint64_t longest;
static _Atomic int spinning;

static uint64_t now_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void *spin(void *unused)
{
	for (;;) {
		if (!atomic_load(&spinning)) {
			usleep(1000);
			continue;
		}
		uint64_t last = now_ns();
		while (atomic_load_explicit(&spinning, memory_order_relaxed)) {
			uint64_t now = now_ns();
			if (now - last > atomic_load_explicit(&longest, memory_order_relaxed))
				atomic_store(&longest, now - last);
			last = now;
		}
	}
	return NULL;
}

static void *sleep_on(void *unused)
{
	for (;;)
		pause();
	return NULL;
}

static uint64_t state = 88172645463325252u;

static uint64_t random_word(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

static void fill_random(uint64_t *page)
{
	for (int i = 0; i < PAGE / 8; i++)
		page[i] = random_word();
}

// What a page of a server's heap holds: small objects with pointers, counts and text, half empty.
static void fill_objects(uint64_t *page)
{
	for (int i = 0; i < PAGE / 8; i += 8) {
		page[i] = (uint64_t)page + (random_word() & 0xffff8);
		page[i + 1] = random_word() & 0xff;
		memcpy(&page[i + 2], "user:000000:name", 16);
		page[i + 4] = random_word();
	}
}

static void fill(char *area, uint64_t size, const char *kind)
{
	static uint64_t repeated[PAGE / 8];
	fill_objects(repeated);
	for (uint64_t at = 0; at < size; at += PAGE) {
		uint64_t *page = (uint64_t *)(area + at);
		if (strcmp(kind, "server") != 0)
			fill_random(page);
		else
			switch (at / PAGE % 10) { // four of ten zero, three alike, two not touched
			case 0:
			case 1:
			case 2:
			case 3:
				*(volatile uint64_t *)page = 0;
				break;
			case 4:
			case 5:
			case 6:
				memcpy(page, repeated, PAGE);
				break;
			case 7:
				fill_objects(page);
				break;
			default:
				break;
			}
	}
}

static uint64_t time_fork(void)
{
	uint64_t start = now_ns();
	pid_t pid = fork();
	uint64_t end = now_ns();
	if (pid == 0)
		_exit(0);
	waitpid(pid, NULL, 0);
	return end - start;
}

int main(int argc, char **argv)
{
	if (argc != 4)
		return 2;
	uint64_t size = (uint64_t)atoll(argv[1]) << 20;
	int threads = atoi(argv[2]);
	char *area = mmap(NULL, size, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (area == MAP_FAILED)
		return 1;
	madvise(area, size, strcmp(argv[3], "huge") == 0 ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
	fill(area, size, argv[3]);
	pthread_attr_t attributes;
	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, STACK);
	pthread_t thread;
	for (int i = 0; i < threads - 1; i++)
		if (pthread_create(&thread, &attributes, i ? sleep_on : spin, NULL) != 0)
			return 1;
	printf("%d\n", (int)getpid());
	fflush(stdout);
	for (char line[64]; fgets(line, sizeof(line), stdin);) {
		uint64_t answer = 0;
		if (strcmp(line, "reset\n") == 0) {
			atomic_store(&spinning, 1);
			usleep(20000);
			atomic_store(&longest, 0);
		} else if (strcmp(line, "gap\n") == 0) {
			answer = atomic_load(&longest);
			atomic_store(&spinning, 0);
		} else if (strcmp(line, "fork\n") == 0) {
			answer = time_fork();
		}
		printf("%llu\n", (unsigned long long)answer);
		fflush(stdout);
	}
	return 0;
}
