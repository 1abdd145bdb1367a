// SPDX-License-Identifier: Apache-2.0
#ifndef PT_PLAIN_H
#define PT_PLAIN_H

// The fast way through plain packets: TNT, TIP, tracing on, off at a system call or an interrupt, TSC: what traces of
// user code are made of. It gives what libipt would give, some times faster, or refuses the slice as a whole: whatever
// is unusual, or does not fit, is libipt's to judge.

#include "pt/decoding.h"

struct plain;

/** How a slice went. */
enum plain_outcome {
	PLAIN_DONE,
	PLAIN_ENOUGH,  // the window has more items than wanted
	PLAIN_REFUSED, // the window has what it had before, or more: the caller drops that
};

struct strobe_error *plain_new(struct code_map *map, struct plain **ret) STROBE_MUST_CHECK;
struct plain *plain_free(struct plain *plain);
/** Decodes the decoder's slice into its window. The slice's sync point is there already. */
struct strobe_error *plain_decode(struct plain *plain, struct decoder *decoder,
				  enum plain_outcome *ret) STROBE_MUST_CHECK;
/** Reads PSB+ of the decoder's slice: false if it is not plain. `*has_clock`: it has a TSC. */
bool plain_begin(struct plain *plain, const struct decoder *decoder, bool *has_clock,
		 uint64_t *clock);

#endif
