// SPDX-License-Identifier: Apache-2.0
#include "recording/history.h"

#include <string.h>

#include "base/error.h"

enum { CODE_LIMIT = 1 << 20, ALIVE_LIMIT = 1 << 16 };

static const struct recorded_code *at(const struct history *history, size_t index)
{
	return &history->code.items[history->alive.items[index]];
}

/** Index of the first one alive of `pid` that ends behind `address`, or of a later pid's first. */
static size_t find(const struct history *history, int pid, uint64_t address)
{
	size_t low = 0, high = history->alive.count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const struct recorded_code *code = at(history, middle);
		if (code->pid < pid || (code->pid == pid && code->start + code->size <= address))
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/** Adds to both; what is alive of that range must have ended. */
static struct strobe_error *insert(struct history *history, const struct recorded_code *code)
{
	if (history->code.count >= CODE_LIMIT || history->alive.count >= ALIVE_LIMIT)
		return error_new(STROBE_ERROR_LIMIT, "more than %d mappings",
				 history->code.count >= CODE_LIMIT ? CODE_LIMIT : ALIVE_LIMIT);
	if (!array_reserve(&history->alive, history->alive.count + 1) ||
	    !array_push(&history->code, *code))
		return error_no_memory();
	size_t index = find(history, code->pid, code->start);
	memmove(history->alive.items + index + 1, history->alive.items + index,
		(history->alive.count - index) * sizeof(*history->alive.items));
	history->alive.items[index] = (uint32_t)(history->code.count - 1);
	history->alive.count++;
	return NULL;
}

/** What is left of `code` once [start, end) is gone goes on. */
static struct strobe_error *keep_rest(struct history *history, const struct recorded_code *code,
				      uint64_t start, uint64_t end)
{
	struct recorded_code below = *code, above = *code;
	struct strobe_error *error = NULL;
	below.from = above.from = code->until;
	below.until = above.until = UINT64_MAX;
	if (code->start < start) {
		below.size = start - code->start;
		error = insert(history, &below);
	}
	if (!error && code->start + code->size > end) {
		uint64_t cut = end - code->start;
		above.start = end;
		above.size -= cut;
		above.offset += cut;
		if (above.data)
			above.data += cut;
		error = insert(history, &above);
	}
	return error;
}

struct strobe_error *history_end(struct history *history, int pid, uint64_t start, uint64_t size,
				 uint64_t clock)
{
	uint64_t end = size > UINT64_MAX - start ? UINT64_MAX : start + size;
	size_t first = find(history, pid, start), last = first;
	struct recorded_code edges[2]; // those that may reach beyond
	unsigned edge_count = 0;
	for (; last < history->alive.count; last++) {
		struct recorded_code *code = &history->code.items[history->alive.items[last]];
		if (code->pid != pid || code->start >= end)
			break;
		code->until = clock;
		if (code->start < start || code->start + code->size > end)
			edges[edge_count++] = *code; // the first and the last: they are disjoint
	}
	if (first != last)
		memmove(history->alive.items + first, history->alive.items + last,
			(history->alive.count - last) * sizeof(*history->alive.items));
	history->alive.count -= last - first;
	struct strobe_error *error = NULL;
	for (unsigned i = 0; !error && i < edge_count; i++)
		error = keep_rest(history, &edges[i], start, end);
	return error;
}

struct strobe_error *history_add(struct history *history, const struct recorded_code *code)
{
	struct strobe_error *error =
		history_end(history, code->pid, code->start, code->size, code->from);
	return error ? error : insert(history, code);
}

bool history_is_free(const struct history *history, int pid, uint64_t start, uint64_t size)
{
	size_t index = find(history, pid, start);
	return index == history->alive.count || at(history, index)->pid != pid ||
	       at(history, index)->start - start >= size;
}

void history_fini(struct history *history)
{
	array_fini(&history->code);
	array_fini(&history->alive);
}
