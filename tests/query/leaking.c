// SPDX-License-Identifier: Apache-2.0
// Small programs that leak, or do not: leaking NAME. Then it waits, or with a second argument exits. Each size is asked for at one place.

#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define APART __attribute__((noinline, noclone))

struct node {
	struct node *next, *other;
	char payload[24];
};
struct tree {
	struct tree *left, *right;
	char *name;
};

static struct node *held;
static char *held_inside;
static __thread struct node *held_by_thread;
static union {
	struct node *node;
	uint64_t number;
} either;
static uintptr_t hidden;

static APART void *get(size_t size)
{
	char *memory = malloc(size);
	memset(memory, 'x', size);
	return memory;
}

static APART struct node *list(int length)
{
	struct node *first = NULL;
	for (int i = 0; i < length; i++) {
		struct node *node = calloc(1, sizeof(*node));
		node->next = first;
		first = node;
	}
	return first;
}

static APART struct tree *tree(int depth)
{
	struct tree *node = calloc(1, sizeof(*node));
	node->name = get(100);
	if (depth > 0) {
		node->left = tree(depth - 1);
		node->right = tree(depth - 1);
	}
	return node;
}

static APART void nothing(void)
{
	free(get(64));
	held = list(3);
	while (held) {
		struct node *next = held->next;
		free(held);
		held = next;
	}
}
static APART void one_block(void)
{
	get(200);
}
static APART void lost_list(void)
{
	list(50);
}
static APART void held_list(void)
{
	held = list(50);
}
static APART void cut_list(void)
{
	held = list(20);
	held->next->next = NULL; // 18 are lost
}
static APART void lost_ring(void)
{
	struct node *first = list(10), *last = first;
	while (last->next)
		last = last->next;
	last->next = first;
}
static APART void ring_with_a_tail(void)
{
	struct node *first = list(10), *last = first;
	while (last->next)
		last = last->next;
	last->next = first->next;
}
static APART void lost_tree(void)
{
	tree(4);
}
static APART void two_hold_one(void)
{
	struct node *shared = list(5), *a = calloc(1, 120), *b = calloc(1, 152);
	a->next = b->other = shared;
}
static APART void points_at_what_is_held(void)
{
	held = list(5);
	struct node *lost = calloc(1, 184);
	lost->next = held;
}
static APART void held_by_static_local(void)
{
	static struct node *local;
	local = list(7);
	local->other = get(216);
}
static APART void held_by_thread_local(void)
{
	held_by_thread = list(9);
}
static APART void held_inside_only(void)
{
	char *block = get(248);
	held_inside = block + 40;
}
static APART void held_by_what_is_free(void)
{
	struct node *a = calloc(1, 280), *b = calloc(1, 280);
	a->other = get(
		312); // at +8: malloc writes there, too, but not when the block was cached before
	b->next = NULL;
	b->payload[0] = 1;
	*(void **)(b->payload + 8) = get(344); // still stands in the free block
	free(a);
	free(b);
}
static APART void grown_and_lost(void)
{
	char *text = get(40);
	text = realloc(text, 376);
	text[0] = 'y';
}
static APART void array_of_pointers(void)
{
	char **names = calloc(12, sizeof(*names));
	for (int i = 0; i < 12; i++)
		names[i] = get(408);
}
static APART void held_by_a_union(void)
{
	either.node = list(4);
}
static APART void large_blocks(void)
{
	held = get(300000); // mapped by themselves
	memset(held, 0, sizeof(*held));
	get(400000);
}
static void *leak_in_thread(void *unused)
{
	(void)unused;
	get(472); // in an arena of its own
	free(get(504));
	return list(6);
}
static APART void arena_of_a_thread(void)
{
	pthread_t thread;
	void *result = NULL;
	pthread_create(&thread, NULL, leak_in_thread, NULL);
	pthread_join(thread, &result);
	held = result;
	held->next->next->next = NULL; // three are lost
}
static APART void held_by_environment(void)
{
	char *entry = get(536);
	memcpy(entry, "STROBE_TEST=1", 14);
	putenv(entry);
}
static void at_end(int status, void *argument)
{
	(void)status;
	(void)argument;
}
static APART void held_by_exit_handler(void)
{
	void *argument = get(568);
	on_exit(at_end, argument);
}
static APART void held_by_stdio(void)
{
	FILE *file = fopen("/dev/null", "w"); // the library has it in its list
	fputs("x", file);
}
static APART void held_by_a_mapping(void)
{
	struct node **page =
		mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	page[17] = list(3);
}
static APART void hidden_pointer(void)
{
	hidden = (uintptr_t)get(600) ^ UINT64_C(0x5555555555555555);
}
static APART void many_sizes(void)
{
	get(1);
	get(24);
	get(25);
	get(632);
	get(1032);
	get(70000);
}
static APART void freed_in_between(void)
{
	void *kept[40];
	for (int i = 0; i < 40; i++)
		kept[i] = get(664);
	for (int i = 0; i < 40; i += 2) // more than a cache takes
		free(kept[i]);
	memset(kept, 0, sizeof(kept));
	__asm__ volatile("" ::"r"(kept) : "memory");
}

static const struct {
	const char *name;
	void (*run)(void);
} programs[] = {
#define PROGRAM(name)                                                                              \
	{                                                                                          \
#name, name                                                                        \
	}
	PROGRAM(nothing),
	PROGRAM(one_block),
	PROGRAM(lost_list),
	PROGRAM(held_list),
	PROGRAM(cut_list),
	PROGRAM(lost_ring),
	PROGRAM(ring_with_a_tail),
	PROGRAM(lost_tree),
	PROGRAM(two_hold_one),
	PROGRAM(points_at_what_is_held),
	PROGRAM(held_by_static_local),
	PROGRAM(held_by_thread_local),
	PROGRAM(held_inside_only),
	PROGRAM(held_by_what_is_free),
	PROGRAM(grown_and_lost),
	PROGRAM(array_of_pointers),
	PROGRAM(held_by_a_union),
	PROGRAM(large_blocks),
	PROGRAM(arena_of_a_thread),
	PROGRAM(held_by_environment),
	PROGRAM(held_by_exit_handler),
	PROGRAM(held_by_stdio),
	PROGRAM(held_by_a_mapping),
	PROGRAM(hidden_pointer),
	PROGRAM(many_sizes),
	PROGRAM(freed_in_between),
};

// What calls left on the stack would be somebody's pointers.
static APART void scrub(void)
{
	volatile char stack[65536];
	for (size_t i = 0; i < sizeof(stack); i++)
		stack[i] = 0;
}

// pause(), with nothing left in registers.
static APART void wait_here(void)
{
	for (;;) {
		long number = 34;
		__asm__ volatile(
			"xor %%edi, %%edi; xor %%esi, %%esi; xor %%edx, %%edx; xor %%r8d, %%r8d; "
			"xor %%r9d, %%r9d; xor %%r10d, %%r10d; xor %%ebx, %%ebx; xor %%r12d, "
			"%%r12d; "
			"xor %%r13d, %%r13d; xor %%r14d, %%r14d; xor %%r15d, %%r15d; syscall"
			: "+a"(number)
			:
			: "rdi", "rsi", "rdx", "rcx", "rbx", "r8", "r9", "r10", "r11", "r12", "r13",
			  "r14", "r15", "memory");
	}
}

static APART void run(const char *name)
{
	for (size_t i = 0; i < sizeof(programs) / sizeof(programs[0]); i++)
		if (strcmp(programs[i].name, name) == 0)
			programs[i].run();
}

int main(int argc, char **argv)
{
	if (argc == 1) {
		for (size_t i = 0; i < sizeof(programs) / sizeof(programs[0]); i++)
			puts(programs[i].name);
		return 0;
	}
	run(argv[1]);
	scrub();
	if (argc > 2)
		exit(0);
	if (write(STDOUT_FILENO, "ready\n", 6) == 6)
		wait_here();
}
