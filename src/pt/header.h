// SPDX-License-Identifier: Apache-2.0
#ifndef PT_HEADER_H
#define PT_HEADER_H

// PSB+: what stands between a PSB and its PSBEND tells where execution was.

#include <intel-pt.h>
#include <stdbool.h>
#include <stdint.h>

struct psb_header {
	bool whole;  // ended with PSBEND
	bool has_ip; // tracing was on
	uint64_t ip;
	bool has_clock;
	uint64_t clock;
};

/** More than PSB+ ever has: SDM 3C, "Packet Stream Boundary (PSB) Packet". */
enum { PSB_HEADER_MAX = 256 };

/** Reads the header of the PSB at bytes[0]; false if memory is short. */
bool psb_header_read(const struct pt_config *config, const uint8_t *bytes, size_t size,
		     struct psb_header *ret);

#endif
