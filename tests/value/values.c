// SPDX-License-Identifier: Apache-2.0
// Values of every C type, and a crash among them.
#include <stdlib.h>
#include <stdint.h>
#include <stdbool.h>
#include <complex.h>
#include <wchar.h>
#include <uchar.h>
#include <string.h>
#include <math.h>
enum color { RED, GREEN = 5, BLUE };
enum flags { FA = 1, FB = 2, FC = 8 };
struct point {
	int x, y;
};
struct bits {
	unsigned a : 3;
	int b : 5;
	unsigned long long c : 40;
	_Bool d : 1;
	enum color e : 4;
};
union un {
	int i;
	float f;
	char c[4];
};
struct anon {
	int k;
	union {
		int i;
		float f;
	};
	struct {
		short s;
		char t;
	};
};
struct flex {
	int n;
	int data[];
};
struct list {
	struct list *next;
	int v;
	char name[16];
	int (*fn)(int);
	void *p;
	struct point pt[3];
};
int handler(int x)
{
	return x + 1;
}
int global = 42;
static int file_static = 7;
const char *gstr = "hello \"world\"\n\ttab\\ \x01\x02"
		   "9";
char gbuf[16] = "abc";
char gzero[32];
char gfull[3] = {'a', 'b', 'c'};
unsigned char gu8[6] = {1, 2, 3, 'x', 255, 0};
signed char gs8 = -5;
uint8_t gu = 200;
char gc = 'a';
char longstr[300];
int big[300];
int zeros[100];
int rep[20] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2, 3};
char *strs[3] = {"one", "two", 0};
double gd = 0.1, ginf, gnan, gneg = -2.5;
float gf = 1.5f;
long double gld = 3.14159L;
float fa[3] = {1, 2.5, 1e30};
_Complex double gcplx = 1 + 2 * I;
_Bool gb = true;
bool garr[3] = {1, 0, 1};
__int128 gi128 = -5;
unsigned __int128 gu128 = ((unsigned __int128)1 << 100) + 7;
enum color gcol = GREEN, gbadcol = 77;
enum flags gfl = FA | FC, gfl0 = 0, gflbad = FA | 64, gflu = 64;
struct point gpt = {1, 2};
struct bits gbits = {5, -3, 123456789012ULL, 1, BLUE};
union un gun = {.i = 65};
struct anon ganon = {1, {2}, {3, 'z'}};
struct list glist2 = {0, 2, "second", handler, &global, {{1, 2}, {3, 4}, {5, 6}}};
struct list glist = {&glist2, 1, "first", handler, &glist2, {{1, 2}, {1, 2}, {1, 2}}};
int m2[3][4] = {{1, 2, 3, 4}, {5, 6, 7, 8}};
int (*gfp)(int) = handler;
void (*gnullfp)(void);
void *gvp = &gpt.y;
int *gip = &m2[1][2];
wchar_t gw[10] = L"wide\u00e9";
char16_t g16[5] = u"u16";
char32_t g32c = U'x';
wchar_t gwc = L'w';
const wchar_t *gwp = L"ptr";
struct flex *gflex;
short gsh = -3;
unsigned short gush = 65535;
long gl = -1;
unsigned long gul = -1UL;
long long gll = 1LL << 60;
char utf[] = "h\xc3\xa9llo\xff\xc3";
char mixed[40] = "aaaaaaaaaaaaaaaabcccccccccccccccccd";
typedef int v4 __attribute__((vector_size(16)));
v4 gv = {1, 2, 3, 4};
typedef struct point PT;
PT gpts[12];
PT *gptp = &gpt;
volatile int gvol = 3;
const int gcon = 4;
_Atomic int gat = 9;
__thread int tls1 = 11;
__thread char tls2[8] = "tls";
const struct point gcp = {8, 9};
int *gbad = (int *)0x10;
char *gbads = (char *)0x10;
struct point *garrp[2] = {&gpt, 0};
struct empty {
} gempty;
char *gesc = "a'b";
char gq = '\'';
char gdq = '"', gnl = '\n';
struct deep {
	struct deep2 {
		struct deep3 {
			int a[2];
			char s[8];
		} d3[2];
	} d2;
	int z;
} gdeep;
_Float128 gq128 = 1.5;
_Float16 gh;
_Decimal32 gd32 = 1.5DF, gd32big = 9.999999e90DF, gd32small = -0.0000001DF;
_Decimal64 gd64 = 9.876543210987654DD, gd64zero;
_Decimal128 gd128 = 9.999999999999999999999999999999999DL, gd128small = 1e-6000DL;
typedef unsigned char v16c __attribute__((vector_size(16)));
v16c gvc = {'a', 'b'};
union {
	_Bool b : 1;
	enum { UA, UB } e : 2;
	unsigned char c : 5;
	int whole;
} gubits = {.whole = 0x5b};
int f3(int n, char *s, struct point p, double d)
{
	static int counter = 3;
	enum { LOCAL_A = 4, LOCAL_B } le = LOCAL_B;
	(void)le;
	int vla[n];
	int vla2[n][2];
	char loc[20] = "local";
	struct point *pp = &p;
	for (int i = 0; i < n; i++) {
		vla[i] = i;
		vla2[i][0] = vla2[i][1] = i;
	}
	{
		int n = 99;
		int inner = n;
		register long r = 5;
		(void)r;
		if (inner) {
			int deepv = 1;
			(void)deepv;
			abort();
		}
	}
	return vla[0] + loc[0] + pp->x + counter + vla2[0][0];
}
int main(int argc, char **argv)
{
	ginf = INFINITY;
	gnan = NAN;
	for (int i = 0; i < 300; i++) {
		big[i] = i;
		longstr[i] = 'a' + i % 26;
	}
	gh = 1.25;
	gflex = malloc(64);
	gflex->n = 2;
	gflex->data[0] = 5;
	memset(gzero, 0, 32);
	return f3(4, "arg", gpt, 2.25);
}
