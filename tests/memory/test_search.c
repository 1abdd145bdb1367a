// SPDX-License-Identifier: Apache-2.0
#include <strobe/memory.h>

#include <stdarg.h>

#include "check.h"
#include "view/view.h"

// A view made of pieces of plain memory: touching, apart, not captured, or from files.

enum { PIECE_LIMIT = 64, HIT_LIMIT = 200000 };

struct piece {
	uint64_t start, size;
	uint8_t *bytes; // NULL: not captured
	bool from_file;
};

struct strobe_view {
	struct piece pieces[PIECE_LIMIT];
	struct strobe_mapping mappings[PIECE_LIMIT];
	size_t count;
	unsigned warnings;
};

static struct strobe_view fake;

static const struct piece *piece_at(const struct strobe_view *view, uint64_t address)
{
	for (size_t i = 0; i < view->count; i++)
		if (address - view->pieces[i].start < view->pieces[i].size)
			return &view->pieces[i];
	return NULL;
}

void strobe_memory_extent(const struct strobe_view *view, uint64_t address,
			  struct strobe_memory_extent *ret)
{
	const struct piece *piece = piece_at(view, address);
	*ret = (struct strobe_memory_extent){.start = address, .why = "not mapped"};
	if (piece) {
		ret->end = piece->start + piece->size;
		ret->state = piece->from_file ? STROBE_MEMORY_FILE
			     : piece->bytes   ? STROBE_MEMORY_PRESENT
					      : STROBE_MEMORY_MISSING;
		return;
	}
	for (size_t i = view->count; i-- > 0;)
		if (view->pieces[i].start > address)
			ret->end = view->pieces[i].start;
}

const uint8_t *view_pointer(const struct strobe_view *view, uint64_t address, size_t *available)
{
	const struct piece *piece = piece_at(view, address);
	if (!piece || !piece->bytes)
		return NULL;
	*available = piece->start + piece->size - address;
	return piece->bytes + (address - piece->start);
}

const uint8_t *view_stream(const struct strobe_view *view, uint64_t address, void *buffer,
			   size_t size, size_t *available)
{
	return view_pointer(view, address, available);
}

static uint64_t hole_start, hole_end; // addresses that are said to be a hole

void view_run_at(const struct strobe_view *view, uint64_t address, uint64_t limit,
		 struct view_run *ret)
{
	*ret = (struct view_run){.end = limit, .kind = VIEW_RUN_DATA};
	if (address < hole_start && hole_start < limit)
		ret->end = hole_start;
	if (address < hole_start || address >= hole_end)
		return;
	ret->kind = VIEW_RUN_ZERO;
	if (hole_end < limit)
		ret->end = hole_end;
}

static uint64_t released; // bytes given back

void view_release(const struct strobe_view *view, const uint8_t *bytes, size_t size)
{
	released += size;
}

size_t strobe_view_mapping_count(const struct strobe_view *view)
{
	return view->count;
}

const struct strobe_mapping *strobe_view_mapping(const struct strobe_view *view, size_t index)
{
	return &view->mappings[index];
}

const struct strobe_mapping *strobe_view_mapping_at(const struct strobe_view *view,
						    uint64_t address)
{
	const struct piece *piece = piece_at(view, address);
	return piece ? &view->mappings[piece - view->pieces] : NULL;
}

void view_warn(const struct strobe_view *view, const char *format, ...)
{
	((struct strobe_view *)view)->warnings++;
}

static void clear(void)
{
	for (size_t i = 0; i < fake.count; i++)
		free(fake.pieces[i].bytes);
	fake = (struct strobe_view){0};
}

// Adds a piece of exactly `size` heap bytes, so that a sanitizer sees a step past its end.
static uint8_t *add(uint64_t start, uint64_t size, const void *bytes)
{
	CHECK(fake.count < PIECE_LIMIT);
	struct piece *piece = &fake.pieces[fake.count];
	*piece = (struct piece){start, size, malloc(size), false};
	CHECK(piece->bytes != NULL);
	if (bytes)
		memcpy(piece->bytes, bytes, size);
	fake.mappings[fake.count] = (struct strobe_mapping){.start = start,
							    .end = start + size,
							    .permissions = STROBE_PERMISSION_READ,
							    .present_bytes = size};
	fake.count++;
	return piece->bytes;
}

struct hits {
	uint64_t addresses[HIT_LIMIT], sizes[HIT_LIMIT];
	size_t count;
	size_t stop_after;
};
static struct hits found, expected;

static bool collect(void *context, uint64_t address, uint64_t size)
{
	struct hits *hits = context;
	CHECK(hits->count < HIT_LIMIT);
	hits->addresses[hits->count] = address;
	hits->sizes[hits->count++] = size;
	return hits->count != hits->stop_after;
}

static void search(const struct strobe_search *what)
{
	found.count = 0;
	CHECK_OK(strobe_memory_search(&fake, what, collect, NULL, &found));
}

static struct strobe_search text(const char *pattern)
{
	return (struct strobe_search){.size = sizeof(struct strobe_search),
				      .pattern = pattern,
				      .pattern_size = strlen(pattern)};
}

static bool byte_at(uint64_t address, uint8_t *byte)
{
	const struct piece *piece = piece_at(&fake, address);
	if (!piece || !piece->bytes || piece->from_file)
		return false;
	*byte = piece->bytes[address - piece->start];
	return true;
}

static uint8_t fold(uint8_t byte, bool ignore_case)
{
	return ignore_case && byte >= 'A' && byte <= 'Z' ? byte | 0x20 : byte;
}

static bool matches_at(const struct strobe_search *what, uint64_t address)
{
	const uint8_t *pattern = what->pattern;
	for (size_t i = 0; i < what->pattern_size; i++) {
		uint8_t byte, mask = what->mask ? what->mask[i] : 0xff;
		if (!byte_at(address + i, &byte) || (what->end && address + i >= what->end))
			return false;
		if ((fold(byte, what->ignore_case) & mask) !=
		    (fold(pattern[i], what->ignore_case) & mask))
			return false;
	}
	return true;
}

// Every address, every byte: what the search must find.
static void brute_force(const struct strobe_search *what)
{
	expected.count = 0;
	for (size_t i = 0; i < fake.count; i++)
		for (uint64_t at = 0; at < fake.pieces[i].size; at++) {
			uint64_t address = fake.pieces[i].start + at;
			if (address >= what->start &&
			    (what->alignment < 2 || address % what->alignment == 0) &&
			    matches_at(what, address))
				collect(&expected, address, what->pattern_size);
		}
}

static void compare(const struct strobe_search *what)
{
	search(what);
	brute_force(what);
	CHECK_EQUAL(found.count, expected.count);
	for (size_t i = 0; i < found.count; i++) {
		CHECK_EQUAL(found.addresses[i], expected.addresses[i]);
		CHECK_EQUAL(found.sizes[i], expected.sizes[i]);
	}
}

static uint64_t random_state = 88172645463325252;
static uint64_t random_number(uint64_t below)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state % below;
}

// Pieces of random sizes, most of which touch; few different bytes, so that there are hits.
static void add_random_pieces(unsigned alphabet)
{
	uint64_t address = 0x1000 + random_number(100);
	size_t pieces = 1 + random_number(8);
	for (size_t i = 0; i < pieces; i++) {
		uint64_t size = 1 + random_number(random_number(3) ? 40 : 1500);
		uint8_t *bytes = add(address, size, NULL);
		for (uint64_t j = 0; j < size; j++)
			bytes[j] = (uint8_t)("Aa\0bB\xff"[random_number(alphabet)]);
		if (random_number(8) == 0)
			fake.pieces[fake.count - 1].from_file = true;
		address += size + (random_number(4) ? 0 : random_number(50));
	}
}

static void finds_what_brute_force_finds(void)
{
	for (int round = 0; round < 4000; round++) {
		uint8_t pattern[80], mask[80];
		unsigned alphabet = 2 + (unsigned)random_number(5);
		clear();
		add_random_pieces(alphabet);
		struct strobe_search what = {.size = sizeof(what), .pattern = pattern};
		what.pattern_size = 1 + random_number(random_number(4) ? 6 : sizeof(pattern));
		for (size_t i = 0; i < what.pattern_size; i++) {
			pattern[i] = (uint8_t)("Aa\0bB\xff"[random_number(alphabet)]);
			mask[i] = random_number(2) ? 0xff : (uint8_t)random_number(256);
		}
		if (random_number(2))
			what.mask = mask;
		if (random_number(2))
			what.alignment = 1 + random_number(random_number(2) ? 9 : 130);
		what.ignore_case = !what.mask && random_number(2);
		if (random_number(3) == 0) {
			what.start = 0x1000 + random_number(200);
			what.end = what.start + 1 + random_number(500);
		}
		compare(&what);
	}
	clear();
}

static void finds_a_match_that_runs_over_three_mappings(void)
{
	add(0x1000, 3, "xAB");
	add(0x1003, 1, "C");
	add(0x1004, 3, "DEy");
	struct strobe_search what = text("ABCDE");
	search(&what);
	CHECK_EQUAL(found.count, 1);
	CHECK_EQUAL(found.addresses[0], 0x1001);
	what = text("BCD.");
	what.kind = STROBE_SEARCH_REGEX;
	search(&what);
	CHECK_EQUAL(found.count, 1);
	CHECK_EQUAL(found.addresses[0], 0x1002);
	CHECK_EQUAL(found.sizes[0], 4);
	clear();
}

static void finds_nothing_across_a_gap(void)
{
	add(0x1000, 3, "xAB");
	add(0x1004, 3, "CDy");
	struct strobe_search what = text("ABCD");
	search(&what);
	CHECK_EQUAL(found.count, 0);
	what.kind = STROBE_SEARCH_REGEX;
	search(&what);
	CHECK_EQUAL(found.count, 0);
	clear();
}

static void searches_up_to_the_last_address(void)
{
	add(UINT64_MAX - 7, 8, "0123abcd");
	struct strobe_search what = text("abcd");
	search(&what);
	CHECK_EQUAL(found.count, 1);
	CHECK_EQUAL(found.addresses[0], UINT64_MAX - 3);
	clear();
}

static void stops_when_told_and_at_the_limit(void)
{
	add(0x1000, 8, "aaaaaaaa");
	struct strobe_search what = text("a");
	what.limit = 3;
	search(&what);
	CHECK_EQUAL(found.count, 3);
	what.limit = 0;
	found.stop_after = 5;
	search(&what);
	CHECK_EQUAL(found.count, 5);
	found.stop_after = 0;
	search(&what);
	CHECK_EQUAL(found.count, 8);
	clear();
}

static void keeps_to_permissions_and_files(void)
{
	add(0x1000, 4, "abcd");
	add(0x1004, 4, "abcd");
	add(0x1008, 4, "abcd");
	fake.mappings[1].permissions |= STROBE_PERMISSION_WRITE;
	fake.pieces[2].from_file = true;
	struct strobe_search what = text("abcd");
	search(&what);
	CHECK_EQUAL(found.count, 2);
	what.file_backed = true;
	search(&what);
	CHECK_EQUAL(found.count, 3);
	what.permissions = STROBE_PERMISSION_WRITE;
	search(&what);
	CHECK_EQUAL(found.count, 1);
	CHECK_EQUAL(found.addresses[0], 0x1004);
	clear();
}

static void regex_matches_follow_each_other_across_windows(void)
{
	// Three buffers' worth in pieces of odd sizes; a match every 1,000 bytes, some over seams.
	enum { TOTAL = 3 << 20, EVERY = 1000 };
	static uint8_t all[TOTAL];
	memset(all, '.', sizeof(all));
	size_t count = 0;
	for (size_t at = 500; at + 40 < TOTAL; at += EVERY, count++)
		memcpy(all + at, "<12345678901234567890>", 22);
	for (size_t at = 0; at < TOTAL;) {
		size_t size = TOTAL - at < 99991 ? TOTAL - at : 99991;
		add(0x10000 + at, size, all + at);
		at += size;
	}
	struct strobe_search what = text("<[0-9]+>");
	what.kind = STROBE_SEARCH_REGEX;
	search(&what);
	CHECK_EQUAL(found.count, count);
	for (size_t i = 0; i < count; i++) {
		CHECK_EQUAL(found.addresses[i], 0x10000 + 500 + i * EVERY);
		CHECK_EQUAL(found.sizes[i], 22);
	}
	clear();
}

// A pattern with a literal that every match holds, and the same one where none can be told.
static void regex_with_a_literal_misses_nothing(void)
{
	enum { TOTAL = 20 << 20, PLACES = 30 };
	uint8_t *bytes = add(0x10000, TOTAL - 100, NULL);
	uint8_t *more = add(0x10000 + TOTAL - 100, 5000, NULL);
	memset(bytes, '.', TOTAL - 100);
	memset(more, '.', 5000);
	uint64_t random = 7;
	for (size_t i = 0; i < PLACES; i++) {
		random = random * 6364136223846793005u + 1442695040888963407u;
		size_t at = (random >> 33) % (TOTAL - 200000);
		size_t span = i % 3 ? (random >> 20) % 300 : 60000 + (random >> 20) % 5000;
		if (i < 4) // at the steps of a search, and at the end of the first piece
			at = i < 3 ? (8u << 20) * (i + 1) - i * 9 - 5 : TOTAL - 100 - span - 6;
		if (i == 2)
			at = TOTAL - 104;
		bytes[at] = '<';
		for (size_t j = 1; j <= span && at + j < TOTAL - 100; j++)
			bytes[at + j] = 'a';
		for (size_t j = 0; j < 6; j++) {
			size_t place = at + span + 1 + j;
			uint8_t *to =
				place < TOTAL - 100 ? &bytes[place] : &more[place - (TOTAL - 100)];
			*to = (uint8_t) "needle"[j];
		}
	}
	struct strobe_search with = text("<a*needle"), without = text("<a*(needle|n>>)");
	with.kind = without.kind = STROBE_SEARCH_REGEX;
	search(&without);
	memcpy(&expected, &found, sizeof(found));
	search(&with);
	CHECK(expected.count > PLACES / 2);
	CHECK_EQUAL(found.count, expected.count);
	for (size_t i = 0; i < found.count; i++) {
		CHECK_EQUAL(found.addresses[i], expected.addresses[i]);
		CHECK_EQUAL(found.sizes[i], expected.sizes[i]);
	}
	clear();
}

static void regex_finds_a_match_of_64_kib_whole(void)
{
	enum { TOTAL = 3 << 20 };
	uint8_t *bytes = add(0x10000, TOTAL, NULL);
	for (size_t place = (1 << 20) - 65536; place < (1 << 20) + 10; place += 8191) {
		memset(bytes, '-', TOTAL);
		memset(bytes + place, 'x', 65536);
		struct strobe_search what = text("x+");
		what.kind = STROBE_SEARCH_REGEX;
		search(&what);
		CHECK_EQUAL(found.count, 1);
		CHECK_EQUAL(found.addresses[0], 0x10000 + place);
		CHECK_EQUAL(found.sizes[0], 65536);
	}
	clear();
}

static void endless_regex_match_still_ends(void)
{
	enum { TOTAL = 4 << 20 };
	memset(add(0x10000, TOTAL, NULL), 'x', TOTAL);
	struct strobe_search what = text("x+y");
	what.kind = STROBE_SEARCH_REGEX;
	what.limit = 5;
	search(&what);
	CHECK_EQUAL(found.count, 0);
	what = text("x*");
	what.kind = STROBE_SEARCH_REGEX;
	search(&what);
	CHECK(found.count >= 1);
	clear();
}

static void passes_over_holes_but_not_their_edges(void)
{
	enum { TOTAL = 8 << 20, FROM = 5000, TO = TOTAL - 7000 };
	uint8_t *bytes = add(0x10000, TOTAL, NULL);
	memset(bytes, 0, TOTAL);
	memcpy(bytes + FROM - 2, "ab", 2);
	memcpy(bytes + TO, "cd", 2);
	memcpy(bytes + (TOTAL / 2), "xyz", 3); // would only be found if the hole were searched
	hole_start = 0x10000 + FROM;
	hole_end = 0x10000 + TO;
	struct strobe_search what = text("xyz");
	search(&what);
	CHECK_EQUAL(found.count, 0);
	what = (struct strobe_search){.size = sizeof(what), .pattern = "ab\0\0", .pattern_size = 4};
	search(&what);
	CHECK_EQUAL(found.count, 1);
	CHECK_EQUAL(found.addresses[0], 0x10000 + FROM - 2);
	what.pattern = "\0\0cd";
	search(&what);
	CHECK_EQUAL(found.count, 1);
	CHECK_EQUAL(found.addresses[0], 0x10000 + TO - 2);
	what = text("b\\0{3}|\\0{3}c");
	what.kind = STROBE_SEARCH_REGEX;
	search(&what);
	CHECK_EQUAL(found.count, 2);
	memset(bytes + (TOTAL / 2), 0, 3);
	released = 0;
	what = (struct strobe_search){.size = sizeof(what),
				      .pattern = "\0\0\0\0",
				      .pattern_size = 4,
				      .alignment = 4096,
				      .limit = HIT_LIMIT - 1};
	compare(&what);
	CHECK(found.count > 2000);
	CHECK_EQUAL(released, TOTAL); // all that was looked through
	hole_end = 0;
	clear();
}

static void refuses_what_it_cannot_search_for(void)
{
	struct strobe_search what = text("");
	CHECK_ERROR(strobe_memory_search(&fake, &what, collect, NULL, &found),
		    STROBE_ERROR_INVALID);
	what = text("a(b");
	what.kind = STROBE_SEARCH_REGEX;
	CHECK_ERROR(strobe_memory_search(&fake, &what, collect, NULL, &found), STROBE_ERROR_SYNTAX);
	what = text("a");
	what.start = 16;
	what.end = 16;
	CHECK_ERROR(strobe_memory_search(&fake, &what, collect, NULL, &found),
		    STROBE_ERROR_INVALID);
}

CHECK_MAIN({"finds what brute force finds", finds_what_brute_force_finds},
	   {"finds a match that runs over three mappings",
	    finds_a_match_that_runs_over_three_mappings},
	   {"finds nothing across a gap", finds_nothing_across_a_gap},
	   {"searches up to the last address", searches_up_to_the_last_address},
	   {"stops when told and at the limit", stops_when_told_and_at_the_limit},
	   {"keeps to permissions and files", keeps_to_permissions_and_files},
	   {"regex matches follow each other across windows",
	    regex_matches_follow_each_other_across_windows},
	   {"a regex with a literal misses nothing", regex_with_a_literal_misses_nothing},
	   {"regex finds a match of 64 KiB whole", regex_finds_a_match_of_64_kib_whole},
	   {"an endless regex match still ends", endless_regex_match_still_ends},
	   {"passes over holes, but not their edges", passes_over_holes_but_not_their_edges},
	   {"refuses what it cannot search for", refuses_what_it_cannot_search_for})
