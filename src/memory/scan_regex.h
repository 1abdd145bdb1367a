// SPDX-License-Identifier: Apache-2.0
#ifndef MEMORY_SCAN_REGEX_H
#define MEMORY_SCAN_REGEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <strobe/error.h>
#include <strobe/memory.h>

#include "memory/scan.h"

/** Longest match that is surely found whole; and how far look-behind sees. */
enum { REGEX_SPAN = 65536, REGEX_LOOK_BEHIND = 256 };

/**
 * A regular expression that runs over touching pieces of memory as if they were one. Bytes go
 * through a buffer: it costs little beside the matching, and pieces and windows need no seams.
 * What is too far from a literal that each match must hold does not even go there.
 * Invariants: `buffer` holds `size` bytes of the run in a row; the next match may start at `next`.
 */
struct scan_regex {
	struct regex *regex;
	uint8_t *buffer;
	size_t size, next;
	uint64_t address; // of buffer[0]
	bool has_literal;
	struct scan literal;
	bool gave_up; // a match attempt ended at a limit: something may be missing
	strobe_search_hit hit;
	void *context;
};

struct strobe_error *scan_regex_init(struct scan_regex *scan, const struct strobe_search *search,
				     strobe_search_hit hit, void *context) STROBE_MUST_CHECK;
void scan_regex_fini(struct scan_regex *scan);
/** The next bytes of a run; false if a hit's visitor ended the search. */
bool scan_regex_feed(struct scan_regex *scan, const uint8_t *bytes, size_t size, uint64_t address);
/** The run ends here: what follows does not touch it. */
bool scan_regex_end_run(struct scan_regex *scan);

#endif
