// SPDX-License-Identifier: Apache-2.0
#ifndef TRACE_INDEX_READ_H
#define TRACE_INDEX_READ_H

// An index that was written. All of it is checked when it is opened: sums, tables, every unit. Then it is mapped, and
// groups of units are decoded as they are asked for.

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <strobe/error.h>

#include "base/file.h"
#include "trace/index_format.h"
#include "trace/units.h"

enum { INDEX_SLOTS = 8 };

/** A group, decoded. */
struct index_slot {
	uint64_t group; // UINT64_MAX = none
	struct unit units[INDEX_GROUP_UNITS];
};

struct index {
	struct file *file;
	struct index_header header;
	const struct index_group *groups;
	const struct index_thread *threads;
	const uint64_t *streams;
	const int32_t *cpus;
	const struct index_error *errors;
	const char *texts;
	const uint8_t *data;
	struct index_slot slots[INDEX_SLOTS];
};

/** What stands for the decoder that an index was made with. */
uint64_t index_decoder(void);

/** Takes `file` over, also when it fails. Errors: FORMAT (what is wrong with it), out of memory. */
struct strobe_error *index_open(struct file *file, struct index **ret) STROBE_MUST_CHECK;
struct index *index_close(struct index *index);

/** Unit `unit` < the thread's unit_count; borrowed until the next call. */
const struct unit *index_unit(struct index *index, size_t thread, uint64_t unit);
/** Index of the unit that holds item `id` < the thread's item_count. */
uint64_t index_find(struct index *index, size_t thread, uint64_t id);
/** The mask of the group that unit `unit` is in. */
uint32_t index_mask(const struct index *index, size_t thread, uint64_t unit);

#endif
