// SPDX-License-Identifier: Apache-2.0
// A process with a bit of everything that a snapshot must keep. Aborts when all stands.
//
// usage: target FOLDER [SPARSE-MIB [SCATTERED-PAGES [ROUND]]]
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { PAGE = 4096, THREADS = 4 };

struct item {
	struct item *next;
	char name[24];
	uint64_t value;
};

int global_counter = 4711;
const char *global_text = "a global that points to text";
static char zeroed[40 * PAGE];
static __thread int thread_number = 77;
static __thread uint64_t thread_zero;
struct item *list;
char *heap_secret, *shared, *private_file, *deleted_file, *memory_file, *sparse, *scattered;
static pthread_barrier_t barrier;
static volatile int stopped; // never
// What is looked for is put together at run time: no compiler may keep it whole in the program.
static const char *volatile made_of[] = {"shared", "memfd"};
static char alternate[THREADS][64 << 10];

static void __attribute__((noinline)) wait_here(int depth, uint64_t local)
{
	char text[32];
	snprintf(text, sizeof(text), "depth %d", depth);
	if (depth)
		wait_here(depth - 1, local * 3);
	else
		pthread_barrier_wait(&barrier);
	while (!depth && !stopped)
		pause();
	if (text[0] == (char)local)
		puts(text);
}

static void on_signal(int signal)
{
	wait_here(2, (uint64_t)signal);
}

static void *run(void *argument)
{
	intptr_t number = (intptr_t)argument;
	thread_number += (int)number;
	thread_zero = (uint64_t)number * 1000;
	if (number == 2) {
		stack_t stack = {.ss_sp = alternate[number], .ss_size = sizeof(alternate[0])};
		struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_ONSTACK};
		sigaltstack(&stack, NULL);
		sigaction(SIGUSR1, &action, NULL);
		pthread_kill(pthread_self(), SIGUSR1);
	}
	wait_here((int)number + 3, (uint64_t)number);
	return NULL;
}

static int make_file(const char *folder, const char *name)
{
	char path[4096], page[PAGE];
	snprintf(path, sizeof(path), "%s/%s", folder, name);
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
	for (int i = 0; i < 64; i++) {
		memset(page, 'a' + i % 26, sizeof(page));
		if (write(fd, page, sizeof(page)) != PAGE)
			abort();
	}
	return fd;
}

static char *map(int fd, size_t size, int flags)
{
	char *bytes = mmap(NULL, size, PROT_READ | PROT_WRITE, flags, fd, 0);
	if (bytes == MAP_FAILED) {
		perror("mmap");
		exit(1);
	}
	return bytes;
}

int main(int argc, char **argv)
{
	const char *folder = argc > 1 ? argv[1] : ".";
	uint64_t sparse_size = (argc > 2 ? strtoull(argv[2], NULL, 10) : 256) << 20;
	size_t pages = argc > 3 ? strtoull(argv[3], NULL, 10) : 1000;
	int round = argc > 4 ? atoi(argv[4]) : 0;
	char path[4096];
	for (int i = 0; i < 1000; i++) {
		struct item *item = malloc(sizeof(*item));
		*item = (struct item){.next = list, .value = (uint64_t)i * i};
		snprintf(item->name, sizeof(item->name), "item number %d", i);
		list = item;
	}
	heap_secret = malloc(100 << 10);
	for (int i = 0; i < 100 << 10; i += 64)
		snprintf(heap_secret + i, 64, "password=hunter2-%06d;token=AKIA%08d", i, i);
	memset(zeroed + 5 * PAGE, 'z', 3 * PAGE);
	shared = map(-1, 16 * PAGE, MAP_SHARED | MAP_ANONYMOUS);
	snprintf(shared + 3 * PAGE, 32, "in %s memory", made_of[0]);
	private_file = map(make_file(folder, "private"), 64 * PAGE, MAP_PRIVATE);
	strcpy(private_file + 40 * PAGE, "a changed page of a file");
	deleted_file = map(make_file(folder, "deleted"), 64 * PAGE, MAP_PRIVATE);
	snprintf(path, sizeof(path), "%s/deleted", folder);
	unlink(path);
	int memory = memfd_create("a file of memory", 0);
	if (ftruncate(memory, 32 * PAGE) != 0)
		abort();
	memory_file = map(memory, 32 * PAGE, MAP_SHARED);
	snprintf(memory_file + 7 * PAGE, 32, "in a %s", made_of[1]);
	sparse = map(-1, sparse_size, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE);
	for (uint64_t at = 0; at < sparse_size; at += 64 << 20)
		strcpy(sparse + at + PAGE, "an island");
	scattered = map(-1, (pages + 1) * 2 * PAGE, MAP_PRIVATE | MAP_ANONYMOUS);
	for (size_t i = 0; i < pages; i++) {
		memset(scattered + i * 2 * PAGE, 1 + (int)(i % 255), PAGE);
		snprintf(scattered + i * 2 * PAGE, 64, "page %zu", i);
	}
	for (int i = 0; i < round; i++)
		snprintf(scattered + (size_t)i * 10 * PAGE, 64, "changed in round %d", round);
	thread_number = 7;
	pthread_barrier_init(&barrier, NULL, THREADS + 1);
	for (intptr_t i = 0; i < THREADS; i++) {
		pthread_t thread;
		pthread_create(&thread, NULL, run, (void *)i);
	}
	pthread_barrier_wait(&barrier);
	usleep(50000);
	abort();
}
