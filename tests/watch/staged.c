// SPDX-License-Identifier: Apache-2.0
// What the tests of stages watch: lines and calls that end in all the ways there are. Each round is the same, with a number.
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct pair {
	int first, second;
};
static jmp_buf back;
static volatile int sink, zero;
static struct pair shared;

__attribute__((noinline)) static int twice(int n)
{
	usleep(2000);
	return n * 2;
}

__attribute__((noinline)) static int plain(int n)
{
	int kept = 5, changed = 0;
	struct pair pair = {kept, n};
	changed = twice(n);    // PLAIN
	sink += changed;       // AFTER PLAIN
	pair.second = changed; // MEMBER
	shared = pair;
	return changed + kept + shared.first; // RETURNS
}

__attribute__((noinline)) static int recursive(int n)
{
	int sum = n;
	if (n > 0)
		sum += recursive(n - 1); // RECURSIVE
	return sum;			 // SUMMED
}

__attribute__((noinline)) static int looping(int n)
{
	int sum = 0;
	// clang-format off
	for (int i = 0; i < 3; i++) sum += twice(i + n); // LOOP
	// clang-format on
	return sum; // LOOPED
}

__attribute__((noinline)) static int branching(int n)
{
	sink = n;
	switch (n % 4) { // SWITCH
	case 0:
		return sink + 10; // CASE 0
	case 1:
		sink++; // CASE 1
		break;
	case 2:
		sink += 2; // CASE 2
		break;
	default:
		sink += 3; // CASE 3
	}
	return sink; // CASES
}

__attribute__((noinline)) static void jump(int n)
{
	if (n % 2)
		longjmp(back, 1);
	sink = n;
}

__attribute__((noinline)) static int jumped(int n)
{
	volatile int before = n;
	if (setjmp(back))
		return -before; // JUMPED
	jump(n);		// JUMPS
	return before;		// STAYED
}

__attribute__((noinline)) static int last(int n)
{
	usleep(1000);
	sink = n;
	return n + 1000; // LAST
}
static int (*volatile pointer)(int n) = last;

// Optimised, these two go on by a jump.
__attribute__((noinline)) static int tail(int n)
{
	sink = n;
	return last(n * 3); // TAIL
}

__attribute__((noinline)) static int indirect(int n)
{
	sink = n;
	return pointer(n); // INDIRECT
}

static inline __attribute__((always_inline)) int inlined(int n)
{
	int made = twice(n) + 7; // INLINED
	return made;
}

__attribute__((noinline)) static int calls_inlined(int n)
{
	int got = inlined(n); // CALLS INLINED
	sink += got;
	return got; // AFTER INLINED
}

static void end(int signal)
{
	(void)signal;
	zero = 1;
}

// staged ROUNDS: ends with status 3, and one line that says what all that was returned adds up to.
int main(int argc, char **argv)
{
	int rounds = argc > 1 ? atoi(argv[1]) : 1000000;
	long total = 0;
	signal(SIGTERM, end);
	for (int i = 0; i < rounds && !zero; i++)
		total += plain(i) + recursive(3) + looping(i) + branching(i) + jumped(i) + tail(i) +
			 indirect(i) + calls_inlined(i);
	printf("total %ld\n", argc > 1 ? total : 0);
	return 3;
}
