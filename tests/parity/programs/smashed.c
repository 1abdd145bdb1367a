// SPDX-License-Identifier: Apache-2.0
// Overwrites its own return address: the frames above are gone.
#include <stdio.h>
#include <string.h>

__attribute__((noinline)) static void copy(char *to, const char *from, size_t size)
{
	for (size_t i = 0; i < size; i++)
		to[i] = from[i];
}

__attribute__((noinline)) static int parse(const char *input, size_t size)
{
	char field[16];
	int filled = 3;
	copy(field, input, size);
	printf("%s %d\n", field, filled);
	return field[0];
}

int main(void)
{
	char input[256];
	memset(input, 'A', sizeof(input));
	return parse(input, 200);
}
