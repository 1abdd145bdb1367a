// SPDX-License-Identifier: Apache-2.0
// Has what makes the lines of a program hard to count: loops on one line, recursion, inlined functions, a switch.
#include <stdio.h>
#include <stdlib.h>

static int used;

static inline int square(int x)
{
	return x * x;
}

static int collatz(int n)
{
	int steps = 0;
	while (n != 1) {
		if (n % 2 == 0)
			n /= 2;
		else
			n = 3 * n + 1;
		steps++;
	}
	return steps;
}

static int factorial(int n)
{
	if (n < 2)
		return 1;
	return n * factorial(n - 1);
}

int never(int n)
{
	used = n;
	return n + 1;
}

static const char *name(int kind)
{
	switch (kind) {
	case 0:
		return "zero";
	case 1:
		return "one";
	case 2:
		return "two";
	default:
		return "many";
	}
}

static int compare(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

int main(int argc, char **argv)
{
	int sum = 0;
	int numbers[12];
	for (int i = 0; i < 12; i++)
		numbers[i] = square(i * 7 % 12);
	qsort(numbers, 12, sizeof(int), compare);
	for (int i = 1; i < 8; i++)
		sum += collatz(i) + factorial(i);
	if (argc > 5)
		sum = never(sum);
	if (argc > 1 && atoi(argv[1]) == 3) {
		sum += 17;
		used = 1;
	}
	for (int i = 0; i < 3; i += 2)
		printf("%s ", name(i));
	printf("%d %d %d\n", sum, numbers[5], used);
	return 0;
}
