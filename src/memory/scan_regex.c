// SPDX-License-Identifier: Apache-2.0
#include "memory/scan_regex.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/regex.h"

// A literal that is shorter than this is found too often to be worth looking for.
enum { BUFFER_SIZE = 1 << 20, LITERAL_SIZE_MIN = 3 };

static bool find_literal(struct scan_regex *scan, const struct strobe_search *search)
{
	char *literal = malloc(search->pattern_size);
	if (!literal)
		return false;
	size_t size = regex_literal(search->pattern, search->pattern_size, literal);
	scan->has_literal = size >= LITERAL_SIZE_MIN;
	bool done = !scan->has_literal || scan_init(&scan->literal, (const uint8_t *)literal, NULL,
						    size, search->ignore_case, 1);
	free(literal);
	return done;
}

struct strobe_error *scan_regex_init(struct scan_regex *scan, const struct strobe_search *search,
				     strobe_search_hit hit, void *context)
{
	*scan = (struct scan_regex){.hit = hit, .context = context};
	struct strobe_error *error =
		regex_new(search->pattern, search->pattern_size, search->ignore_case, &scan->regex);
	if (error)
		return error;
	scan->buffer = malloc(BUFFER_SIZE);
	if (scan->buffer && find_literal(scan, search))
		return NULL;
	scan_regex_fini(scan);
	return error_no_memory();
}

void scan_regex_fini(struct scan_regex *scan)
{
	regex_free(scan->regex);
	free(scan->buffer);
	scan_fini(&scan->literal);
	*scan = (struct scan_regex){0};
}

// A match [start, end) in the buffer; the next one is sought after it.
static bool report(struct scan_regex *scan, size_t start, size_t end)
{
	scan->next = end > start ? end : start + 1;
	return end == start || scan->hit(scan->context, scan->address + start, end - start);
}

// A match that began at `start` may go on past the buffer, which is as long as a match need be.
static bool match_long(struct scan_regex *scan, size_t start, bool *go_on)
{
	size_t end = 0, found = start;
	enum regex_result result =
		regex_match(scan->regex, scan->buffer, scan->size, start, false, &found, &end);
	*go_on = false;
	if (result == REGEX_MATCH && scan->size - found >= REGEX_SPAN) {
		*go_on = true;
		return report(scan, found, end);
	}
	if (result == REGEX_MATCH) {
		scan->next = found;
		return true;
	}
	size_t kept = scan->size - (REGEX_SPAN - 1);
	scan->next = kept > start ? kept : start + 1;
	return true;
}

// Looks through the buffer; `final`: nothing follows it. False if the visitor ended the search.
static bool match_all(struct scan_regex *scan, bool final)
{
	while (scan->next <= scan->size) {
		size_t start = scan->next, end = 0;
		bool go_on = true;
		switch (regex_match(scan->regex, scan->buffer, scan->size, scan->next, !final,
				    &start, &end)) {
		case REGEX_MATCH:
			if (!report(scan, start, end))
				return false;
			break;
		case REGEX_PARTIAL:
			if (scan->size - start < REGEX_SPAN) {
				scan->next = start;
				return true;
			}
			if (!match_long(scan, start, &go_on))
				return false;
			if (!go_on)
				return true;
			break;
		case REGEX_GAVE_UP:
			scan->gave_up = true;
			scan->next = scan->size;
			return true;
		case REGEX_NO_MATCH:
			scan->next = scan->size;
			return true;
		}
	}
	return true;
}

// Makes room: keeps what the next match may need.
static void compact(struct scan_regex *scan)
{
	if (scan->next > scan->size)
		scan->next = scan->size;
	size_t drop = scan->next > REGEX_LOOK_BEHIND ? scan->next - REGEX_LOOK_BEHIND : 0;
	memmove(scan->buffer, scan->buffer + drop, scan->size - drop);
	scan->size -= drop;
	scan->next -= drop;
	scan->address += drop;
}

static bool feed(struct scan_regex *scan, const uint8_t *bytes, size_t size, uint64_t address)
{
	if (scan->size == 0)
		scan->address = address;
	while (size > 0) {
		size_t room = BUFFER_SIZE - scan->size;
		size_t taken = size < room ? size : room;
		memcpy(scan->buffer + scan->size, bytes, taken);
		scan->size += taken;
		bytes += taken;
		size -= taken;
		if (scan->size < BUFFER_SIZE)
			return true;
		if (!match_all(scan, false))
			return false;
		compact(scan);
	}
	return true;
}

bool scan_regex_feed(struct scan_regex *scan, const uint8_t *bytes, size_t size, uint64_t address)
{
	if (!scan->has_literal)
		return feed(scan, bytes, size, address);
	size_t length = scan->literal.size;
	for (size_t at = 0; at < size;) {
		size_t found = scan_find(&scan->literal, bytes, size, at, address);
		if (found == SIZE_MAX) // one may begin in the last bytes
			found = size < at + length ? at : size - length + 1;
		size_t end = size - found > REGEX_SPAN ? found + REGEX_SPAN : size;
		if (found - at > 2 * REGEX_SPAN + REGEX_LOOK_BEHIND) {
			// What is in the buffer can reach this far, and no match begins before the
			// last bytes of what follows.
			if (!feed(scan, bytes + at, REGEX_SPAN, address + at) ||
			    !match_all(scan, false))
				return false;
			at = found - REGEX_SPAN - REGEX_LOOK_BEHIND;
			scan->size = 0;
			scan->next = REGEX_LOOK_BEHIND;
		}
		if (!feed(scan, bytes + at, end - at, address + at))
			return false;
		at = end;
	}
	return true;
}

bool scan_regex_end_run(struct scan_regex *scan)
{
	bool more = scan->size == 0 || match_all(scan, true);
	scan->size = scan->next = 0;
	return more;
}
