// SPDX-License-Identifier: Apache-2.0
// Calls of all kinds, each in a function of its own below main(). What the tree must be stands in real_calls.py.
#include <csetjmp>
#include <csignal>
#include <cstdlib>
#include <ucontext.h>

#define KEEP __attribute__((noinline, noclone))
volatile int sink;
static jmp_buf place;
static sigjmp_buf signal_place;
static ucontext_t main_context, other_context;

extern "C" {

KEEP void leaf() { sink = sink + 1; }
KEEP void after() { sink = sink + 2; }

KEEP int factorial(int n)
{
	if (n < 2)
		return 1;
	int below = factorial(n - 1);
	sink = below;
	return n * below;
}
KEEP void recursion() { sink = factorial(6); }

KEEP void second(int n) { sink = n; leaf(); sink = n + 1; }
KEEP void first(int n) { sink = n; second(n + 1); } // a tail call
KEEP void tail_calls() { first(1); after(); sink = 3; }

KEEP void jump() { leaf(); longjmp(place, 1); }
KEEP void middle() { jump(); sink = 4; }
KEEP void long_jump()
{
	if (!setjmp(place)) {
		middle();
		sink = 5;
	}
	after();
	sink = 5;
}

KEEP int deep(int level)
{
	volatile int here = level;
	if (here == 2 && setjmp(place)) {
		after();
		return here;
	}
	if (here == 5)
		longjmp(place, 1);
	int below = deep(here + 1);
	sink = below;
	return below;
}
KEEP void jump_in_recursion() { sink = deep(0); }

KEEP void thrower(int n)
{
	leaf();
	if (n)
		throw n;
	sink = 6;
}
KEEP void passes(int n) { thrower(n); sink = 7; }
KEEP void exceptions()
{
	try {
		passes(7);
	} catch (int n) {
		sink = n;
		after();
	}
	leaf();
	sink = 8;
}

KEEP void handler(int) { leaf(); sink = 9; }
KEEP void signals()
{
	signal(SIGUSR1, handler);
	raise(SIGUSR1);
	after();
	sink = 10;
}

KEEP void jumping_handler(int) { leaf(); siglongjmp(signal_place, 1); }
KEEP void jump_from_handler()
{
	signal(SIGUSR2, jumping_handler);
	if (!sigsetjmp(signal_place, 1))
		raise(SIGUSR2);
	after();
	sink = 11;
}

KEEP int compare(const void *a, const void *b) { return *(const int *)a - *(const int *)b; }
KEEP void callbacks()
{
	int numbers[] = {2, 1};
	qsort(numbers, 2, sizeof(numbers[0]), compare);
	after();
	sink = numbers[0];
}

KEEP void other()
{
	leaf();
	swapcontext(&other_context, &main_context);
	after();
	swapcontext(&other_context, &main_context);
}
KEEP void contexts()
{
	static char stack[65536];
	getcontext(&other_context);
	other_context.uc_stack.ss_sp = stack;
	other_context.uc_stack.ss_size = sizeof(stack);
	makecontext(&other_context, other, 0);
	swapcontext(&main_context, &other_context);
	leaf();
	swapcontext(&main_context, &other_context);
	after();
	sink = 12;
}
}

int main()
{
	recursion();
	tail_calls();
	long_jump();
	jump_in_recursion();
	exceptions();
	signals();
	jump_from_handler();
	callbacks();
	contexts();
	return 0;
}
