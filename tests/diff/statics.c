// Statics of one name in two files, and data that only the linker knows; compiled twice.
#ifdef OTHER
static int counter = 100;
static char filler[3000] = {1};
int *other_counter(void)
{
	filler[5] = 1;
	return &counter;
}
int exported = 7;
#else
#include <string.h>
extern int exported;
int *other_counter(void);
static int counter = 1;
struct pair {
	short first, second;
} pairs[3] = {{1, 2}, {3, 4}, {5, 6}};
static const char *const names[] = {"a", "b"};
const char *name = "before";
float wave[64] = {1};
__attribute__((noinline)) void checkpoint(int n)
{
	__asm__ volatile("" ::"r"(n) : "memory");
}
int main(void)
{
	checkpoint(1);
	counter = 2;
	*other_counter() = 200;
	exported = 8;
	pairs[1].second = 44;
	name = names[1];
	wave[63] = 0.5f;
	checkpoint(2);
	return 0;
}
#endif
