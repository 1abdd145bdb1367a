// SPDX-License-Identifier: Apache-2.0
#include "snapshot/write_environment.h"

#include <elf.h>
#include <stdlib.h>
#include <string.h>

#include "elf/elf_image.h"
#include "view/build.h"

enum {
	ENVIRONMENT_START_FIELD = 50, // of /proc/PID/stat, see proc(5)
	ENVIRONMENT_LIMIT =
		8 << 20,   // the kernel allows a quarter of the stack's limit, 6 MiB at most
	AUXV_COMPARED = 2, // entries that tell the vector from anything else
};

static bool find_by_stat(const struct strobe_view *view, uint64_t *start, uint64_t *end)
{
	const struct proc_file *file = view_facts_proc_file(&view->facts, "stat");
	const char *at = file ? memrchr(file->bytes, ')', file->size) : NULL;
	uint64_t values[2] = {0, 0};
	unsigned field = 2;
	for (; at && at < file->bytes + file->size; at++) {
		if (*at == ' ')
			field++;
		else if (field >= ENVIRONMENT_START_FIELD && field < ENVIRONMENT_START_FIELD + 2 &&
			 *at >= '0' && *at <= '9')
			values[field - ENVIRONMENT_START_FIELD] =
				values[field - ENVIRONMENT_START_FIELD] * 10 +
				(uint64_t)(*at - '0');
	}
	*start = values[0];
	*end = values[1];
	return values[0] && values[1] > values[0] && values[1] - values[0] <= ENVIRONMENT_LIMIT;
}

/** Pointers to the strings stand before the auxiliary vector, each list with a NULL at its end. */
static bool find_by_pointers(const struct strobe_view *view, const uint8_t *bytes, size_t auxv,
			     uint64_t limit, uint64_t *start, uint64_t *end)
{
	uint64_t lowest = UINT64_MAX;
	if (auxv < 8 || elf_number(bytes + auxv - 8, 8) != 0)
		return false;
	for (size_t at = auxv - 8; at >= 8; at -= 8) {
		uint64_t pointer = elf_number(bytes + at - 8, 8);
		if (!pointer)
			break;
		if (pointer < lowest)
			lowest = pointer;
	}
	*start = lowest;
	*end = limit;
	return lowest < limit && limit - lowest <= ENVIRONMENT_LIMIT;
}

/** As the kernel lays the first stack out: strings up to the program's path, which comes last. */
static bool find_by_stack(const struct strobe_view *view, uint64_t *start, uint64_t *end)
{
	uint64_t path;
	if (!view_auxv_value(view, AT_EXECFN, &path) || view->auxv.count < AUXV_COMPARED)
		return false;
	const struct strobe_mapping *mapping = strobe_view_mapping_at(view, path);
	if (!mapping)
		return false;
	uint64_t from = path - mapping->start > ENVIRONMENT_LIMIT ? path - ENVIRONMENT_LIMIT
								  : mapping->start;
	from = (from + 7) & ~UINT64_C(7);
	if (from >= path)
		return false;
	uint8_t *bytes = malloc(path - from);
	size_t size = bytes ? strobe_memory_read(view, from, bytes, path - from) : 0;
	bool found = false;
	for (size_t at = 0; !found && at + AUXV_COMPARED * 16 <= size; at += 8)
		// The stack's bytes are this machine's, as auxv entries are in memory.
		found = memcmp(bytes + at, view->auxv.items, AUXV_COMPARED * 16) == 0 &&
			find_by_pointers(view, bytes, at, path, start, end);
	free(bytes);
	return found;
}

bool environment_find(const struct strobe_view *view, uint64_t *start, uint64_t *end)
{
	return find_by_stat(view, start, end) || find_by_stack(view, start, end);
}
