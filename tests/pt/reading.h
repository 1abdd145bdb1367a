// SPDX-License-Identifier: Apache-2.0
#ifndef TESTS_PT_READING_H
#define TESTS_PT_READING_H

// What libipt's instruction decoder makes of packets: the independent truth.

#include "generator.h"

struct pt_config;

struct reading {
	const struct program *program;
	struct pt_insn_decoder *decoder;
	struct pt_image *image;
	uint64_t stop;	     // where the next block begins; 0 = there is none
	uint64_t last_clock; // 0 = none yet
	bool backwards;	     // a clock value was lower than one before
	ARRAY(struct expected_item) items;
};
/** Begins to read `size` bytes; `config` (NULL = none) gives frequencies. Items are added. */
void reading_begin(struct reading *reading, const struct program *program, const uint8_t *bytes,
		   size_t size, const struct pt_config *config);
/** Reads to the end or to an error, a negative pt_error_code, which is returned. */
int reading_run(struct reading *reading);
void reading_end(struct reading *reading);
/** True if `reading` is the first `count` true items, and with `all` no more; else says where not. */
bool reading_compare(const struct reading *reading, const struct walk *walk, size_t count,
		     bool all);

#endif
