// SPDX-License-Identifier: Apache-2.0
// For reachable.py: threads that hold lists, buffers and blocks of no type, while a global variable holds far more
// (reachable MIB [small]). It prints its id when all is there.
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct ballast {
	struct ballast *next;
	size_t size;
	char bytes[];
};

struct node {
	struct node *next, *other;
	long number;
	char name[32];
	char *text;
};

/** An embedded link: nobody points to where the item begins. */
struct link {
	struct link *next;
};
struct item {
	double weight;
	char *label;
	struct link link;
};

struct settings {
	const char *title;
	struct node *first;
	void *opaque;
};

static struct ballast *all_ballast;
static struct settings settings;
struct settings *shared = &settings;
static pthread_barrier_t barrier;
static pthread_key_t key;
_Thread_local struct node *own;

static void fill(size_t bytes, size_t each)
{
	for (size_t done = 0; done < bytes; done += each) {
		struct ballast *block = malloc(each);
		if (!block)
			abort();
		memset(block, 0x5a, each);
		block->size = each;
		block->next = all_ballast;
		all_ballast = block;
	}
}

static struct node *make_list(size_t count, const char *what)
{
	struct node *list = NULL;
	for (size_t i = 0; i < count; i++) {
		struct node *node = malloc(sizeof(*node));
		if (!node || asprintf(&node->text, "%s, number %zu", what, i) < 0)
			abort();
		snprintf(node->name, sizeof(node->name), "node %zu", i);
		node->number = (long)i;
		node->other = list ? list->next : NULL;
		node->next = list;
		list = node;
	}
	return list;
}

static struct link *make_items(size_t count)
{
	struct link *links = NULL;
	for (size_t i = 0; i < count; i++) {
		struct item *item = malloc(sizeof(*item));
		if (!item || asprintf(&item->label, "item %zu", i) < 0)
			abort();
		item->weight = (double)i / 4;
		item->link.next = links;
		links = &item->link;
	}
	return links;
}

__attribute__((noinline)) static void stand(struct node *list, struct link *links, char *buffer,
					    void **blocks, int depth)
{
	struct node here = {list, NULL, depth, "on the stack", buffer};
	if (depth)
		stand(&here, links, buffer, blocks, depth - 1);
	else {
		pthread_barrier_wait(&barrier);
		for (;;)
			pause();
	}
	__asm__ volatile("" : : "r"(&here) : "memory");
}

static void *work(void *argument)
{
	size_t count = (size_t)(uintptr_t)argument;
	struct settings *mine = &settings;
	char *buffer = malloc(300000);
	void **blocks = calloc(8, sizeof(*blocks));
	if (!buffer || !blocks)
		abort();
	memset(buffer, 'x', 300000);
	buffer[299999] = '\0';
	for (size_t i = 0; i < 8; i++)
		blocks[i] = strdup("behind a pointer to nothing known");
	own = make_list(3, "a thread's own");
	pthread_setspecific(key, make_list(2, "specific"));
	stand(make_list(count, "of a thread"), make_items(count / 10), buffer, blocks, 8);
	return mine;
}

int main(int argc, char **argv)
{
	pthread_t thread;
	size_t mib = argc > 1 ? strtoul(argv[1], NULL, 0) : 16;
	bool small = argc > 2 && strcmp(argv[2], "small") == 0;
	size_t held = argc > 3 ? strtoul(argv[3], NULL, 0) : 20000;
	pthread_barrier_init(&barrier, NULL, 5);
	pthread_key_create(&key, free);
	fill(mib << 20, small ? 200 : 1 << 20);
	settings = (struct settings){"the title", make_list(100, "of a global"), malloc(1000)};
	for (int i = 0; i < 4; i++)
		pthread_create(&thread, NULL, work, (void *)(uintptr_t)held);
	pthread_barrier_wait(&barrier);
	printf("%d\n", getpid());
	fflush(stdout);
	pause();
}
