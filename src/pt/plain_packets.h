// SPDX-License-Identifier: Apache-2.0
#ifndef PT_PLAIN_PACKETS_H
#define PT_PLAIN_PACKETS_H

// Reads plain packets: Intel SDM 3C, chapter Intel Processor Trace, "Packet Definitions".

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** What comes next. */
enum plain_kind {
	PLAIN_TNT,	 // bits are there
	PLAIN_TIP,	 // `ip`
	PLAIN_PGD,	 // tracing ends at a branch; `has_ip`
	PLAIN_ASYNC_PGD, // tracing ends before the instruction at `from`; `has_ip`
	PLAIN_PGE,	 // tracing goes on at `ip`
	PLAIN_END,	 // no packet is left
	PLAIN_OTHER,	 // something else
};

struct plain_packets {
	const uint8_t *at, *end;
	uint64_t bits; // the next TNT bit is the highest
	unsigned bit_count;
	uint64_t last_ip;
	uint64_t ip, from;
	bool has_ip;
	bool has_clock;
	uint64_t clock;
};

/** What PSB+ tells; false if it is not plain, or not whole. `at` is behind it then. */
bool plain_packets_begin(struct plain_packets *packets, const uint8_t *bytes, size_t size,
			 bool *enabled);
/** Reads up to the next packet of a kind above. */
enum plain_kind plain_packets_next(struct plain_packets *packets, bool enabled);

#endif
