// SPDX-License-Identifier: Apache-2.0
// A program whose object graph is known, with names and texts that may do harm. usage: exported COUNT. Says "ready", then waits.

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

struct value {
	long kind;
	char *text;
	struct value *peer;
};
struct item {
	struct item *next;
	struct value *value;
	long number;
};
struct table {
	size_t count;
	struct item *slots[16];
};
struct lost {
	struct lost *other;
	char name[40];
};

struct table *table;
static struct item *list;
struct lost *last_lost;
pthread_barrier_t barrier;

/** Every third value has a text; even items are in the table, odd ones in the list. */
static void fill(long count)
{
	table = calloc(1, sizeof(*table));
	for (long i = 0; i < count; i++) {
		struct item *item = calloc(1, sizeof(*item));
		struct item **place = i % 2 ? &list : &table->slots[i % 16];
		item->number = i;
		item->value = calloc(1, sizeof(*item->value));
		item->value->kind = i;
		if (i % 3 == 0 && asprintf(&item->value->text, "text %ld </script>", i) < 0)
			exit(1);
		item->next = *place;
		*place = item;
		if (item->next)
			item->value->peer = item->next->value;
		table->count++;
	}
}

/** Ten pairs that refer to each other, and that nobody else refers to afterwards. */
static void lose(void)
{
	for (int i = 0; i < 10; i++) {
		last_lost = calloc(1, sizeof(*last_lost));
		last_lost->other = calloc(1, sizeof(*last_lost));
		last_lost->other->other = last_lost;
		strcpy(last_lost->name, "lost </script>");
	}
	last_lost = NULL;
}

static void *work(void *argument)
{
	struct value *mine = calloc(1, sizeof(*mine));
	prctl(PR_SET_NAME, "</script>\"&\\;");
	mine->text = strdup("held by the worker alone");
	pthread_barrier_wait(&barrier);
	pause();
	return mine;
}

int main(int argc, char **argv)
{
	pthread_t thread;
	fill(argc > 1 ? atol(argv[1]) : 100);
	lose();
	pthread_barrier_init(&barrier, NULL, 2);
	if (pthread_create(&thread, NULL, work, NULL) != 0)
		return 1;
	pthread_barrier_wait(&barrier);
	puts("ready");
	fflush(stdout);
	pause();
	return 0;
}
