// SPDX-License-Identifier: Apache-2.0
// Inlined calls within each other, tail calls, entry values, static functions with constant
// propagation, a noreturn call at the very end of a function.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct request {
	int id;
	const char *path;
	unsigned length;
	struct request *parent;
};
static volatile int sink;

static inline __attribute__((always_inline)) int checksum(const char *text, unsigned length)
{
	int sum = 17;
	for (unsigned i = 0; i < length; i++)
		sum = sum * 31 + text[i];
	if (length == 9) {
		sink = sum;
		*(volatile int *)(long)(sum & 0) = sum;
	}
	return sum;
}

static inline __attribute__((always_inline)) int verify(const struct request *request, int salt)
{
	int sum = checksum(request->path, request->length);
	int mixed = sum ^ salt;
	return mixed * 2;
}

__attribute__((noinline)) static int route(struct request *request, int depth, double weight)
{
	int result = verify(request, depth * 3);
	double scaled = weight * result;
	sink = (int)scaled;
	return result + depth;
}

__attribute__((noinline)) static int walk(struct request *request, int depth)
{
	struct request local = *request;
	if (depth > 0) {
		local.parent = request;
		local.id++;
		int below = walk(&local, depth - 1);
		return below + local.id;
	}
	int total = 0;
	for (int i = 0; i < 3; i++) {
		int step = i * 2;
		local.length += (unsigned)step + 1;
		total += route(&local, i, 0.5);
	}
	return total;
}

__attribute__((noinline)) static int tail(struct request *request, int depth)
{
	request->id += depth;
	return walk(request, depth);
}

int main(int argc, char **argv)
{
	struct request request = {argc, "/index.html", 0, NULL};
	int result = tail(&request, 4);
	printf("%d %s\n", result, argv[0]);
	exit(result);
}
