// SPDX-License-Identifier: Apache-2.0
// A library with a thread-local, for rooted.c.
#include <stdlib.h>

struct item {
	struct item *next;
	int number;
};
static _Thread_local struct item *loaded_list;
struct item *library_items;

void *touch(void);
void *touch(void)
{
	loaded_list = calloc(1, sizeof(*loaded_list));
	library_items = loaded_list;
	return &loaded_list;
}
