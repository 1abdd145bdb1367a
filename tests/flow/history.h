// SPDX-License-Identifier: Apache-2.0
#ifndef TESTS_FLOW_HISTORY_H
#define TESTS_FLOW_HISTORY_H

// A trace of tests/traces/synth with a thread's items as a plain list, read item by item: what is computed
// cleverly elsewhere is computed stupidly from it.

#include "check.h"

#include <strobe/cursor.h>
#include <strobe/symbols.h>
#include <strobe/trace.h>

#include "base/array.h"

struct history_item {
	enum strobe_item_kind kind;
	enum strobe_event_type type;
	uint64_t address;
	enum strobe_flow flow;
	unsigned size_bytes;
};

struct history {
	struct strobe_trace *trace;
	struct strobe_symbols *symbols;
	size_t thread;
	ARRAY(struct history_item) items;
};

static inline void history_read(struct history *history, size_t thread)
{
	struct strobe_cursor *cursor;
	CHECK_OK(strobe_cursor_open(history->trace, thread, &cursor));
	strobe_cursor_set_forwards(cursor, true);
	history->thread = thread;
	history->items.count = 0;
	bool more = strobe_cursor_seek(cursor, 0, STROBE_SEEK_BEGIN);
	for (; more; more = strobe_cursor_next(cursor)) {
		struct history_item item = {.kind = strobe_cursor_kind(cursor)};
		CHECK_EQUAL(strobe_cursor_id(cursor), history->items.count);
		strobe_cursor_address(cursor, &item.address);
		strobe_cursor_event_type(cursor, &item.type);
		strobe_cursor_instruction(cursor, &item.size_bytes, &item.flow);
		CHECK(array_push(&history->items, item));
	}
	strobe_cursor_close(cursor);
	CHECK_EQUAL(history->items.count, strobe_trace_thread(history->trace, thread)->item_count);
}

/** Opens synth/`name`, without leaving an index behind. */
static inline void history_open(struct history *history, const char *name, size_t thread)
{
	char path[512];
	struct strobe_trace_options options = {.size = sizeof(options), .index_path = ""};
	*history = (struct history){0};
	snprintf(path, sizeof(path), "%s/%s", TRACES, name);
	CHECK_OK(strobe_trace_open(path, &options, &history->trace));
	CHECK_OK(strobe_symbols_open(strobe_trace_view(history->trace), &history->symbols));
	history_read(history, thread);
}

static inline void history_close(struct history *history)
{
	array_fini(&history->items);
	strobe_symbols_close(history->symbols);
	strobe_trace_close(history->trace);
}

/** A small generator: the same numbers everywhere. */
static inline uint64_t history_random(uint64_t *state, uint64_t below)
{
	*state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return below ? (*state >> 33) % below : 0;
}

#endif
