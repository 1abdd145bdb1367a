// SPDX-License-Identifier: Apache-2.0
#include "bundle/switches.h"

#include <inttypes.h>
#include <limits.h>

#include "base/error.h"
#include "base/file.h"
#include "elf/elf_image.h"

// Of perf_event_open(2); the sizes are those that LLDB believes.
enum {
	HEADER_SIZE = 8,
	RECORD_SWITCH_CPU_WIDE = 15,
	RECORD_TYPE_LIMIT = 119,
	RECORD_SIZE_LIMIT = 8000,
	SWITCH_SIZE = 32,
	MISC_SWITCH_OUT = 1 << 13,
};

struct walk {
	const struct file *file;
	int cpu;
	uint64_t offset;
};

static struct strobe_error *complain(const struct walk *walk, const char *what)
{
	return error_new(STROBE_ERROR_FORMAT,
			 "%s: CPU %d: no record of a context switch at offset %" PRIu64 ": %s",
			 walk->file->path, walk->cpu, walk->offset, what);
}

static struct strobe_error *read_switch(const struct walk *walk, uint16_t misc,
					const struct pt_input *clock, struct bundle_switches *ret)
{
	const uint8_t *bytes = walk->file->data + walk->offset + HEADER_SIZE;
	uint64_t pid = elf_number(bytes + 8, 4), tid = elf_number(bytes + 12, 4);
	struct pt_switch item = {
		.clock = pt_ns_to_clock(clock, elf_number(bytes + 16, 8)),
		.pid = (int)pid,
		.tid = (int)tid,
		.out = misc & MISC_SWITCH_OUT,
	};
	const struct pt_switch *last =
		ret->items.count ? &ret->items.items[ret->items.count - 1] : NULL;
	// Threads that have ended are -1 in the kernel's records.
	if ((pid > INT_MAX && pid != UINT32_MAX) || (tid > INT_MAX && tid != UINT32_MAX))
		return complain(walk, "its process id is none");
	if (last && item.clock <= last->clock)
		return error_new(STROBE_ERROR_FORMAT,
				 "%s: CPU %d: the context switch at offset %" PRIu64
				 " does not happen after the one before it: clock %" PRIu64
				 " after %" PRIu64,
				 walk->file->path, walk->cpu, walk->offset, item.clock,
				 last->clock);
	return array_push(&ret->items, item) ? NULL : error_no_memory();
}

struct strobe_error *switches_read(const struct file *file, int cpu, const struct pt_input *clock,
				   struct bundle_switches *ret)
{
	struct walk walk = {file, cpu, 0};
	while (walk.offset < file->size) {
		uint64_t left = file->size - walk.offset;
		const uint8_t *bytes = file->data + walk.offset;
		if (left < HEADER_SIZE) {
			ret->cut = true;
			return NULL;
		}
		uint32_t type = (uint32_t)elf_number(bytes, 4);
		uint16_t misc = (uint16_t)elf_number(bytes + 4, 2);
		uint16_t size = (uint16_t)elf_number(bytes + 6, 2);
		if (type > RECORD_TYPE_LIMIT)
			return complain(&walk, "its type is none");
		if (size < HEADER_SIZE || size > RECORD_SIZE_LIMIT)
			return complain(&walk, "its size cannot be");
		if (size > left) {
			ret->cut = true;
			return NULL;
		}
		if (type == RECORD_SWITCH_CPU_WIDE) {
			if (size < SWITCH_SIZE)
				return complain(&walk, "its size is not that of a switch");
			struct strobe_error *error = read_switch(&walk, misc, clock, ret);
			if (error)
				return error;
		}
		walk.offset += size;
	}
	return NULL;
}
