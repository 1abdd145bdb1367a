// SPDX-License-Identifier: Apache-2.0
// Every kind of C type, as locals, arguments and globals, then abort().
#include <complex.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

enum color { RED, GREEN = 5, BLUE };
enum flags { READ = 1, WRITE = 2, EXECUTE = 4, LAZY = 16 };
enum wide { HUGE_ONE = 0x100000000ll, NEGATIVE = -3 };
typedef int (*handler)(int, const char *);
typedef unsigned char byte;
struct point {
	int x, y;
};
struct bits {
	unsigned a : 3, b : 5;
	int c : 7;
	unsigned long d : 40;
	bool e : 1;
	enum color f : 3;
};
union number {
	int i;
	float f;
	double d;
	char bytes[8];
	struct point p;
};
struct node {
	struct node *next;
	char name[16];
	const char *text;
	handler call;
};
struct nested {
	struct {
		int a;
		union {
			int b;
			char c[4];
		};
	};
	struct point points[3];
	struct {
		struct {
			struct {
				int deep;
			} three;
		} two;
	} one;
	void *nothing;
	int flexible[];
};
struct empty {
};
typedef struct point point_t;
typedef point_t triangle[3];

int global_number = 42;
static const char *const static_text = "static text";
struct node first = {.name = "first", .text = "one"};
struct node second = {&first, "second, too long", "two", NULL};
int table[4][3] = {{1, 2, 3}, {4, 5, 6}, {7, 8, 9}, {10, 11, 12}};
int many[500];
char big[400];

__attribute__((noinline)) static int handle(int value, const char *text)
{
	return value + (int)strlen(text);
}

__attribute__((noinline)) static void scalars(signed char sc, unsigned char uc, short s,
					      unsigned short us, int i, unsigned u, long l,
					      unsigned long ul, long long ll, float f, double d)
{
	bool yes = i > 0, no = false;
	char letter = 'a', newline = '\n', zero = 0, high = (char)200, quote = '\'';
	long double ld = 3.25L;
	float _Complex fc = 1.5f - 2.0f * I;
	double complex dc = 2.5 + 0.5 * I;
	__int128 wide = (__int128)1 << 100;
	unsigned __int128 uwide = ~(unsigned __int128)0;
	double infinite = 1 / (d - d), nan = infinite - infinite, tenth = 0.1, big_one = 1e300;
	float third = 1.0f / 3;
	wchar_t wide_letter = L'\u00e9';
	size_t size = sizeof(int);
	intptr_t negative = -1;
	_Atomic int atomic = 7;
	volatile int vol = 8;
	const int constant = 9;
	int8_t tiny = -128;
	uint64_t top = UINT64_MAX;
	printf("%d%d%c%c%c%c%c%Lf%f%f%d%d%f%f%f%f%f%lc%zu%ld%d%d%d%d%lu\n", yes, no, letter,
	       newline, zero, high, quote, ld, creal(fc), creal(dc), (int)wide, (int)uwide,
	       infinite, nan, tenth, big_one, (double)third, (wint_t)wide_letter, size, negative,
	       atomic, vol, constant, tiny, top);
	printf("%d%d%d%d%d%u%ld%lu%lld%f%f\n", sc, uc, s, us, i, u, l, ul, ll, (double)f, d);
	abort();
}

__attribute__((noinline)) static void aggregates(struct point by_value, struct node *list,
						 handler call, char **arguments)
{
	enum color color = BLUE, unknown_color = (enum color)77;
	enum flags none = 0, some = READ | EXECUTE, odd = (enum flags)(WRITE | 64), all = 23;
	enum wide wide = NEGATIVE;
	struct bits bits = {5, 17, -3, 1234567890123ul & 0xffffffffff, true, GREEN};
	union number number = {.f = 1.5f};
	struct nested *nested = calloc(1, sizeof(*nested) + 4 * sizeof(int));
	struct nested copy = {.points = {{1, 2}, {3, 4}, {5, 6}}, .one.two.three.deep = 9};
	char text[16] = "hello", full[4] = {'a', 'b', 'c', 'd'}, zeros[32] = "",
	     mixed[24] = "ab\001\002\n\t\"q\\", runs[64];
	unsigned char raw[6] = {0, 1, 2, 253, 254, 255};
	int numbers[6] = {1, 2, 3}, same[30], matrix[2][2] = {{1, 2}, {3, 4}};
	double doubles[3] = {0.5, 1.25, -3};
	void *pointer = &global_number, *null = NULL, *wild = (void *)0xdeadbeef;
	const char *string = "a string\twith \"escapes\" \303\251", *bad = (const char *)16;
	wchar_t wide_text[8] = L"w\u00efde";
	int *element = &table[1][2];
	struct empty empty;
	triangle corners = {{0, 0}, {1, 0}, {0, 1}};
	struct node *list_array[2] = {list, &first};
	handler calls[2] = {call, NULL};
	int(*row)[3] = &table[2];
	byte bytes[3] = "xy";
	int vector __attribute__((vector_size(16))) = {1, 2, 3, 4};
	static int counter = 11;
	memset(runs, 'r', sizeof(runs));
	memset(runs, 'a', 20);
	for (int i = 0; i < 30; i++)
		same[i] = i < 25 ? 7 : i;
	for (int i = 0; i < 500; i++)
		many[i] = i / 20;
	memset(big, 'z', sizeof(big));
	nested->b = 0x41424344;
	counter++;
	printf("%d%d%d%d%d%d%d%d%f%p%s%c%s%s%s%d%d%d%d%f%p%p%p%s%p%ls%d%p%d%p%p%d%d%d\n", color,
	       unknown_color, none, some, odd, all, (int)wide, bits.a, (double)number.f,
	       (void *)nested, text, full[0], zeros, mixed, "", raw[1], numbers[0], same[0],
	       matrix[0][0], doubles[0], pointer, null, wild, string, (const void *)bad, wide_text,
	       *element, (void *)&empty, corners[1].x, (void *)list_array[0], (void *)row, bytes[0],
	       vector[1], copy.points[0].x);
	printf("%d%p%s%c\n", by_value.x, (void *)calls[0], arguments[0], runs[3]);
	scalars(-1, 255, -32768, 65535, -2147483647 - 1, 4294967295u, -5, 18446744073709551615ul,
		-9223372036854775807ll - 1, 2.5f, 6.02e23);
}

int main(int argc, char **argv)
{
	struct point here = {argc, -argc};
	first.call = handle;
	second.call = handle;
	aggregates(here, &second, handle, argv);
	return 0;
}
