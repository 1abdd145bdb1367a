// SPDX-License-Identifier: Apache-2.0
#ifndef TESTS_PT_FIXTURE_H
#define TESTS_PT_FIXTURE_H

// Inputs for pt_source_open() made of a piece of code and packets, and all that a source gives of them.

#include <stddef.h>
#include <stdint.h>

#include "base/array.h"
#include "code/code_map.h"
#include "pt/input.h"
#include "trace/source.h"
#include "trace/window.h"

/** A whole file in memory; what goes wrong ends the program. */
struct bytes {
	uint8_t *data;
	size_t size;
};
struct bytes read_bytes(const char *path);

/** A view whose one executable mapping holds `code` at `start`. */
struct strobe_view *code_view(uint64_t start, const uint8_t *code, size_t size);
/** An input for a Skylake with that code, and no stream. */
void input_make(struct pt_input *input, uint64_t start, const uint8_t *code, size_t size);
/** Adds a thread, and its stream in pieces of `piece` bytes (0 = in one). */
void input_add_thread(struct pt_input *input, int tid, const uint8_t *packets, size_t size,
		      size_t piece);

/** An item as a source gives it. */
struct item {
	enum strobe_item_kind kind;
	uint64_t address; // of an instruction
	uint32_t thread;
	uint64_t clock;		 // 0 = not known
	struct window_note note; // of the others; text is `text`
	char text[120];
};
struct items {
	ARRAY(struct item) items;
	uint64_t instructions, errors;
};
/** Appends the items of a window. */
void items_add(struct items *items, const struct window *window, const struct code_map *map);
/** All items of a stream, blocks in order; checks each window. */
void items_read(struct items *items, const struct trace_source *source, size_t stream);
/** The same, all by libipt: the fast way through plain packets is not taken. */
void items_read_slowly(struct items *items, const struct trace_source *source, size_t stream);
void items_fini(struct items *items);
/** True if both are the same; else says where they differ first. */
bool items_equal(const struct items *a, const struct items *b);

#endif
