// SPDX-License-Identifier: Apache-2.0
// The view of a perf.data: what the first traced thread's process had mapped at the end, with what other processes and
// times had where nothing is in its way. Code that something is in the way of goes into the input by its times.
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

#include "base/error.h"
#include "elf/elf_image.h"
#include "perf/reading.h"
#include "trace/module_view.h"

enum { VDSO_LIMIT = 65536, MAX_PLACES = 8192 };

struct placing {
	struct perf_reading *reading;
	int pid;		     // of the view
	ARRAY(struct perf_map) maps; // in the view: sorted, disjoint
	ARRAY(struct module_place) places;
	ARRAY(struct memory_place) memory;
};

/** Names of memory that no file has. */
static bool is_anonymous(const char *path)
{
	static const char *const prefixes[] = {"//anon", "/dev/zero", "/anon_hugepage", "/memfd:",
					       "/SYSV",	 "/dev/mem",  "/dev/nvidia"};
	for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++)
		if (strncmp(path, prefixes[i], strlen(prefixes[i])) == 0)
			return true;
	return *path != '/';
}

/** The first map in the view that ends behind `address`. */
static size_t find_map(const struct placing *placing, uint64_t address)
{
	size_t low = 0, high = placing->maps.count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (placing->maps.items[middle].end <= address)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static bool same_code(const struct perf_map *a, const struct perf_map *b)
{
	return strcmp(a->path, b->path) == 0 && a->start - a->offset == b->start - b->offset;
}

/** What is in the way at another time, or in another process, is told by its times. */
static struct strobe_error *add_timed(struct placing *placing, const struct perf_map *map)
{
	struct pt_input *input = placing->reading->input;
	bool ends = map->until != UINT64_MAX;
	struct pt_code code = {
		.start = map->start,
		.size = map->end - map->start,
		.offset = map->offset,
		.path = map->path,
		.pid = map->pid,
		.from = map->from ? pt_ns_to_clock(input, map->from) : 0,
		.until = ends ? pt_ns_to_clock(input, map->until) : UINT64_MAX,
	};
	if (is_anonymous(map->path))
		return NULL;
	return array_push(&input->code, code) ? NULL : error_no_memory();
}

static struct strobe_error *add_map(struct placing *placing, const struct perf_map *map)
{
	size_t index = find_map(placing, map->start);
	bool free_place =
		index == placing->maps.count || placing->maps.items[index].start >= map->end;
	if (!free_place) {
		const struct perf_map *there = &placing->maps.items[index];
		bool covered = there->start <= map->start && map->end <= there->end;
		return covered && same_code(there, map) ? NULL : add_timed(placing, map);
	}
	if (placing->maps.count >= MAX_PLACES)
		return NULL;
	if (!array_push(&placing->maps, *map))
		return error_no_memory();
	struct perf_map *at = placing->maps.items + index;
	memmove(at + 1, at, (placing->maps.count - 1 - index) * sizeof(*at));
	*at = *map;
	return NULL;
}

/** perf's own cache has files that are not in their place any more: ~/.debug/.build-id/xx/yyyy/elf. */
static const char *cached_file(struct placing *placing, const char *build_id)
{
	const char *home = getenv("HOME");
	if (!home || !build_id || strlen(build_id) < 4)
		return NULL;
	const char *path =
		arena_printf(&placing->reading->input->arena, "%s/.debug/.build-id/%.2s/%s/elf",
			     home, build_id, build_id + 2);
	return path && access(path, R_OK) == 0 ? path : NULL;
}

/** Ours is the traced process's if it has the same build id: then it was the same kernel. */
static struct strobe_error *add_vdso(struct placing *placing, const struct perf_map *map)
{
	const uint8_t *own = (const uint8_t *)(uintptr_t)getauxval(AT_SYSINFO_EHDR);
	uint64_t size = map->end - map->start;
	struct elf_image image;
	const char *why;
	char id[ELF_BUILD_ID_TEXT];
	struct memory_place place = {.start = map->start, .name = "[vdso]"};
	if (!own || !map->build_id || size > VDSO_LIMIT ||
	    !elf_image_init(&image, own, size, &why) || !elf_image_build_id(&image, id) ||
	    strcmp(id, map->build_id) != 0)
		return NULL;
	place.data = own;
	place.size = size;
	return array_push(&placing->memory, place) ? NULL : error_no_memory();
}

/** The kernel lies where its first symbol was; its file is vmlinux, wherever that is. */
static struct strobe_error *add_kernel(struct placing *placing, const struct perf_map *map)
{
	const struct perf_span *release = &placing->reading->header.release;
	struct module_place place = {.start = map->start, .build_id = map->build_id};
	if (!placing->reading->kernel_traced || strncmp(map->path, "[kernel.kallsyms]", 17) != 0)
		return NULL;
	place.path =
		arena_printf(&placing->reading->input->arena, "/usr/lib/debug/boot/vmlinux-%.*s",
			     (int)release->size, (const char *)release->bytes);
	place.file = cached_file(placing, map->build_id);
	if (!place.path || !array_push(&placing->places, place))
		return error_no_memory();
	return NULL;
}

static struct strobe_error *add_place(struct placing *placing, const struct perf_map *map)
{
	struct module_place place = {
		.path = map->path,
		.file = cached_file(placing, map->build_id),
		.build_id = map->build_id,
		.start = map->start,
		.size = map->end - map->start,
		.offset = map->offset,
	};
	if (strcmp(map->path, "[vdso]") == 0)
		return add_vdso(placing, map);
	if (map->pid == PERF_KERNEL_PID)
		return add_kernel(placing, map);
	if (is_anonymous(map->path))
		return NULL;
	return array_push(&placing->places, place) ? NULL : error_no_memory();
}

/** Which of the maps are taken before others: of the view's process and lasting, the kernel's, lasting, ended. */
static unsigned rank(const struct placing *placing, const struct perf_map *map)
{
	bool lasts = map->until == UINT64_MAX;
	if (map->pid == placing->pid && lasts)
		return 0;
	if (map->pid == PERF_KERNEL_PID)
		return 1;
	if (map->pid == placing->pid)
		return 2;
	return lasts ? 3 : 4;
}

static struct strobe_error *place_all(struct placing *placing)
{
	const struct perf_maps *maps = &placing->reading->maps;
	struct strobe_error *error = NULL;
	for (unsigned turn = 0; turn <= 4; turn++) {
		// Of two at one place the later one is shown.
		for (size_t i = maps->all.count; !error && i-- > 0;)
			if (rank(placing, &maps->all.items[i]) == turn)
				error = add_map(placing, &maps->all.items[i]);
	}
	for (size_t i = 0; !error && i < placing->maps.count; i++)
		error = add_place(placing, &placing->maps.items[i]);
	return error;
}

/** The first traced process of which any code is known. */
static int choose_process(const struct perf_reading *reading)
{
	const struct pt_input *input = reading->input;
	struct hash pids = {0};
	int found = input->threads.count ? input->threads.items[0].pid : -1;
	for (size_t i = 0; i < reading->maps.all.count; i++)
		if (!hash_put(&pids, (uint32_t)reading->maps.all.items[i].pid, &pids))
			break; // short of memory, any will do
	for (size_t i = 0; i < input->threads.count; i++) {
		if (input->threads.items[i].pid > 0 &&
		    hash_get(&pids, (uint32_t)input->threads.items[i].pid)) {
			found = input->threads.items[i].pid;
			break;
		}
	}
	hash_fini(&pids);
	return found;
}

struct strobe_error *perf_make_view(struct perf_reading *reading)
{
	struct pt_input *input = reading->input;
	const struct strobe_trace_options *options = reading->options;
	struct placing placing = {.reading = reading};
	struct strobe_error *error = NULL;
	for (size_t i = 0; !error && i < reading->build_ids.count; i++)
		error = perf_maps_build_ids(&reading->maps, reading->build_ids.items[i],
					    &input->arena);
	if (!error)
		error = perf_maps_settle(&reading->maps);
	placing.pid = choose_process(reading);
	if (!error)
		error = place_all(&placing);
	if (!error)
		error = module_view_new(placing.pid, placing.places.items, placing.places.count,
					placing.memory.items, placing.memory.count,
					options ? options->view : NULL, &input->view);
	array_fini(&placing.maps);
	array_fini(&placing.places);
	array_fini(&placing.memory);
	return error;
}
