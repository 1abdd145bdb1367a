// SPDX-License-Identifier: Apache-2.0
// Functions that return all kinds of types, once each: what a debugger says of them is compared.
#include <cstdio>
#include <string>

struct Ints { int a, b; };
struct Longs { long a, b; };
struct Mixed { long a; double b; };
struct MixedToo { int a; double b; };
struct Big { long a, b, c; };
struct Three { signed char a[3]; };
struct Bits { unsigned a : 3, b : 7; int c; };
union Either { int a; short b[4]; };
struct Destroyed { int a; explicit Destroyed(int n) : a(n) { } Destroyed(const Destroyed &other) : a(other.a) { } ~Destroyed() { a = 0; } };
struct __attribute__((packed)) Packed { short a; int b; };
struct Shorts { short a[6]; };
struct Nested { Ints a; long *b; };
struct Base { int a; };
struct Derived : Base { int b; long c; };
template <typename T> struct Holds { T a; ~Holds() { } };
enum Colour { Red, Green = 5, Blue = -3 };
enum class Kind : unsigned char { Large = 200 };

static int number = 77;
static long word = 5;
static Big big = {7, 8, 9};

#define RETURNS(type, name, value)                                                                                     \
	extern "C" __attribute__((noinline)) type name(int n)                                                          \
	{                                                                                                              \
		asm volatile("" : "+r"(n));                                                                            \
		return value;                                                                                          \
	}
RETURNS(int, returns_int, -n)
RETURNS(unsigned, returns_unsigned, 4000000000u + (unsigned)n)
RETURNS(signed char, returns_schar, (signed char)(-5 * n))
RETURNS(unsigned char, returns_uchar, (unsigned char)(200 + n))
RETURNS(char, returns_char, (char)('a' + n))
RETURNS(short, returns_short, (short)(-300 * n))
RETURNS(unsigned short, returns_ushort, (unsigned short)(65000 + n))
RETURNS(long, returns_long, -(1L << 40) * n)
RETURNS(unsigned long, returns_ulong, ~(unsigned long)n)
RETURNS(bool, returns_bool, n > 0)
RETURNS(Colour, returns_colour, n == 3 ? Blue : Red)
RETURNS(Kind, returns_kind, Kind::Large)
RETURNS(int *, returns_pointer, &number)
RETURNS(__int128, returns_int128, ((__int128)5 << 64) + n)
RETURNS(Ints, returns_ints, (Ints{n, -2}))
RETURNS(Longs, returns_longs, (Longs{n, -2}))
RETURNS(Big, returns_big, big)
RETURNS(Three, returns_three, (Three{{1, 2, (signed char)n}}))
RETURNS(Bits, returns_bits, (Bits{5, 100, -n}))
RETURNS(Either, returns_either, (Either{1234 * n}))
RETURNS(Destroyed, returns_destroyed, Destroyed(n))
RETURNS(Packed, returns_packed, (Packed{1, n}))
RETURNS(Shorts, returns_shorts, (Shorts{{1, 2, 3, 4, 5, (short)-n}}))
RETURNS(Nested, returns_nested, (Nested{{3, n}, &word}))
RETURNS(Derived, returns_derived, (Derived{{n}, 4, -5}))
RETURNS(Holds<long>, returns_holds, (Holds<long>{n}))
RETURNS(double, returns_double, n * 1.5)
RETURNS(float, returns_float, (float)n * 2.5f)
RETURNS(long double, returns_long_double, n * 3.5L)
RETURNS(Mixed, returns_mixed, (Mixed{n, 2.5}))
RETURNS(MixedToo, returns_mixed_too, (MixedToo{n, 2.5}))
extern "C" __attribute__((noinline)) void returns_nothing(int n)
{
	number += n - 3;
}

int main()
{
	int n = 3;
	returns_int(n), returns_unsigned(n), returns_schar(n), returns_uchar(n), returns_char(n), returns_short(n);
	returns_ushort(n), returns_long(n), returns_ulong(n), returns_bool(n), returns_colour(n), returns_kind(n);
	returns_pointer(n), returns_int128(n), returns_ints(n), returns_longs(n), returns_big(n), returns_three(n);
	returns_bits(n), returns_either(n), returns_destroyed(n), returns_packed(n), returns_shorts(n), returns_nested(n);
	returns_derived(n), returns_holds(n), returns_double(n), returns_float(n), returns_long_double(n);
	returns_mixed(n), returns_mixed_too(n);
	returns_nothing(n);
	std::puts("total");
	return 3;
}
