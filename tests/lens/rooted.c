// SPDX-License-Identifier: Apache-2.0
// A program with roots of every kind, for compare_roots.py: it aborts when all its threads stand. What it prints is what
// the roots must be: "kind name address size".
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct node {
	struct node *next;
	long number;
	char name[16];
};

struct node *global_head;
static struct node file_static = {NULL, 7, "static"};
static const char *const constants[] = {"a", "b"};
const char *relocated = "relocated";
static _Thread_local struct node *own_list;
_Thread_local long own_number = 5;
static pthread_key_t key;
static pthread_barrier_t barrier;

static void tell(const char *kind, const char *name, const void *address, size_t size)
{
	printf("%s %s %p %zu\n", kind, name, address, size);
}

__attribute__((noinline)) static struct node *make(long number)
{
	static struct node *last_made;
	static int told;
	struct node *made = calloc(1, sizeof(*made));
	if (!made)
		abort();
	made->number = number;
	snprintf(made->name, sizeof(made->name), "n%ld", number);
	last_made = made;
	if (!told++)
		tell("static", "make::last_made", &last_made, sizeof(last_made));
	return made;
}

static void stand(void)
{
	pthread_barrier_wait(&barrier);
	for (;;)
		pause();
}

#pragma GCC diagnostic ignored "-Winfinite-recursion"
__attribute__((noinline)) static void dive(int depth, struct node *parent)
{
	struct node here = {parent, depth, "stack"};
	if (depth)
		dive(depth - 1, &here);
	else
		stand();
	__asm__ volatile("" : : "r"(&here) : "memory");
}

static void *work(void *argument)
{
	struct node local = {argument, 3, "local"};
	int array[] = {1, 2, 3};
	own_list = make(100);
	pthread_setspecific(key, make(200));
	flockfile(stdout);
	tell("thread-local", "own_list", &own_list, sizeof(own_list));
	tell("thread-local", "own_number", &own_number, sizeof(own_number));
	tell("local", "local", &local, sizeof(local));
	tell("local", "array", array, sizeof(array));
	funlockfile(stdout);
	dive(5, &local);
	return NULL;
}

static char signal_stack[65536];

static void on_signal(int number)
{
	struct node handled = {global_head, number, "signal"};
	tell("local", "handled", &handled, sizeof(handled));
	stand();
}

static void *interrupted(void *argument)
{
	stack_t stack = {.ss_sp = argument, .ss_size = sizeof(signal_stack)};
	struct node before = {global_head, 9, "before"};
	flockfile(stdout);
	tell("local", "before", &before, sizeof(before));
	funlockfile(stdout);
	if (sigaltstack(&stack, NULL) != 0 || raise(SIGUSR1) != 0)
		abort();
	return NULL;
}

static void tell_globals(void)
{
	tell("global", "global_head", &global_head, sizeof(global_head));
	tell("global", "relocated", &relocated, sizeof(relocated));
	tell("static", "file_static", &file_static, sizeof(file_static));
	tell("static", "barrier", &barrier, sizeof(barrier));
	tell("thread-local", "own_list", &own_list, sizeof(own_list));
}

/** A library's thread-local: "FILE" has a variable `name`. */
static void load(const char *path)
{
	void *library = dlopen(path, RTLD_NOW);
	void *(*touch)(void) = library ? (void *(*)(void))dlsym(library, "touch") : NULL;
	if (!touch)
		abort();
	tell("thread-local", "loaded_list", touch(), 8);
}

int main(int argc, char **argv)
{
	pthread_t threads[3];
	struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_ONSTACK};
	void *mapped = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	setvbuf(stdout, NULL, _IOLBF, 0);
	global_head = make(1);
	global_head->next = make(2);
	sigaction(SIGUSR1, &action, NULL);
	pthread_key_create(&key, free);
	pthread_barrier_init(&barrier, NULL, 4);
	setenv("ROOTED", constants[argc > 5], 1);
	tell_globals();
	tell("mapping", "mapped", mapped, 8192);
	if (argc > 1)
		load(argv[1]);
	tell("hole", "heap", (char *)global_head - 16, 0x10000);
	pthread_create(&threads[0], NULL, work, make(10));
	pthread_create(&threads[1], NULL, work, make(11));
	pthread_create(&threads[2], NULL, interrupted, signal_stack);
	pthread_barrier_wait(&barrier);
	tell("local", "threads", threads, sizeof(threads));
	abort();
}
