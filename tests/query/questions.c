// SPDX-License-Identifier: Apache-2.0
// A program that knows its own heap and tells it: a document of JSON when it is ready, and another one when it has grown.

#include <malloc.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define APART __attribute__((noinline, noclone))

struct name {
	char *text;
	struct name *next;
};
struct conn {
	struct conn *next, *previous;
	char *buffers[4];
	int state, refs;
	struct name *names;
};
struct entry {
	struct entry *chain;
	int key;
	struct conn *conn; // shared
};
struct table {
	struct entry **slots;
	unsigned size, used;
};
struct server {
	struct conn *first;
	struct table *table;
	struct name *loose; // a ring
	long requests;
};

static struct server *server;
static struct conn *spare;

enum { CONNS = 40, ENTRIES = 300, SLOTS = 64, RING = 9, LEAKED = 6 };

static APART char *text(const char *what, size_t size)
{
	char *copy = calloc(1, size);
	strcpy(copy, what);
	return copy;
}

static APART struct name *name(const char *what, struct name *next)
{
	struct name *made = calloc(1, sizeof(*made));
	made->text = text(what, 56);
	made->next = next;
	return made;
}

static APART struct conn *conn(int state, struct conn *next)
{
	struct conn *made = calloc(1, sizeof(*made));
	made->state = state % 5;
	made->refs = state % 3;
	for (int i = 0; i < 4; i++) {
		made->buffers[i] = calloc(1, 120);
		memcpy(made->buffers[i], &made, sizeof(made)); // no two are alike; not a text
		made->buffers[i][8] = (char)i;
		made->buffers[i][9] = (char)0x80;
	}
	made->names =
		name("a name that all of them have", name("another name that all have", NULL));
	made->next = next;
	if (next)
		next->previous = made;
	return made;
}

static APART void enter(struct table *table, int key, struct conn *conn)
{
	struct entry *entry = calloc(1, sizeof(*entry));
	entry->key = key;
	entry->conn = conn;
	entry->chain = table->slots[key % SLOTS];
	table->slots[key % SLOTS] = entry;
	table->used++;
}

static APART void fill(void)
{
	server = calloc(1, sizeof(*server));
	for (int i = 0; i < CONNS; i++)
		server->first = conn(i, server->first);
	server->table = calloc(1, sizeof(*server->table));
	server->table->slots = calloc(SLOTS, sizeof(*server->table->slots));
	server->table->size = SLOTS;
	for (int i = 0; i < ENTRIES; i++)
		enter(server->table, i, server->first);
	struct name *last = server->loose = name("ring", NULL);
	for (int i = 1; i < RING; i++)
		server->loose = name("ring", server->loose);
	last->next = server->loose;
	spare = conn(1000, NULL);
}

static APART void lose(void)
{
	for (int i = 0; i < LEAKED; i++)
		name("lost", NULL); // each holds its text
}

static APART void make_holes(void)
{
	void *kept[64];
	for (int i = 0; i < 64; i++)
		kept[i] = malloc(2000);
	for (int i = 0; i < 64; i += 2)
		free(kept[i]);
	for (int i = 1; i < 64; i += 2) {
		struct name *holder = name("holds a large one", server->loose->next);
		free(holder->text);
		holder->text = kept[i];
		memset(kept[i], 'x', 1999);
		((char *)kept[i])[1999] = 0;
		server->loose->next = holder;
	}
	memset(kept, 0, sizeof(kept));
	__asm__ volatile("" ::"r"(kept) : "memory");
}

static APART void tell(void)
{
	struct mallinfo2 info = mallinfo2();
	printf("{\"server\": %lu, \"first\": %lu, \"table\": %lu, \"slots\": %lu, \"loose\": %lu, "
	       "\"spare\": %lu, "
	       "\"fifth\": %lu, \"entry\": %lu, \"text\": %lu, "
	       "\"arena_bytes\": %zu, \"in_use_bytes\": %zu, \"free_bytes\": %zu, "
	       "\"fastbin_bytes\": %zu, \"top_bytes\": %zu}\n",
	       (uintptr_t)server, (uintptr_t)server->first, (uintptr_t)server->table,
	       (uintptr_t)server->table->slots, (uintptr_t)server->loose, (uintptr_t)spare,
	       (uintptr_t)server->first->next->next->next->next,
	       (uintptr_t)server->table->slots[7]->chain, (uintptr_t)spare->names->next->text,
	       info.arena, info.uordblks, info.fordblks, info.fsmblks, info.keepcost);
	fflush(stdout);
}

static APART void scrub(void)
{
	volatile char stack[65536];
	for (size_t i = 0; i < sizeof(stack); i++)
		stack[i] = 0;
}

// Reads a byte, with nothing left in registers.
static APART void wait_here(void)
{
	static char byte;
	long number = 0;
	__asm__ volatile("xor %%edi, %%edi; xor %%r8d, %%r8d; xor %%r9d, %%r9d; xor %%r10d, "
			 "%%r10d; xor %%ebx, %%ebx; "
			 "xor %%r12d, %%r12d; xor %%r13d, %%r13d; xor %%r14d, %%r14d; xor %%r15d, "
			 "%%r15d; syscall"
			 : "+a"(number)
			 : "S"(&byte), "d"(1L)
			 : "rdi", "rcx", "rbx", "r8", "r9", "r10", "r11", "r12", "r13", "r14",
			   "r15", "memory");
}

int main(void)
{
	setvbuf(stdout, NULL, _IONBF, 0);
	fill();
	make_holes();
	lose();
	scrub();
	tell();
	scrub();
	wait_here();
	for (int i = 0; i < 500; i++) // it grows where the table is
		enter(server->table, ENTRIES + i, spare);
	spare->next = conn(2000, NULL);
	scrub();
	tell();
	scrub();
	wait_here();
	return 0;
}
