// SPDX-License-Identifier: Apache-2.0
// A program with 150,000 objects that refer to each other at random, by pointers of their type, of other types, into their middle,
// and in integers; some are lost.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { COUNT = 150000, KINDS = 6 };

struct small {
	struct small *next;
	long number;
};
struct pair {
	struct small *a;
	struct wide *b;
	void *any;
};
struct link {
	struct link *next, *prev;
};
struct member {
	int id;
	struct link link;
	struct pair *pair;
	char text[40];
};
struct wide {
	struct wide *many[6];
	uintptr_t number;
	struct member *member;
	union {
		struct small *small;
		struct pair *pair;
	} u;
};
struct derived { // begins with another
	struct pair pair;
	struct derived *next;
	long more[9];
};

static const size_t sizes[KINDS] = {sizeof(struct small),   sizeof(struct pair),
				    sizeof(struct member),  sizeof(struct wide),
				    sizeof(struct derived), 200};
struct wide *root;
struct link *root_link;

static unsigned long next_random(void)
{
	static unsigned long state = 88172645463325252;
	state ^= state << 13;
	state ^= state >> 7;
	return state ^= state << 17;
}

/** Any object, mostly of `kind`, mostly its beginning. */
static void *any_object(char **all, int kind)
{
	unsigned long at = next_random() % COUNT, how = next_random() % 64;
	if (how == 0)
		return all[at] + 8;
	if (how == 1)
		return (void *)(next_random() % 100000);
	if (how == 2)
		return all[at];
	if (how < 12)
		return NULL;
	return all[at - at % KINDS + (at - at % KINDS + (unsigned long)kind < COUNT ? kind : 0)];
}

static void fill(char **all, unsigned long i)
{
	struct small *small = (struct small *)all[i];
	struct pair *pair = (struct pair *)all[i];
	struct member *member = (struct member *)all[i];
	struct wide *wide = (struct wide *)all[i];
	struct derived *derived = (struct derived *)all[i];
	switch (i % KINDS) {
	case 0:
		small->next = any_object(all, 0);
		break;
	case 1:
		pair->a = any_object(all, 0);
		pair->b = any_object(all, 3);
		pair->any = any_object(all, (int)(next_random() % KINDS));
		break;
	case 2:
		member->link.next = &((struct member *)any_object(all, 2) + 0)->link;
		member->link.prev = &((struct member *)any_object(all, 2) + 0)->link;
		member->pair = any_object(all, next_random() % 4 ? 1 : 4);
		break;
	case 3:
		for (int j = 0; j < 6; j++)
			wide->many[j] = next_random() % 4 ? NULL : any_object(all, 3);
		wide->number = (uintptr_t)any_object(all, 0);
		wide->member = any_object(all, 2);
		wide->u.pair = any_object(all, 1);
		break;
	case 4:
		derived->pair.a = any_object(all, 0);
		derived->next = any_object(all, 4);
		break;
	default:
		for (int j = 0; j < 4; j++)
			((void **)all[i])[j * 5] = any_object(all, j);
	}
}

int main(void)
{
	char **all = malloc(COUNT * sizeof(*all));
	for (unsigned long i = 0; all && i < COUNT; i++)
		if (!(all[i] = calloc(1, sizes[i % KINDS])))
			return 1;
	for (unsigned long i = 0; all && i < COUNT; i++)
		fill(all, i);
	root = (struct wide *)all[3];
	root_link = &((struct member *)all[2])->link;
	memset(all, 0, COUNT * sizeof(*all));
	free(all);
	abort();
}
