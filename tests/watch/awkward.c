// SPDX-License-Identifier: Apache-2.0
// Values that are hard to show, in a loop that is entered once.
#include <complex.h>
#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum colour { RED, GREEN };
struct bits {
	unsigned low : 3, high : 5;
	int : 4;
	long wide : 40;
};
struct tree {
	struct tree *left, *right;
	int depth;
};
union both {
	int number;
	float real;
};
static volatile int stop;
static volatile long rounds;

__attribute__((noinline)) static void never(int n)
{
	rounds += n;
	rounds ^= n; // NEVER
}

__attribute__((noinline)) static void show(int n, int size)
{
	unsigned char bytes[4] = {0, 255, 128, 7};
	char text[12] = "\xff\xfe\"\\\n\x01z", no_end[3] = {'a', 'b', 'c'};
	char *wild = (char *)8, *null = NULL;
	int *far = (int *)0x7ffffffff000, variable[size], table[100];
	double nan = NAN, infinite = -INFINITY;
	long double extended = 1.5L;
	double complex imaginary = 1.0 + 2.0 * I;
	__int128 huge = (__int128)1 << 100;
	enum colour colour = (enum colour)77;
	struct bits bits = {5, 17, -3};
	struct tree inner = {NULL, NULL, 1}, tree = {&inner, &inner, 0};
	union both both = {.number = 3};
	void (*function)(int) = never;
	const char *long_text = "0123456789012345678901234567890123456789";
	memset(variable, 1, (size_t)size * sizeof(int));
	memset(table, 0, sizeof(table));
	tree.left = &tree;
	rounds += n + (bytes[1] == text[0]) + (wild == null) + (far == variable) +
		  (nan > infinite) + (extended > creal(imaginary)) + (huge > 0) + (colour == RED) +
		  bits.low + tree.depth + both.number + (function == NULL) + long_text[0] +
		  no_end[0] + table[3]; // SHOW
}

static void *turn(void *context)
{
	long number = (long)context;
	for (int n = 0; !stop; n++) {
		show(n, 5);
		number += n; // LOOP
		usleep(1000);
	}
	return (void *)number;
}

static void end(int number)
{
	(void)number;
	stop = 1;
}

int main(int argc, char **argv)
{
	pthread_t threads[4];
	(void)argv;
	signal(SIGTERM, end);
	if (argc > 5)
		never(1);
	for (long i = 0; i < 4; i++)
		pthread_create(&threads[i], NULL, turn, (void *)i);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	puts("output is the program's own");
	return 3;
}
