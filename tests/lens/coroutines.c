// SPDX-License-Identifier: Apache-2.0
// coroutines [heap]: dies on a stack of its own: mapped, or of the heap. For compare_roots.py: what it prints are roots;
// "value" stands for one that is in no memory of its own.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

struct node {
	struct node *next;
	long number;
};
enum { STACK = 65536 };
static ucontext_t main_context, inner_context;
static const char *kind = "local";

static void run_inner(void)
{
	struct node deep = {malloc(16), 7};
	printf("%s deep %p %zu\n", kind, (void *)&deep, sizeof(deep));
	fflush(stdout);
	abort();
}

int main(int argc, char **argv)
{
	struct node outer = {malloc(16), 9};
	char *stack = argc > 1 ? malloc(STACK)
			       : mmap(NULL, STACK, PROT_READ | PROT_WRITE,
				      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	// Mapped data that may come to lie beside the stack: all of it is roots.
	char *data =
		mmap(NULL, STACK * 4, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (argc > 1) {
		kind = "value";
		printf("hole stack %p %d\n", (void *)(stack - 16), STACK + 16);
	}
	printf("mapping data %p %d\n", (void *)data, STACK * 2);
	printf("mapping outer %p %zu\n", (void *)&outer, sizeof(outer));
	getcontext(&inner_context);
	inner_context.uc_stack.ss_sp = stack;
	inner_context.uc_stack.ss_size = STACK;
	inner_context.uc_link = &main_context;
	makecontext(&inner_context, run_inner, 0);
	swapcontext(&main_context, &inner_context);
	return (int)outer.number;
}
