// SPDX-License-Identifier: Apache-2.0
#ifndef PT_SHARED_H
#define PT_SHARED_H

// What all decoders of a trace share. It changes only when it is opened and when it grows.

#include <intel-pt.h>

#include "base/hash.h"
#include "pt/functions.h"
#include "pt/image.h"
#include "pt/input.h"
#include "pt/stream.h"

struct pt_source {
	struct pt_input input;
	struct image image;
	struct functions functions;
	ARRAY(struct stream) streams;	// of input.streams
	ARRAY(uint32_t) stream_threads; // of which thread each is; WINDOW_NOBODY = of several
	ARRAY(const struct pt_cpu_schedule *) stream_schedules; // NULL = is not cut
	struct hash threads;	 // of a tid: 1 + its index, as a pointer
	struct pt_config config; // without a buffer
	bool timed;		 // MTC or CYC packets can be made time of
	char cpu[64];
	uint8_t fingerprint[16];
};

#endif
