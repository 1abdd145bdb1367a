// SPDX-License-Identifier: Apache-2.0
// A program that knows its own graph and writes it to the file `known` before it dumps core:
//   block ADDRESS STATE TYPE    STATE: reached, guessed, leaked; TYPE: ? = cannot be known
//   ref FROM TO                 between blocks, each as often as it is there
//   free ADDRESS
#include <fcntl.h>
#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { THREADS = 16, OF_A_THREAD = 100 };

struct node {
	struct node *next;
	long value;
};
struct tree {
	struct tree *left, *right;
	int key;
};
struct ring {
	struct ring *next, *prev;
	struct ring *any;
	char name[20];
};
struct entry {
	struct entry *next;
	char *key;
	void *value;
};
struct table {
	size_t size;
	struct entry **buckets;
};
struct conn {
	int fd;
	struct node *first;
	double weights[6];
};
struct variant {
	int kind;
	union {
		struct node *node;
		struct conn *conn;
		long number;
	} u;
	long padding[8];
};
struct link {
	struct link *next, *prev;
};
struct job {
	int id;
	struct link link;
	struct node *result;
	long costs[9];
};
struct vector {
	int count;
	struct node *items[];
};
struct pair {
	struct node *a, *b;
};

struct packed_word {
	double weight;
	struct node *node;
	unsigned long number; // an address
};

struct pool {
	struct pool *next;
	size_t used;
	struct conn *owner;
};

static int out;
struct pool *pool;    // with other things behind it
unsigned long number; // an address
struct packed_word *packed_word;
struct node *list;
static struct table table;
struct ring *ring;
struct variant *variants[3];
struct link jobs = {&jobs, &jobs};
struct vector *vector;
struct pair *second_pair; // into the middle
struct node *lists_of_threads[THREADS];
struct node *dangling, *wild = (struct node *)0x10008;
static void *kept;
static pthread_barrier_t ready;

static void block(const void *at, const char *state, const char *type)
{
	dprintf(out, "block %lx %s %s\n", (unsigned long)at, state, type);
}
static void ref(const void *from, const void *to)
{
	if (to)
		dprintf(out, "ref %lx %lx\n", (unsigned long)from, (unsigned long)to);
}

static struct node *make_list(int length, const char *state, const char *type)
{
	struct node *head = NULL;
	for (int i = 0; i < length; i++) {
		struct node *made = malloc(sizeof(*made));
		made->next = head;
		made->value = i;
		head = made;
		block(made, state, type);
		ref(made, made->next);
	}
	return head;
}

static struct tree *make_tree(int depth)
{
	if (!depth)
		return NULL;
	struct tree *made = calloc(1, sizeof(*made));
	made->left = make_tree(depth - 1);
	made->right = make_tree(depth > 2 ? depth - 2 : 0);
	block(made, "reached", "struct tree");
	ref(made, made->left);
	ref(made, made->right);
	return made;
}

static void make_ring(int length)
{
	struct ring *all[64];
	for (int i = 0; i < length; i++) {
		all[i] = calloc(1, sizeof(struct ring));
		block(all[i], "reached", "struct ring");
	}
	for (int i = 0; i < length; i++) {
		all[i]->next = all[(i + 1) % length];
		all[i]->prev = all[(i + length - 1) % length];
		all[i]->any = all[i * 7 % length];
		ref(all[i], all[i]->next);
		ref(all[i], all[i]->prev);
		ref(all[i], all[i]->any);
	}
	ring = all[0];
	memset(all, 0, sizeof(all));
}

static void make_table(void)
{
	table.size = 16;
	table.buckets = calloc(table.size, sizeof(*table.buckets));
	block(table.buckets, "reached", "struct entry *");
	for (int i = 0; i < 40; i++) {
		struct entry *made = calloc(1, sizeof(*made));
		char key[40];
		snprintf(key, sizeof(key), "a key that is %d", i);
		made->key = strdup(key);
		made->value = malloc(200);
		memset(made->value, 0x11, 200);
		made->next = table.buckets[i * 5 % 16];
		table.buckets[i * 5 % 16] = made;
		block(made, "reached", "struct entry");
		block(made->key, "reached", "char");
		block(made->value, "reached", "?");
		ref(made, made->next);
		ref(made, made->key);
		ref(made, made->value);
	}
	for (int i = 0; i < 16; i++)
		ref(table.buckets, table.buckets[i]);
}

static void make_variants(void)
{
	for (int i = 0; i < 3; i++) {
		variants[i] = calloc(1, sizeof(struct variant));
		variants[i]->kind = i;
		block(variants[i], "reached", "struct variant");
	}
	variants[0]->u.node =
		make_list(3, "reached", "?"); // by a union, it may be a connection, too
	struct conn *conn = variants[1]->u.conn = calloc(1, sizeof(*conn));
	block(conn, "reached", "struct conn");
	conn->first = make_list(2, "reached", "struct node");
	variants[2]->u.number = 17;
	ref(conn, conn->first);
	// Two readings of one word are two references.
	ref(variants[0], variants[0]->u.node);
	ref(variants[0], variants[0]->u.node);
	ref(variants[1], conn);
	ref(variants[1], conn);
}

static void make_jobs(void)
{
	for (int i = 0; i < 30; i++) {
		struct job *made = calloc(1, sizeof(*made));
		made->id = i;
		made->link.next = jobs.next;
		made->link.prev = &jobs;
		jobs.next->prev = &made->link;
		jobs.next = &made->link;
		made->result = make_list(1, "reached", "struct node");
		block(made, "reached", "struct job");
	}
	for (struct link *at = jobs.next; at != &jobs; at = at->next) {
		struct job *job = (struct job *)((char *)at - offsetof(struct job, link));
		ref(job, job->result);
		if (at->next != &jobs)
			ref(job, (char *)at->next - offsetof(struct job, link));
		if (at->prev != &jobs)
			ref(job, (char *)at->prev - offsetof(struct job, link));
	}
}

static void make_others(void)
{
	vector = calloc(1, sizeof(*vector) + 5 * sizeof(struct node *));
	vector->count = 5;
	block(vector, "reached", "struct vector");
	for (int i = 0; i < 5; i++) {
		vector->items[i] = make_list(1, "reached", "struct node");
		ref(vector, vector->items[i]);
	}
	struct pair *pairs = calloc(4, sizeof(*pairs));
	block(pairs, "reached", "?"); // nothing leads to its beginning
	second_pair = &pairs[1];
	pairs[1].a = make_list(1, "guessed", "?"); // what holds it is not typed
	ref(pairs, pairs[1].a);
}

/** A header, and behind it what nobody knows the type of: no array of headers. */
static void make_pool(void)
{
	struct node *inner = make_list(2, "guessed", "?");
	pool = calloc(1, 480);
	block(pool, "reached", "struct pool");
	unsigned long *words = (unsigned long *)(pool + 1);
	for (int i = 0; i < 50; i++)
		words[i] = 0x1234567800000000 + (unsigned long)i;
	words[17] = (unsigned long)inner;
	ref(pool, inner);
}

/** Addresses in integers: no type leads to them. */
static void make_numbers(void)
{
	struct node *first = make_list(3, "guessed", "struct node");
	number = (unsigned long)first;
	packed_word = calloc(1, sizeof(*packed_word));
	packed_word->node = make_list(1, "reached", "struct node");
	struct node *second = make_list(2, "guessed", "struct node");
	packed_word->number = (unsigned long)second;
	block(packed_word, "reached", "struct packed_word");
	ref(packed_word, packed_word->node);
	ref(packed_word, second);
}

static void __attribute__((noinline)) make_leaks(void)
{
	struct node *lost = make_list(5, "leaked", "struct node"); // like others
	char *text = malloc(333);
	block(text, "leaked", "?");
	memset(text, 7, 333);
	lost = NULL;
	text = NULL;
	(void)lost;
	(void)text;
}

static void make_free(void)
{
	void *all[20];
	for (int i = 0; i < 20; i++)
		all[i] = malloc(i < 10 ? 40 : 900);
	void *guard = malloc(3000);
	block(guard, "reached", "?");
	kept = guard;
	for (int i = 0; i < 20; i++) {
		dprintf(out, "free %lx\n", (unsigned long)all[i]);
		free(all[i]);
	}
	dangling = all[15];
	memset(all, 0, sizeof(all));
}

static void *work(void *context)
{
	struct node **place = context;
	struct node *made = NULL;
	for (int i = 0; i < OF_A_THREAD; i++) {
		struct node *more = malloc(sizeof(*more));
		more->next = made;
		more->value = i;
		made = more;
	}
	*place = made;
	made = NULL;
	pthread_barrier_wait(&ready);
	for (;;)
		pause();
	return NULL;
}

static void make_threads(void)
{
	pthread_t thread;
	pthread_barrier_init(&ready, NULL, THREADS + 1);
	for (int i = 0; i < THREADS; i++)
		pthread_create(&thread, NULL, work, &lists_of_threads[i]);
	pthread_barrier_wait(&ready);
	for (int i = 0; i < THREADS; i++)
		for (struct node *at = lists_of_threads[i]; at; at = at->next) {
			block(at, "reached", "struct node");
			ref(at, at->next);
		}
}

static void __attribute__((noinline)) overwrite_stack(void)
{
	char bytes[60000];
	memset(bytes, 0, sizeof(bytes));
	__asm__ volatile("" : : "r"(bytes) : "memory");
}

static void __attribute__((noinline)) crash(struct tree *of_frame)
{
	__asm__ volatile("" : : "r"(of_frame) : "memory");
	abort();
}

int main(void)
{
	out = open("known", O_CREAT | O_WRONLY | O_TRUNC, 0600);
	make_leaks();
	list = make_list(50, "reached", "struct node");
	struct tree *tree = make_tree(6);
	make_ring(40);
	make_table();
	make_variants();
	make_jobs();
	make_others();
	make_numbers();
	make_pool();
	make_threads();
	make_free();
	close(out);
	overwrite_stack();
	crash(tree);
	return 0;
}
