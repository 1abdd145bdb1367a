// SPDX-License-Identifier: Apache-2.0
// Runs a fuzz target over the files of folders, as an ordinary test: replay FOLDER...
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int replay_file(const char *path)
{
	FILE *file = fopen(path, "rb");
	if (!file)
		return 1;
	size_t capacity = 1 << 20, size = 0, got;
	uint8_t *bytes = malloc(capacity);
	while (bytes && (got = fread(bytes + size, 1, capacity - size, file)) > 0) {
		size += got;
		if (size == capacity)
			bytes = realloc(bytes, capacity *= 2);
	}
	fclose(file);
	if (!bytes)
		return 1;
	uint8_t *exact = malloc(size ? size : 1); // so that an overrun by one byte shows
	for (size_t i = 0; exact && i < size; i++)
		exact[i] = bytes[i];
	free(bytes);
	if (exact)
		LLVMFuzzerTestOneInput(exact, size);
	free(exact);
	return 0;
}

int main(int argc, char **argv)
{
	unsigned count = 0;
	for (int i = 1; i < argc; i++) {
		DIR *folder = opendir(argv[i]);
		const struct dirent *entry;
		while (folder && (entry = readdir(folder))) {
			char path[4096];
			if (entry->d_name[0] == '.')
				continue;
			snprintf(path, sizeof(path), "%s/%s", argv[i], entry->d_name);
			printf("# %s\n", entry->d_name);
			fflush(stdout);
			printf("%s %u - %s\n", replay_file(path) ? "not ok" : "ok", ++count,
			       entry->d_name);
		}
		if (folder)
			closedir(folder);
	}
	printf("1..%u\n", count);
	return count ? 0 : 1;
}
