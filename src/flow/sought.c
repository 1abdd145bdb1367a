// SPDX-License-Identifier: Apache-2.0
#include "flow/sought.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <strings.h>

#include "base/error.h"
#include "symbols/code_lines.h"
#include "symbols/code_sites.h"

void sought_fini(struct sought *sought)
{
	for (size_t i = 0; i < sought->step_count; i++) {
		array_fini(&sought->steps[i].ranges);
		array_fini(&sought->steps[i].entries);
	}
	array_fini(&sought->ranges);
}

const struct strobe_address_range *sought_range(const struct strobe_address_range *ranges,
						size_t count, uint64_t address)
{
	size_t low = 0, high = count;
	while (low < high) { // the first that starts behind `address`
		size_t middle = low + (high - low) / 2;
		if (ranges[middle].start <= address)
			low = middle + 1;
		else
			high = middle;
	}
	return low && address < ranges[low - 1].end ? &ranges[low - 1] : NULL;
}

bool sought_step_matches(const struct sought_step *step, enum strobe_item_kind kind,
			 uint64_t address, enum strobe_event_type type)
{
	switch (kind) {
	case STROBE_ITEM_ERROR:
		return step->errors;
	case STROBE_ITEM_EVENT:
		return step->event_types >> type & 1;
	default:
		return sought_range(step->ranges.items, step->ranges.count, address) != NULL;
	}
}

/** Reading of one step. */
struct reading {
	struct sought_step *step;
	const char *text;
	unsigned column;
	unsigned line;
	bool entries, sequence;
	bool found, failed;
};

static bool add_range(struct reading *reading, uint64_t start, uint64_t end)
{
	struct strobe_address_range range = {start, end};
	reading->failed |= !array_push(&reading->step->ranges, range);
	return !reading->failed;
}

static bool add_site(void *context, const struct code_site *site)
{
	struct reading *reading = context;
	struct sought_entry entry = {site->entry, site->inlined};
	reading->found = true;
	reading->failed |= !array_push(&reading->step->entries, entry);
	if (reading->entries || reading->sequence)
		return add_range(reading, site->entry, site->entry + 1);
	for (size_t i = 0; i < site->range_count && !reading->failed; i++)
		add_range(reading, site->ranges[i].start, site->ranges[i].end);
	return !reading->failed;
}

static struct strobe_error *read_function(struct reading *reading, struct strobe_symbols *symbols)
{
	struct strobe_error *error = code_sites_for_each(symbols, reading->text, add_site, reading);
	if (error)
		return error;
	if (reading->failed)
		return error_no_memory();
	reading->step->each = reading->entries;
	if (!reading->found)
		return error_column(STROBE_ERROR_NOT_FOUND, reading->column, "no function '%s'",
				    reading->text);
	return NULL;
}

static bool add_line(void *context, const struct code_line *line)
{
	struct reading *reading = context;
	if (line->line != reading->line)
		return true;
	reading->found = true;
	if (!reading->sequence)
		return add_range(reading, line->start, line->end);
	return !line->statement || add_range(reading, line->start, line->start + 1);
}

// "FILE:LINE"; `*is_line` tells if it is one.
static struct strobe_error *read_line(struct reading *reading, struct strobe_symbols *symbols,
				      bool *is_line)
{
	const char *colon = strrchr(reading->text, ':');
	*is_line = colon && colon > reading->text && colon[-1] != ':' && isdigit(colon[1]);
	if (!*is_line)
		return NULL;
	char *end;
	unsigned long line = strtoul(colon + 1, &end, 10);
	if (*end || line == 0 || line > INT32_MAX)
		return error_column(STROBE_ERROR_SYNTAX, reading->column, "'%s' is not FILE:LINE",
				    reading->text);
	reading->line = (unsigned)line;
	char *file = strndup(reading->text, (size_t)(colon - reading->text));
	if (!file)
		return error_no_memory();
	struct strobe_error *error = code_lines_for_each(symbols, file, add_line, reading);
	free(file);
	if (error)
		return error;
	if (reading->failed)
		return error_no_memory();
	return reading->found ? NULL
			      : error_column(STROBE_ERROR_NOT_FOUND, reading->column,
					     "%s: no code is of that line", reading->text);
}

static bool read_number(const char **at, uint64_t *ret)
{
	bool hex = (*at)[0] == '0' && ((*at)[1] == 'x' || (*at)[1] == 'X');
	const char *digits = hex ? *at + 2 : *at;
	char *end;
	if (hex ? !isxdigit((unsigned char)*digits) : !isdigit((unsigned char)*digits))
		return false;
	errno = 0;
	*ret = strtoull(digits, &end, hex ? 16 : 10);
	*at = end;
	return errno == 0;
}

// "ADDRESS", "START-END" or "START+SIZE".
static struct strobe_error *read_addresses(struct reading *reading)
{
	const char *at = reading->text;
	uint64_t start, end;
	bool good = read_number(&at, &start);
	if (good && !*at) {
		reading->step->each = true;
		end = start + 1;
	} else {
		char how = *at++;
		good = good && (how == '-' || how == '+') && read_number(&at, &end) && !*at;
		if (good && how == '+')
			good = !__builtin_add_overflow(start, end, &end);
	}
	if (!good)
		return error_column(STROBE_ERROR_SYNTAX, reading->column,
				    "'%s' is no address, START-END or START+SIZE", reading->text);
	if (end <= start)
		return error_column(STROBE_ERROR_INVALID, reading->column, "'%s': an empty range",
				    reading->text);
	return add_range(reading, start, end) ? NULL : error_no_memory();
}

static struct strobe_error *read_events(struct reading *reading, const char *name)
{
	for (unsigned i = 0; i < STROBE_EVENT_TYPE_COUNT; i++) {
		const char *known = strobe_event_type_name(i);
		if (known && strcasestr(known, name))
			reading->step->event_types |= UINT32_C(1) << i;
	}
	return reading->step->event_types ? NULL
					  : error_column(STROBE_ERROR_NOT_FOUND, reading->column,
							 "no event is called '%s'", name);
}

static struct strobe_error *read_step(struct reading *reading, struct strobe_symbols *symbols)
{
	const char *text = reading->text;
	bool is_line;
	if (!*text)
		return error_column(STROBE_ERROR_SYNTAX, reading->column, "nothing to look for");
	if (strcmp(text, "errors") == 0) {
		reading->step->errors = true;
		return NULL;
	}
	if (strcmp(text, "events") == 0)
		return read_events(reading, "");
	if (strncmp(text, "event:", 6) == 0)
		return read_events(reading, text + 6);
	if (isdigit((unsigned char)*text))
		return read_addresses(reading);
	struct strobe_error *error = read_line(reading, symbols, &is_line);
	return error || is_line ? error : read_function(reading, symbols);
}

static int compare_ranges(const void *a, const void *b)
{
	const struct strobe_address_range *x = a, *y = b;
	return x->start < y->start ? -1 : x->start > y->start;
}

static int compare_entries(const void *a, const void *b)
{
	const struct sought_entry *x = a, *y = b;
	if (x->address != y->address)
		return x->address < y->address ? -1 : 1;
	return (int)x->inlined - (int)y->inlined;
}

// Sorts ranges and joins those that touch; returns how many are left.
static size_t join_ranges(struct strobe_address_range *ranges, size_t count)
{
	size_t kept = 0;
	if (count)
		qsort(ranges, count, sizeof(*ranges), compare_ranges);
	for (size_t i = 0; i < count; i++) {
		if (kept && ranges[i].start <= ranges[kept - 1].end) {
			if (ranges[i].end > ranges[kept - 1].end)
				ranges[kept - 1].end = ranges[i].end;
		} else {
			ranges[kept++] = ranges[i];
		}
	}
	return kept;
}

static bool finish(struct sought *sought)
{
	for (size_t i = 0; i < sought->step_count; i++) {
		struct sought_step *step = &sought->steps[i];
		step->ranges.count = join_ranges(step->ranges.items, step->ranges.count);
		if (step->entries.count)
			qsort(step->entries.items, step->entries.count, sizeof(struct sought_entry),
			      compare_entries);
		sought->event_types |= step->event_types;
		sought->errors |= step->errors;
		for (size_t j = 0; j < step->ranges.count; j++) {
			if (!array_push(&sought->ranges, step->ranges.items[j]))
				return false;
		}
	}
	sought->ranges.count = join_ranges(sought->ranges.items, sought->ranges.count);
	return true;
}

static struct strobe_error *parse_piece(struct sought *sought, struct strobe_symbols *symbols,
					const char *whole, const char *start, const char *end,
					struct reading reading)
{
	while (start < end && isspace((unsigned char)*start))
		start++;
	while (end > start && isspace((unsigned char)end[-1]))
		end--;
	reading.column = (unsigned)(start - whole) + 1;
	if (sought->step_count == STROBE_TRACE_FIND_STEP_LIMIT)
		return error_column(STROBE_ERROR_LIMIT, reading.column,
				    "a sequence of more than %d parts",
				    STROBE_TRACE_FIND_STEP_LIMIT);
	char *text = strndup(start, (size_t)(end - start));
	if (!text)
		return error_no_memory();
	reading.step = &sought->steps[sought->step_count++];
	reading.text = text;
	struct strobe_error *error = read_step(&reading, symbols);
	free(text);
	return error;
}

struct strobe_error *sought_parse(struct sought *sought, struct strobe_symbols *symbols,
				  const char *text, bool entries)
{
	struct reading reading = {.entries = entries, .sequence = strstr(text, "->") != NULL};
	// A member's operator is a function's name like any other.
	if (strstr(text, "operator->"))
		reading.sequence = false;
	for (const char *at = text; at;) {
		const char *arrow = reading.sequence ? strstr(at, "->") : NULL;
		struct strobe_error *error = parse_piece(sought, symbols, text, at,
							 arrow ? arrow : at + strlen(at), reading);
		if (error)
			return error;
		at = arrow ? arrow + 2 : NULL;
	}
	return finish(sought) ? NULL : error_no_memory();
}
