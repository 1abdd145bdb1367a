// SPDX-License-Identifier: Apache-2.0
#ifndef TESTS_FAKE_SOURCE_H
#define TESTS_FAKE_SOURCE_H

// A source of made-up traces: random, but the same for the same options. What each thread's items are is known
// as a plain list, made from the script and not from windows.

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <strobe/cursor.h>

#include "trace/source.h"

struct fake_options {
	uint64_t seed;
	unsigned streams, threads; // a stream is thread stream % threads, unless per_cpu
	unsigned blocks;	   // a stream
	unsigned windows;	   // a block, at most
	unsigned elements;	   // a window, at most
	bool per_cpu;
	bool no_clocks, no_conversion, falling_clocks;
	bool no_notes;
	unsigned stretches; // of code; 0 = 200
	unsigned visible;   // blocks of each stream at first; 0 = all
};

/** One item as it must be. */
struct fake_item {
	enum strobe_item_kind kind;
	uint64_t address;
	unsigned size_bytes;
	enum strobe_flow flow;
	uint64_t run_first; // index of the first item of its run
	uint32_t run_count;
	enum strobe_event_type type;
	uint64_t value;
	const char *text; // of an error
	int cpu;
	bool has_clock;
	uint64_t clock;
};

/** The clock reads `value` from item `index` on. */
struct fake_point {
	uint64_t index, value;
};

struct fake_truth {
	struct fake_item *items;
	size_t count;
	struct fake_point *points; // values grow; at one index, the last one counts
	size_t point_count;
};

struct fake;
struct fake *fake_new(const struct fake_options *options);
struct fake *fake_free(struct fake *fake);
/** A source on it; closing that does not free the fake. */
struct trace_source fake_open(struct fake *fake);
/** Shows `blocks` more blocks of each stream at the next refresh. */
void fake_grow(struct fake *fake, unsigned blocks);
/** Of the blocks that are visible; the caller's. */
struct fake_truth fake_truth(const struct fake *fake, uint32_t thread);
void fake_truth_free(struct fake_truth *truth);
/** Sources that are open, and windows decoded so far. */
unsigned fake_open_count(const struct fake *fake);
unsigned long fake_decoded(const struct fake *fake);
/** Decode number `n` from now on (1 = the next) fails; 0 = none. */
void fake_fail_decode(struct fake *fake, unsigned long n);
/** Where the source says that it lies; "fake" unless set; borrowed. */
void fake_set_path(struct fake *fake, const char *path);
/** Changes what the fingerprint says. */
void fake_set_fingerprint(struct fake *fake, uint8_t byte);

#endif
