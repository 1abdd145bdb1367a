// SPDX-License-Identifier: Apache-2.0
#include "perf/maps.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/hash.h"
#include "elf/elf_image.h"

enum {
	BUILD_ID_ROOM = 20,	   // bytes for an id in a record
	BUILD_ID_SIZE_AT = 20,	   // of a build_id_event's id: its size
	BUILD_ID_NAME_AT = 4 + 24, // of a build_id_event: the file's name
	PROTECTION_EXECUTE = 4,
	MAX_EVENTS = 1 << 21,
	MAX_MAPS = 1 << 16, // of one process at a time
	MAX_ALL = 1 << 21,
	MAX_MOVED = 1 << 27,
};

static const char *hex(struct arena *arena, const uint8_t *bytes, uint64_t size)
{
	char text[2 * BUILD_ID_ROOM + 1];
	bool zero = true;
	for (uint64_t i = 0; i < size && i < BUILD_ID_ROOM; i++) {
		static const char digits[] = "0123456789abcdef";
		text[2 * i] = digits[bytes[i] >> 4];
		text[2 * i + 1] = digits[bytes[i] & 15];
		zero = zero && !bytes[i];
	}
	return zero ? NULL : arena_copy_string(arena, text, 2 * size);
}

static struct strobe_error *push_event(struct perf_maps *maps, struct perf_map_event *event)
{
	if (maps->events.count >= MAX_EVENTS)
		return error_new(STROBE_ERROR_LIMIT, "more than %d records of mappings",
				 MAX_EVENTS);
	event->order = maps->events.count;
	return array_push(&maps->events, *event) ? NULL : error_no_memory();
}

/** MMAP: pid, tid, address, length, offset, name. MMAP2 has 24 bytes of file or build id, and protection, before it. */
static struct strobe_error *note_map(struct perf_maps *maps, const struct perf_record *record,
				     struct arena *arena)
{
	enum { PID = 0, ADDRESS = 8, LENGTH = 16, OFFSET = 24, FILE_ID = 32, PROTECTION = 56 };
	bool second = record->type == PERF_MMAP2;
	struct perf_span name = perf_record_string(record, second ? 64 : 32);
	struct perf_map_event event = {
		.kind = MAP_ADDED,
		.time = record->id.time,
		.pid = (int)perf_record_number(record, PID, 4),
		.map = {.start = perf_record_number(record, ADDRESS, 8),
			.offset = perf_record_number(record, OFFSET, 8)},
	};
	uint64_t size = perf_record_number(record, LENGTH, 8);
	bool executable = second ? perf_record_number(record, PROTECTION, 4) & PROTECTION_EXECUTE
				 : !(record->misc & PERF_MISC_MMAP_DATA);
	if (!name.size || !size || size > UINT64_MAX - event.map.start)
		return NULL;
	event.map.end = event.map.start + size;
	event.map.pid = event.pid;
	// What is mapped to be read covers code that was there before.
	event.map.path =
		executable ? arena_copy_string(arena, (const char *)name.bytes, name.size) : "";
	if (!event.map.path)
		return error_no_memory();
	uint64_t id_size = perf_record_number(record, FILE_ID, 1);
	if (second && record->misc & PERF_MISC_MMAP_BUILD_ID && id_size <= BUILD_ID_ROOM &&
	    record->size >= PROTECTION)
		event.map.build_id = hex(arena, record->bytes + FILE_ID + 4, id_size);
	return push_event(maps, &event);
}

struct strobe_error *perf_maps_note(struct perf_maps *maps, const struct perf_record *record,
				    struct arena *arena)
{
	struct perf_map_event event = {.time = record->id.time,
				       .pid = (int)perf_record_number(record, 0, 4)};
	switch (record->type) {
	case PERF_MMAP:
	case PERF_MMAP2:
		return note_map(maps, record, arena);
	case PERF_FORK: // pid, parent's pid, tid, parent's tid, time
		event.kind = MAP_FORK;
		event.parent = (int)perf_record_number(record, 4, 4);
		if (!event.time)
			event.time = perf_record_number(record, 16, 8);
		return event.parent != event.pid ? push_event(maps, &event) : NULL;
	case PERF_COMM:
		event.kind = MAP_EXEC;
		return record->misc & PERF_MISC_COMM_EXEC ? push_event(maps, &event) : NULL;
	default:
		return NULL;
	}
}

struct strobe_error *perf_maps_build_ids(struct perf_maps *maps, struct perf_span content,
					 struct arena *arena)
{
	enum { HEADER = 8, ENTRY_LEAST = HEADER + BUILD_ID_NAME_AT + 1 };
	struct hash ids = {0};
	struct strobe_error *error = NULL;
	for (uint64_t at = 0; !error && content.size - at >= ENTRY_LEAST;) {
		const uint8_t *entry = content.bytes + at;
		uint16_t misc = (uint16_t)elf_number(entry + 4, 2);
		uint64_t size = elf_number(entry + 6, 2);
		if (size < ENTRY_LEAST || size > content.size - at)
			break;
		const uint8_t *id = entry + HEADER + 4;
		const char *name = (const char *)entry + HEADER + BUILD_ID_NAME_AT;
		size_t length = strnlen(name, size - HEADER - BUILD_ID_NAME_AT);
		uint64_t id_size =
			misc & PERF_MISC_BUILD_ID_SIZE ? id[BUILD_ID_SIZE_AT] : BUILD_ID_ROOM;
		const char *text = id_size <= BUILD_ID_ROOM ? hex(arena, id, id_size) : NULL;
		if (text && !hash_put(&ids, hash_bytes(name, length), (void *)text))
			error = error_no_memory();
		at += size;
	}
	for (size_t i = 0; !error && i < maps->events.count; i++) {
		struct perf_map *map = &maps->events.items[i].map;
		if (map->path && *map->path && !map->build_id)
			map->build_id = hash_get(&ids, hash_bytes(map->path, strlen(map->path)));
	}
	hash_fini(&ids);
	return error;
}

/** What a process has mapped at one time: sorted, disjoint. */
struct living {
	ARRAY(struct perf_map) maps;
};

struct play {
	struct perf_maps *maps;
	struct hash processes; // pid -> struct living
	ARRAY(struct living *) all;
	uint64_t moved; // mappings that were moved or copied, ever
};

static struct living *living_of(struct play *play, int pid)
{
	struct living *living = hash_get(&play->processes, (uint32_t)pid);
	if (living)
		return living;
	living = calloc(1, sizeof(*living));
	if (!living || !array_push(&play->all, living)) {
		free(living);
		return NULL;
	}
	return hash_put(&play->processes, (uint32_t)pid, living) ? living : NULL;
}

static struct strobe_error *finish_map(struct play *play, struct perf_map map, uint64_t until)
{
	map.until = until;
	if (!*map.path || map.from >= until)
		return NULL; // no code, or it was never seen
	if (play->maps->all.count >= MAX_ALL)
		return error_new(STROBE_ERROR_LIMIT, "more than %d mappings", MAX_ALL);
	return array_push(&play->maps->all, map) ? NULL : error_no_memory();
}

/** The first mapping that ends behind `address`. */
static size_t find_map(const struct living *living, uint64_t address)
{
	size_t low = 0, high = living->maps.count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (living->maps.items[middle].end <= address)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/** Replaces `removed` maps from `index` on by `added` ones. */
static bool splice(struct living *living, size_t index, size_t removed,
		   const struct perf_map *added, size_t count)
{
	size_t rest = living->maps.count - index - removed;
	if (!array_reserve(&living->maps, living->maps.count + count))
		return false;
	struct perf_map *at = living->maps.items + index;
	memmove(at + count, at + removed, rest * sizeof(*at));
	memcpy(at, added, count * sizeof(*at));
	living->maps.count += count - removed;
	return true;
}

/** A new mapping ends what it covers; what sticks out of it stays. */
static struct strobe_error *add_map(struct play *play, const struct perf_map_event *event)
{
	struct living *living = living_of(play, event->pid);
	struct perf_map map = event->map, pieces[3];
	size_t count = 0;
	if (!living)
		return error_no_memory();
	map.from = event->time;
	size_t first = find_map(living, map.start), last = first;
	struct perf_map tail = {0};
	while (last < living->maps.count && living->maps.items[last].start < map.end) {
		const struct perf_map *old = &living->maps.items[last++];
		struct perf_map covered = *old;
		if (covered.start < map.start) {
			covered.offset += map.start - covered.start;
			covered.start = map.start;
		}
		if (covered.end > map.end)
			covered.end = map.end;
		struct strobe_error *error = finish_map(play, covered, event->time);
		if (error)
			return error;
		if (old->start < map.start) {
			pieces[count] = *old;
			pieces[count++].end = map.start;
		}
		if (old->end > map.end) {
			tail = *old;
			tail.offset += map.end - old->start;
			tail.start = map.end;
		}
	}
	pieces[count++] = map;
	if (tail.end)
		pieces[count++] = tail;
	if (living->maps.count + count > MAX_MAPS)
		return error_new(STROBE_ERROR_LIMIT, "more than %d mappings of process %d",
				 MAX_MAPS, event->pid);
	play->moved += living->maps.count - last + count;
	if (play->moved > MAX_MOVED)
		return error_new(STROBE_ERROR_LIMIT, "mappings that change too often");
	return splice(living, first, last - first, pieces, count) ? NULL : error_no_memory();
}

static struct strobe_error *copy_maps(struct play *play, const struct perf_map_event *event)
{
	struct living *parent = hash_get(&play->processes, (uint32_t)event->parent);
	struct living *child = living_of(play, event->pid);
	if (!child)
		return error_no_memory();
	if (!parent || parent == child || child->maps.count)
		return NULL; // its own records came first
	play->moved += parent->maps.count;
	if (play->moved > MAX_MOVED)
		return error_new(STROBE_ERROR_LIMIT, "mappings that change too often");
	for (size_t i = 0; i < parent->maps.count; i++) {
		struct perf_map map = parent->maps.items[i];
		map.pid = event->pid;
		map.from = event->time;
		if (!array_push(&child->maps, map))
			return error_no_memory();
	}
	return NULL;
}

static struct strobe_error *end_maps(struct play *play, struct living *living, uint64_t until)
{
	struct strobe_error *error = NULL;
	for (size_t i = 0; !error && i < living->maps.count; i++)
		error = finish_map(play, living->maps.items[i], until);
	living->maps.count = 0;
	return error;
}

static struct strobe_error *play_event(struct play *play, const struct perf_map_event *event)
{
	struct living *living;
	switch (event->kind) {
	case MAP_ADDED:
		return add_map(play, event);
	case MAP_FORK:
		return copy_maps(play, event);
	case MAP_EXEC:
		living = hash_get(&play->processes, (uint32_t)event->pid);
		return living ? end_maps(play, living, event->time) : NULL;
	}
	return NULL;
}

static int order_events(const void *a, const void *b)
{
	const struct perf_map_event *x = a, *y = b;
	if (x->time != y->time)
		return x->time < y->time ? -1 : 1;
	return x->order < y->order ? -1 : x->order > y->order;
}

struct strobe_error *perf_maps_settle(struct perf_maps *maps)
{
	struct play play = {.maps = maps};
	struct strobe_error *error = NULL;
	if (maps->events.count)
		qsort(maps->events.items, maps->events.count, sizeof(*maps->events.items),
		      order_events);
	for (size_t i = 0; !error && i < maps->events.count; i++)
		error = play_event(&play, &maps->events.items[i]);
	for (size_t i = 0; !error && i < play.all.count; i++)
		error = end_maps(&play, play.all.items[i], UINT64_MAX);
	for (size_t i = 0; i < play.all.count; i++) {
		array_fini(&play.all.items[i]->maps);
		free(play.all.items[i]);
	}
	array_fini(&play.all);
	hash_fini(&play.processes);
	return error;
}

void perf_maps_fini(struct perf_maps *maps)
{
	array_fini(&maps->events);
	array_fini(&maps->all);
}
