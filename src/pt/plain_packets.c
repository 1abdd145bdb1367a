// SPDX-License-Identifier: Apache-2.0
#include "pt/plain_packets.h"

#include <string.h>

enum {
	OPCODE_PAD = 0x00,
	OPCODE_EXTENDED = 0x02,
	OPCODE_TSC = 0x19,
	OPCODE_MODE = 0x99,
	EXTENDED_CBR = 0x03,
	EXTENDED_PSBEND = 0x23,
	EXTENDED_TNT_64 = 0xa3,
	// The low five bits; the upper three tell how the address is compressed.
	IP_MASK = 0x1f,
	IP_PGD = 0x01,
	IP_TIP = 0x0d,
	IP_PGE = 0x11,
	IP_FUP = 0x1d,
	PSB_SIZE = 16,
	TSC_SIZE = 8,
	CBR_SIZE = 4,
	MODE_SIZE = 2,
	MODE_64_BIT = 0x01, // MODE.Exec with CS.L alone
	MODE_NO_TSX = 0x20, // MODE.TSX, not in a transaction
};

static size_t left(const struct plain_packets *packets)
{
	return (size_t)(packets->end - packets->at);
}

static uint64_t read_bytes(const uint8_t *bytes, size_t size)
{
	uint64_t value = 0;
	memcpy(&value, bytes, size); // x86-64 only
	return value;
}

// The packet at `at`, which has an address; false if it is cut or its compression is not known.
static bool read_ip(struct plain_packets *packets, uint64_t *ip, bool *has_ip)
{
	static const uint8_t sizes[] = {0, 2, 4, 6, 6, 0, 8, 0};
	unsigned compression = packets->at[0] >> 5;
	size_t size = sizes[compression];
	if ((size == 0 && compression != 0) || left(packets) < size + 1)
		return false;
	uint64_t value = read_bytes(packets->at + 1, size);
	packets->at += size + 1;
	*has_ip = compression != 0;
	if (compression == 0)
		return true;
	if (compression == 3) {
		value = (uint64_t)((int64_t)(value << 16) >> 16);
	} else if (compression != 6) {
		uint64_t mask = (UINT64_C(1) << size * 8) - 1;
		value |= packets->last_ip & ~mask;
	}
	packets->last_ip = *ip = value;
	return true;
}

static bool read_clock(struct plain_packets *packets)
{
	if (left(packets) < TSC_SIZE)
		return false;
	packets->clock = read_bytes(packets->at + 1, TSC_SIZE - 1);
	packets->has_clock = true;
	packets->at += TSC_SIZE;
	return true;
}

static bool read_mode(struct plain_packets *packets)
{
	if (left(packets) < MODE_SIZE)
		return false;
	uint8_t mode = packets->at[1];
	packets->at += MODE_SIZE;
	return mode == MODE_64_BIT || mode == MODE_NO_TSX;
}

bool plain_packets_begin(struct plain_packets *packets, const uint8_t *bytes, size_t size,
			 bool *enabled)
{
	*packets = (struct plain_packets){.at = bytes + PSB_SIZE, .end = bytes + size};
	*enabled = false;
	while (left(packets) > 1) {
		uint8_t opcode = packets->at[0];
		bool plain = true;
		if (opcode == OPCODE_PAD)
			packets->at++;
		else if (opcode == OPCODE_TSC)
			plain = read_clock(packets);
		else if (opcode == OPCODE_MODE)
			plain = read_mode(packets);
		else if ((opcode & IP_MASK) == IP_FUP)
			plain = read_ip(packets, &packets->ip, enabled) && *enabled;
		else if (opcode == OPCODE_EXTENDED && packets->at[1] == EXTENDED_CBR)
			packets->at += left(packets) < CBR_SIZE ? left(packets) : CBR_SIZE;
		else
			break;
		if (!plain)
			return false;
	}
	if (left(packets) < 2 || packets->at[0] != OPCODE_EXTENDED ||
	    packets->at[1] != EXTENDED_PSBEND)
		return false;
	packets->at += 2;
	return true;
}

// Puts `count` bits, the oldest of which is the highest of `value`, where they are taken from.
static enum plain_kind give_bits(struct plain_packets *packets, uint64_t value, unsigned count)
{
	packets->bits = value << (64 - count);
	packets->bit_count = count;
	return PLAIN_TNT;
}

static enum plain_kind read_tnt_64(struct plain_packets *packets)
{
	enum { SIZE = 8 };
	if (left(packets) < SIZE)
		return PLAIN_OTHER;
	uint64_t value = read_bytes(packets->at + 2, SIZE - 2);
	packets->at += SIZE;
	if (value < 2)
		return PLAIN_OTHER;
	unsigned count = 63 - (unsigned)__builtin_clzll(value);
	return give_bits(packets, value & ((UINT64_C(1) << count) - 1), count);
}

// A FUP: with a TIP.PGD behind it tracing ended before an instruction.
static enum plain_kind read_fup(struct plain_packets *packets)
{
	bool has_from = false;
	if (!read_ip(packets, &packets->from, &has_from) || !has_from)
		return PLAIN_OTHER;
	while (left(packets) && packets->at[0] == OPCODE_PAD)
		packets->at++;
	if (!left(packets) || (packets->at[0] & IP_MASK) != IP_PGD)
		return PLAIN_OTHER;
	return read_ip(packets, &packets->ip, &packets->has_ip) ? PLAIN_ASYNC_PGD : PLAIN_OTHER;
}

static enum plain_kind read_rare(struct plain_packets *packets, uint8_t opcode, bool enabled)
{
	switch (opcode & IP_MASK) {
	case IP_PGD:
		if (!enabled || !read_ip(packets, &packets->ip, &packets->has_ip))
			return PLAIN_OTHER;
		return PLAIN_PGD;
	case IP_PGE:
		if (enabled || !read_ip(packets, &packets->ip, &packets->has_ip) ||
		    !packets->has_ip)
			return PLAIN_OTHER;
		return PLAIN_PGE;
	case IP_FUP:
		return enabled ? read_fup(packets) : PLAIN_OTHER;
	default:
		return PLAIN_OTHER;
	}
}

enum plain_kind plain_packets_next(struct plain_packets *packets, bool enabled)
{
	while (left(packets)) {
		uint8_t opcode = packets->at[0];
		if (!(opcode & 1) && opcode > OPCODE_EXTENDED) {
			unsigned count = 30 - (unsigned)__builtin_clz(opcode);
			packets->at++;
			if (!enabled)
				return PLAIN_OTHER;
			return give_bits(packets, opcode >> 1 & ((1u << count) - 1), count);
		}
		if ((opcode & IP_MASK) == IP_TIP) {
			if (!enabled || !read_ip(packets, &packets->ip, &packets->has_ip))
				return PLAIN_OTHER;
			return packets->has_ip ? PLAIN_TIP : PLAIN_OTHER;
		}
		if (opcode == OPCODE_PAD) {
			packets->at++;
			continue;
		}
		// A clock value in between is seen by libipt only when an event comes.
		if (opcode == OPCODE_TSC && !enabled && read_clock(packets))
			continue;
		if (opcode == OPCODE_EXTENDED && left(packets) > 1 &&
		    packets->at[1] == EXTENDED_TNT_64 && enabled)
			return read_tnt_64(packets);
		return read_rare(packets, opcode, enabled);
	}
	return PLAIN_END;
}
