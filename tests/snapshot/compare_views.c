// SPDX-License-Identifier: Apache-2.0
// Every byte that can be read of view A must be the same in view B; with --readable, only of those
// that can be read in B, too. Tells how many were compared.
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strobe/memory.h>
#include <strobe/view.h>

enum { PIECE = 1 << 20, PAGE = 4096 };

static uint64_t compared, different, missing;
static bool only_readable;

static void compare_page(const struct strobe_mapping *mapping, uint64_t at, const uint8_t *a,
			 size_t size_a, const uint8_t *b, size_t size_b)
{
	size_t common = size_a < size_b ? size_a : size_b;
	compared += common;
	if (memcmp(a, b, common) != 0 && different++ < 5)
		printf("differs: page 0x%" PRIx64 " of %s\n", at,
		       mapping->path ? mapping->path : "-");
	if (size_b < size_a && !only_readable && missing++ < 5)
		printf("missing: page 0x%" PRIx64 " of %s\n", at,
		       mapping->path ? mapping->path : "-");
}

static void compare(struct strobe_view *a, struct strobe_view *b,
		    const struct strobe_mapping *mapping, uint8_t *buffer)
{
	for (uint64_t at = mapping->start; at < mapping->end; at += PIECE) {
		size_t size = mapping->end - at < PIECE ? mapping->end - at : PIECE;
		if (strobe_memory_read(a, at, buffer, size) == size &&
		    strobe_memory_read(b, at, buffer + PIECE, size) == size &&
		    memcmp(buffer, buffer + PIECE, size) == 0) {
			compared += size;
			continue;
		}
		for (size_t i = 0; i < size; i += PAGE) {
			uint8_t *x = buffer, *y = buffer + PIECE;
			size_t size_a = strobe_memory_read(a, at + i, x, PAGE);
			size_t size_b = strobe_memory_read(b, at + i, y, PAGE);
			compare_page(mapping, at + i, x, size_a, y, size_b);
		}
	}
}

int main(int argc, char **argv)
{
	struct strobe_view_options options = {.size = sizeof(options), .no_debuginfod = true};
	struct strobe_view *views[2] = {NULL, NULL};
	uint8_t *buffer = malloc((size_t)2 * PIECE);
	int first = 1;
	if (argc == 4 && strcmp(argv[1], "--readable") == 0)
		only_readable = true, first = 2;
	if (argc - first != 2 || !buffer)
		return 2;
	for (int i = 0; i < 2; i++) {
		struct strobe_error *error = strobe_view_open(argv[first + i], &options, &views[i]);
		if (error) {
			printf("%s\n", strobe_error_message(error));
			return 2;
		}
	}
	for (size_t i = 0; i < strobe_view_mapping_count(views[0]); i++) {
		const struct strobe_mapping *mapping = strobe_view_mapping(views[0], i);
		if (!mapping->path || strncmp(mapping->path, "[vsyscall", 9) != 0)
			compare(views[0], views[1], mapping, buffer);
	}
	printf("compared %" PRIu64 " different %" PRIu64 " missing %" PRIu64 "\n", compared,
	       different, missing);
	for (int i = 0; i < 2; i++)
		strobe_view_close(views[i]);
	free(buffer);
	return different || missing;
}
