// SPDX-License-Identifier: Apache-2.0
// A program with a heap of COUNT blocks of 104 bytes that ends in a core file: bench/graph.py measures on it.
//   list    one list, in the order of allocation
//   random  a doubly linked list, and a third pointer to any node
//   tree    a binary tree, and a third pointer to any node
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct node {
	struct node *next, *prev, *peer;
	long number;
	char payload[72];
};

struct node *head;
unsigned long count;

static unsigned long next_random(void)
{
	static unsigned long state = 88172645463325252;
	state ^= state << 13;
	state ^= state >> 7;
	return state ^= state << 17;
}

static struct node **make_nodes(void)
{
	struct node **all = malloc(count * sizeof(*all));
	for (unsigned long i = 0; all && i < count; i++) {
		all[i] = calloc(1, sizeof(struct node));
		if (!all[i])
			return NULL;
		all[i]->number = (long)i;
	}
	return all;
}

static void link_nodes(struct node **all, const char *shape)
{
	for (unsigned long i = 0; i < count; i++) {
		if (strcmp(shape, "tree") == 0) {
			all[i]->next = 2 * i + 1 < count ? all[2 * i + 1] : NULL;
			all[i]->prev = 2 * i + 2 < count ? all[2 * i + 2] : NULL;
		} else {
			all[i]->next = i + 1 < count ? all[i + 1] : NULL;
		}
		if (strcmp(shape, "random") == 0)
			all[i]->prev = i ? all[i - 1] : all[count - 1];
		if (strcmp(shape, "list") != 0)
			all[i]->peer = all[next_random() % count];
	}
}

int main(int argc, char **argv)
{
	if (argc != 3) {
		fprintf(stderr, "usage: graph_heap COUNT list|random|tree\n");
		return 2;
	}
	count = strtoul(argv[1], NULL, 10);
	struct node **all = make_nodes();
	if (!all || !count)
		return 1;
	link_nodes(all, argv[2]);
	head = all[0];
	memset(all, 0, count * sizeof(*all));
	free(all);
	abort();
}
