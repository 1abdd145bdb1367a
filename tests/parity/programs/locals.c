// SPDX-License-Identifier: Apache-2.0
// Thread-locals, variable arrays, nested blocks that shadow, statics, computed sizes.
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static __thread int calls = 3;
__thread struct {
	int id;
	char tag[8];
} mine = {7, "main"};
static int file_static = 5;

__attribute__((noinline)) static int fill(int rows, int columns, int grid[rows][columns])
{
	char line[columns * 2];
	int sums[rows];
	double(*weights)[columns] = malloc(sizeof(double[rows][columns]));
	static int invocations;
	invocations++;
	memset(line, '-', sizeof(line));
	for (int i = 0; i < rows; i++) {
		int sum = 0;
		for (int j = 0; j < columns; j++) {
			int sum_before = sum;
			weights[i][j] = i + j / 2.0;
			grid[i][j] = i * columns + j;
			sum += grid[i][j];
			if (i == rows - 1 && j == columns - 1) {
				int i = 1000; // shadows
				int inner_only = sum_before + i;
				calls += inner_only;
				mine.id++;
				abort();
			}
		}
		sums[i] = sum;
	}
	return sums[0] + line[0];
}

static void *thread(void *argument)
{
	int grid[3][4];
	calls = 100;
	strcpy(mine.tag, "thread");
	return (void *)(long)(fill(3, 4, grid) + *(int *)argument + file_static);
}

int main(void)
{
	pthread_t id;
	int argument = 12;
	pthread_create(&id, NULL, thread, &argument);
	pthread_join(id, NULL);
	return 0;
}
