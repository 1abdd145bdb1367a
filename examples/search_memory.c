// SPDX-License-Identifier: Apache-2.0
// Finds a text in the memory of a core, with what stands around it: search_memory CORE TEXT
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strobe/memory.h>

static bool print_hit(void *context, uint64_t address, uint64_t size)
{
	const struct strobe_view *view = context;
	const struct strobe_mapping *mapping = strobe_view_mapping_at(view, address);
	unsigned char bytes[48];
	size_t got = strobe_memory_read(view, address, bytes, sizeof(bytes));
	printf("0x%llx %-20s ", (unsigned long long)address,
	       mapping && mapping->path ? mapping->path : "(anonymous)");
	for (size_t i = 0; i < got; i++)
		putchar(isprint(bytes[i]) ? bytes[i] : '.');
	putchar('\n');
	(void)size;
	return true;
}

int main(int argc, char **argv)
{
	struct strobe_view *view = NULL;
	if (argc != 3) {
		fprintf(stderr, "usage: search_memory CORE TEXT\n");
		return 2;
	}
	struct strobe_error *error = strobe_view_open(argv[1], NULL, &view);
	if (!error) {
		const struct strobe_search search = {
			.size = sizeof(search),
			.kind = STROBE_SEARCH_BYTES,
			.pattern = argv[2],
			.pattern_size = strlen(argv[2]),
		};
		error = strobe_memory_search(view, &search, print_hit, NULL, view);
	}
	if (error)
		fprintf(stderr, "search_memory: %s\n", strobe_error_message(error));
	int status = error ? 1 : 0;
	strobe_error_free(error);
	strobe_view_close(view);
	return status;
}
