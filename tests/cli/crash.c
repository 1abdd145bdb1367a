// SPDX-License-Identifier: Apache-2.0
// What tests/cli examines: three threads that wait, and one that dies four calls deep.
#include <pthread.h>
#include <unistd.h>

struct point {
	int x, y;
};
struct node {
	struct node *next;
	const char *name;
	struct point at;
	double weight;
};

int counter = 42;
const char banner[] = "strobe-banner-text";
struct node list_tail = {0, "tail", {5, 6}, 0.5};
struct node list_head = {&list_tail, "head", {7, 8}, 1.5};
unsigned char bytes[] = {0xde, 0xad, 0x01, 0xbe, 0xef, 0xde, 0xad, 0x02, 0xbe, 0xef};

static void *wait_forever(void *argument)
{
	for (;;)
		pause();
	return argument;
}

static int crash(struct node *node, int depth)
{
	struct point here = {depth, depth * 2};
	if (depth == 0)
		*(volatile int *)16 = here.x; // dies here
	counter += here.y;
	return crash(node->next ? node->next : node, depth - 1) + 1;
}

int main(void)
{
	pthread_t thread;
	for (int i = 0; i < 3; i++)
		pthread_create(&thread, 0, wait_forever, 0);
	usleep(100000);
	return crash(&list_head, 3);
}
