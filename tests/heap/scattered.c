// SPDX-License-Identifier: Apache-2.0
// For local_blocks.py: blocks of all sizes in two arenas, a third of them free again in no order; prints a line then.
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { COUNT = 30000 };

static void *scatter(void *seed)
{
	unsigned random = *(unsigned *)seed;
	static _Thread_local void *blocks[COUNT];
	for (int i = 0; i < COUNT; i++) {
		random = random * 1103515245 + 12345;
		size_t size = random >> 8 & (i % 100 ? 0xff : i % 1000 ? 0xfff : 0x7ffff);
		blocks[i] = malloc(size);
		if (blocks[i])
			memset(blocks[i], i, size);
	}
	for (int i = 0; i < COUNT; i++) {
		random = random * 1103515245 + 12345;
		int victim = (int)(random >> 8) % COUNT;
		if (i % 3 == 0) {
			free(blocks[victim]);
			blocks[victim] = NULL;
		}
	}
	return NULL;
}

int main(void)
{
	unsigned seeds[] = {1, 2};
	pthread_t thread;
	pthread_create(&thread, NULL, scatter, &seeds[1]);
	pthread_join(thread, NULL);
	scatter(&seeds[0]);
	puts("ready");
	fflush(stdout);
	pause();
}
