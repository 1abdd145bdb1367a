// SPDX-License-Identifier: Apache-2.0
// What memmem() needs for the bytes of a file that are in memory: memmem FILE TEXT
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>

int main(int argc, char **argv)
{
	struct stat st;
	struct timespec start, end;
	int fd = argc == 3 ? open(argv[1], O_RDONLY) : -1;
	if (fd < 0 || fstat(fd, &st) < 0)
		return 2;
	const char *data =
		mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0);
	if (data == MAP_FAILED)
		return 1;
	unsigned long hits = 0;
	clock_gettime(CLOCK_MONOTONIC, &start);
	const char *at = data, *stop = data + st.st_size;
	while ((at = memmem(at, (size_t)(stop - at), argv[2], strlen(argv[2])))) {
		hits++;
		at++;
	}
	clock_gettime(CLOCK_MONOTONIC, &end);
	printf("%lu %.6f\n", hits,
	       (double)(end.tv_sec - start.tv_sec) + (double)(end.tv_nsec - start.tv_nsec) / 1e9);
	return 0;
}
