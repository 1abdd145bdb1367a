// SPDX-License-Identifier: Apache-2.0
// Searches against a plain list of all items.

#include "flow/history.h"

#include <strobe/trace_find.h>

static struct history history;

typedef bool (*matcher)(const struct history_item *item, const void *of);

static bool is_in_range(const struct history_item *item, const void *of)
{
	const uint64_t *range = of;
	return item->kind == STROBE_ITEM_INSTRUCTION && item->address >= range[0] &&
	       item->address < range[1];
}

static bool is_in_function(const struct history_item *item, const void *of)
{
	struct strobe_scope scopes[16];
	if (item->kind != STROBE_ITEM_INSTRUCTION)
		return false;
	size_t count = strobe_scopes_at(history.symbols, item->address, scopes, 16);
	for (size_t i = 0; i < count && i < 16; i++) {
		if (scopes[i].name && strcmp(scopes[i].name, of) == 0)
			return true;
	}
	return false;
}

static bool is_of_line(const struct history_item *item, const void *of)
{
	struct strobe_line line;
	return item->kind == STROBE_ITEM_INSTRUCTION &&
	       strobe_line_at(history.symbols, item->address, &line) &&
	       line.line == *(const unsigned *)of;
}

static bool is_event(const struct history_item *item, const void *of)
{
	return item->kind == STROBE_ITEM_EVENT && item->type == *(const unsigned *)of;
}

static bool is_error(const struct history_item *item, const void *of)
{
	return item->kind == STROBE_ITEM_ERROR;
}

struct visit {
	uint64_t first, last, count;
};
struct visits {
	ARRAY(struct visit) items;
};

/** Visits of [from, end): events do not end one; `each`: every item is one. */
static void brute_visits(uint64_t from, uint64_t end, matcher match, const void *of, bool each,
			 struct visits *ret)
{
	bool open = false;
	ret->items.count = 0;
	for (uint64_t i = from; i < end; i++) {
		const struct history_item *item = &history.items.items[i];
		if (!match(item, of)) {
			open &= item->kind == STROBE_ITEM_EVENT;
			continue;
		}
		bool code = item->kind == STROBE_ITEM_INSTRUCTION;
		if (!open || each || !code) {
			struct visit visit = {i, i, 0};
			CHECK(array_push(&ret->items, visit));
		}
		struct visit *visit = &ret->items.items[ret->items.count - 1];
		visit->last = i;
		visit->count += code;
		open = code;
	}
}

static void check_find(const char *what, struct strobe_trace_find_options options, matcher match,
		       const void *of, bool each)
{
	struct strobe_trace_find *find;
	struct strobe_trace_hit hit;
	struct visits visits = {0};
	options.size = sizeof(options);
	options.thread_index = history.thread;
	uint64_t end = options.end_id ? options.end_id : history.items.count;
	brute_visits(options.from_id, end, match, of, each, &visits);
	CHECK_OK(strobe_trace_find_open(history.trace, history.symbols, what, &options, &find));
	for (size_t i = 0; i < visits.items.count; i++) {
		size_t at = options.backwards ? visits.items.count - 1 - i : i;
		const struct visit *visit = &visits.items.items[at];
		CHECK(strobe_trace_find_next(find, &hit));
		CHECK_EQUAL(hit.first_id, visit->first);
		CHECK_EQUAL(hit.last_id, visit->last);
		CHECK_EQUAL(hit.instruction_count, visit->count);
		CHECK_EQUAL(hit.kind, history.items.items[visit->first].kind);
		CHECK_EQUAL(hit.address, history.items.items[visit->first].address);
		CHECK_EQUAL(strobe_cursor_id(strobe_trace_find_cursor(find)), visit->first);
	}
	CHECK(!strobe_trace_find_next(find, &hit));
	CHECK(!strobe_trace_find_next(find, &hit));
	strobe_trace_find_close(find);
	array_fini(&visits.items);
}

static void check_both_ways(const char *what, matcher match, const void *of, bool each,
			    bool entries)
{
	uint64_t seed = 7;
	struct strobe_trace_find_options options = {.entries = entries};
	for (int backwards = 0; backwards < 2; backwards++) {
		options.backwards = backwards;
		options.from_id = options.end_id = 0;
		check_find(what, options, match, of, each);
		for (int i = 0; i < 3; i++) {
			options.from_id = history_random(&seed, history.items.count);
			options.end_id =
				options.from_id + 1 +
				history_random(&seed, history.items.count - options.from_id);
			check_find(what, options, match, of, each);
		}
	}
}

static void test_functions(void)
{
	static const char *const names[] = {"quick", "fib", "clampi", "op_mul", "swap", "entry"};
	history_open(&history, "calls1/trace.json", 0);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		check_both_ways(names[i], is_in_function, names[i], false, false);
	uint64_t entry[2] = {0};
	struct strobe_function function;
	CHECK_OK(strobe_function_find(history.symbols, "quick", &function));
	entry[0] = function.start;
	entry[1] = function.start + 1;
	check_both_ways("quick", is_in_range, entry, true, true);
	history_close(&history);
}

static void test_lines(void)
{
	history_open(&history, "calls1/trace.json", 0);
	for (unsigned line = 3; line < 18; line++) {
		char what[32];
		snprintf(what, sizeof(what), "calls.c:%u", line);
		unsigned known = 0;
		for (size_t i = 0; i < history.items.count; i++)
			known += is_of_line(&history.items.items[i], &line);
		if (known)
			check_both_ways(what, is_of_line, &line, false, false);
	}
	history_close(&history);
}

static void test_addresses(void)
{
	uint64_t seed = 3;
	char what[64];
	history_open(&history, "threads2/trace.json", 1);
	for (int i = 0; i < 20; i++) {
		const struct history_item *item =
			&history.items.items[history_random(&seed, history.items.count)];
		uint64_t range[2] = {item->address, item->address + 1};
		if (item->kind != STROBE_ITEM_INSTRUCTION)
			continue;
		snprintf(what, sizeof(what), "0x%llx", (unsigned long long)range[0]);
		check_both_ways(what, is_in_range, range, true, false);
		range[1] += history_random(&seed, 60);
		snprintf(what, sizeof(what), "0x%llx-0x%llx", (unsigned long long)range[0],
			 (unsigned long long)range[1]);
		check_both_ways(what, is_in_range, range, false, false);
		snprintf(what, sizeof(what), "0x%llx+%llu", (unsigned long long)range[0],
			 (unsigned long long)(range[1] - range[0]));
		check_both_ways(what, is_in_range, range, false, false);
	}
	history_close(&history);
}

static void test_notes(void)
{
	unsigned type = STROBE_EVENT_SYNC_POINT;
	history_open(&history, "calls1/trace.json", 0);
	check_both_ways("event:synchronization", is_event, &type, true, false);
	history_close(&history);
	history_open(&history, "faulty/garbled.json", 0);
	check_both_ways("errors", is_error, NULL, true, false);
	history_close(&history);
	history_open(&history, "faulty/empty.json", 0);
	check_find("errors", (struct strobe_trace_find_options){0}, is_error, NULL, true);
	history_close(&history);
}

/** The newest item of [from, before) at `address`; UINT64_MAX if there is none. */
static uint64_t newest(uint64_t address, uint64_t from, uint64_t before)
{
	while (before-- > from) {
		const struct history_item *item = &history.items.items[before];
		if (item->kind == STROBE_ITEM_INSTRUCTION && item->address == address)
			return before;
	}
	return UINT64_MAX;
}

/** The sequence that ends first, and of these begins latest, by trying every end. */
static bool brute_sequence(const uint64_t *addresses, size_t count, uint64_t from, uint64_t within,
			   uint64_t *ids)
{
	for (uint64_t end = from; end < history.items.count; end++) {
		const struct history_item *item = &history.items.items[end];
		if (item->kind != STROBE_ITEM_INSTRUCTION || item->address != addresses[count - 1])
			continue;
		uint64_t at = ids[count - 1] = end;
		size_t step = count - 1;
		while (step > 0 && at != UINT64_MAX) {
			step--;
			ids[step] = at = newest(addresses[step], from, at);
		}
		if (at != UINT64_MAX && (!within || end - at <= within))
			return true;
	}
	return false;
}

static void check_sequence(const uint64_t *addresses, size_t count, uint64_t within)
{
	enum { HITS = 4 };
	char what[256] = "";
	uint64_t ids[STROBE_TRACE_FIND_STEP_LIMIT], from = 0;
	for (size_t i = 0; i < count; i++)
		snprintf(what + strlen(what), sizeof(what) - strlen(what), "%s0x%llx",
			 i ? " -> " : "", (unsigned long long)addresses[i]);
	struct strobe_trace_find_options options = {.size = sizeof(options), .within = within};
	struct strobe_trace_find *find;
	struct strobe_trace_hit hit;
	CHECK_OK(strobe_trace_find_open(history.trace, history.symbols, what, &options, &find));
	for (int n = 0; n < HITS; n++) {
		bool expected = brute_sequence(addresses, count, from, within, ids);
		CHECK_EQUAL(strobe_trace_find_next(find, &hit), expected);
		if (!expected)
			break;
		CHECK_EQUAL(hit.step_count, count);
		for (size_t i = 0; i < count; i++)
			CHECK_EQUAL(hit.step_ids[i], ids[i]);
		from = hit.last_id + 1;
	}
	strobe_trace_find_close(find);
}

static void test_sequences(void)
{
	uint64_t seed = 11;
	history_open(&history, "loop/trace.json", 0);
	for (int i = 0; i < 300; i++) {
		uint64_t addresses[4];
		size_t count = 2 + history_random(&seed, 3);
		for (size_t j = 0; j < count; j++) {
			do
				addresses[j] =
					history.items
						.items[history_random(&seed, history.items.count)]
						.address;
			while (!addresses[j]);
		}
		check_sequence(addresses, count, history_random(&seed, 2) ? 0 : 1 + i % 20);
	}
	history_close(&history);
}

static void test_backward_sequence(void)
{
	struct strobe_trace_find_options options = {.size = sizeof(options), .backwards = true};
	struct strobe_trace_find *find;
	struct strobe_trace_hit hit;
	history_open(&history, "calls1/trace.json", 0);
	CHECK_OK(strobe_trace_find_open(history.trace, history.symbols, "fib -> quick->vm",
					&options, &find));
	CHECK(strobe_trace_find_next(find, &hit));
	CHECK_EQUAL(hit.step_count, 3);
	CHECK(hit.step_ids[0] < hit.step_ids[1] && hit.step_ids[1] < hit.step_ids[2]);
	CHECK(is_in_function(&history.items.items[hit.step_ids[0]], "fib"));
	CHECK(is_in_function(&history.items.items[hit.step_ids[1]], "quick"));
	CHECK(is_in_function(&history.items.items[hit.step_ids[2]], "vm"));
	strobe_trace_find_close(find);
	history_close(&history);
}

static void test_mistakes(void)
{
	static const struct {
		const char *what;
		enum strobe_error_code code;
	} mistakes[] = {
		{"", STROBE_ERROR_SYNTAX},	    {"quick ->", STROBE_ERROR_SYNTAX},
		{"nosuch", STROBE_ERROR_NOT_FOUND}, {"0x", STROBE_ERROR_SYNTAX},
		{"0x10-", STROBE_ERROR_SYNTAX},	    {"0x20-0x10", STROBE_ERROR_INVALID},
		{"b.c:7", STROBE_ERROR_NOT_FOUND},  {"calls.c:9999", STROBE_ERROR_NOT_FOUND},
		{"calls.c:0", STROBE_ERROR_SYNTAX}, {"event:nosuch", STROBE_ERROR_NOT_FOUND},
		{"0x10+0", STROBE_ERROR_INVALID},
	};
	struct strobe_trace_find *find;
	struct strobe_trace_find_options options = {.size = sizeof(options), .thread_index = 9};
	history_open(&history, "calls1/trace.json", 0);
	for (size_t i = 0; i < sizeof(mistakes) / sizeof(mistakes[0]); i++)
		CHECK_ERROR(strobe_trace_find_open(history.trace, history.symbols, mistakes[i].what,
						   NULL, &find),
			    mistakes[i].code);
	CHECK_ERROR(strobe_trace_find_open(history.trace, history.symbols, "fib", &options, &find),
		    STROBE_ERROR_INVALID);
	history_close(&history);
}

CHECK_MAIN({"code of functions, inlined ones included, and entries", test_functions},
	   {"code of lines", test_lines}, {"addresses and ranges", test_addresses},
	   {"events and errors", test_notes},
	   {"sequences, the shortest that ends first", test_sequences},
	   {"sequences backwards", test_backward_sequence},
	   {"what cannot be looked for", test_mistakes})
