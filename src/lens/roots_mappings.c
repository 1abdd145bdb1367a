// SPDX-License-Identifier: Apache-2.0
// Memory that the program mapped itself: what no thread, module or allocator has.
#include "lens/roots_build.h"

#include <string.h>

static bool starts_with(const char *text, const char *start)
{
	return strncmp(text, start, strlen(start)) == 0;
}

/** May the program have put pointers there? What it cannot read now it cannot follow. */
static bool is_program_data(const struct strobe_mapping *mapping)
{
	const char *path = mapping->path ? mapping->path : "";
	unsigned permissions = mapping->permissions;
	if (!(permissions & STROBE_PERMISSION_READ) || starts_with(path, "[v"))
		return false;
	if (permissions & STROBE_PERMISSION_WRITE)
		return !starts_with(path, "/dev/") || starts_with(path, "/dev/shm/") ||
		       starts_with(path, "/dev/zero");
	return !*path && mapping->module_index == SIZE_MAX;
}

static bool tell(struct roots *roots, const struct strobe_mapping *mapping, struct stretch piece)
{
	struct root root = {
		.kind = mapping->module_index == SIZE_MAX ? ROOT_MAPPING : ROOT_DATA,
		.thread = SIZE_MAX,
		.frame = SIZE_MAX,
		.module = mapping->module_index,
		.name = mapping->path ? mapping->path : "anonymous mapping",
	};
	root.address = (piece.start + ROOT_WORD - 1) & ~(uint64_t)(ROOT_WORD - 1);
	piece.end &= ~(uint64_t)(ROOT_WORD - 1);
	if (root.address >= piece.end)
		return true;
	root.size_bytes = piece.end - root.address;
	return roots_tell(roots, &root);
}

bool roots_mappings(struct roots *roots)
{
	size_t count = strobe_view_mapping_count(roots->view);
	struct stretch free, piece;
	for (size_t i = 0; i < count; i++) {
		const struct strobe_mapping *mapping = strobe_view_mapping(roots->view, i);
		uint64_t at = mapping->start;
		while (is_program_data(mapping) &&
		       claims_free(&roots->claims, at, mapping->end, &free)) {
			at = free.end;
			while (claims_free(&roots->holes, free.start, free.end, &piece)) {
				free.start = piece.end;
				if (!tell(roots, mapping, piece))
					return false;
			}
		}
	}
	return true;
}
