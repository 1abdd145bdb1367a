// SPDX-License-Identifier: Apache-2.0
#ifndef SYMBOLS_BYTES_H
#define SYMBOLS_BYTES_H

// A cursor over the bytes of a DWARF section (little-endian, as x86-64 has it). A read past the
// end sets `bad`, answers 0 and stays at the end, so that a parser checks once a record.

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct bytes {
	const uint8_t *at;
	const uint8_t *end;
	bool bad;
};

static inline struct bytes bytes_of(const uint8_t *data, size_t size, uint64_t offset)
{
	if (!data || offset > size)
		return (struct bytes){.bad = true};
	return (struct bytes){.at = data + offset, .end = data + size};
}

static inline bool bytes_need(struct bytes *bytes, uint64_t size)
{
	if (!bytes->bad && (uint64_t)(bytes->end - bytes->at) >= size)
		return true;
	bytes->bad = true;
	bytes->at = bytes->end;
	return false;
}

static inline void bytes_skip(struct bytes *bytes, uint64_t size)
{
	if (bytes_need(bytes, size))
		bytes->at += size;
}

/** An unsigned integer of 1 to 8 bytes. */
static inline uint64_t bytes_unsigned(struct bytes *bytes, unsigned size)
{
	uint64_t value = 0;
	if (size > sizeof(value) || !bytes_need(bytes, size))
		return 0;
	memcpy(&value, bytes->at, size);
	bytes->at += size;
	return value;
}

static inline uint64_t bytes_uleb(struct bytes *bytes)
{
	uint64_t value = 0;
	for (unsigned shift = 0; bytes_need(bytes, 1); shift += 7) {
		uint8_t byte = *bytes->at++;
		if (shift < 64)
			value |= (uint64_t)(byte & 0x7f) << shift;
		if (!(byte & 0x80))
			break;
	}
	return value;
}

static inline int64_t bytes_sleb(struct bytes *bytes)
{
	uint64_t value = 0;
	for (unsigned shift = 0; bytes_need(bytes, 1);) {
		uint8_t byte = *bytes->at++;
		if (shift < 64)
			value |= (uint64_t)(byte & 0x7f) << shift;
		shift += 7;
		if (!(byte & 0x80)) {
			if ((byte & 0x40) && shift < 64)
				value |= ~UINT64_C(0) << shift;
			break;
		}
	}
	return (int64_t)value;
}

/** A NUL-terminated string, borrowed; "" when it does not end inside the section. */
static inline const char *bytes_string(struct bytes *bytes)
{
	if (bytes->bad || bytes->at == bytes->end) {
		bytes->bad = true;
		return "";
	}
	const uint8_t *start = bytes->at;
	const uint8_t *nul = memchr(start, 0, (size_t)(bytes->end - start));
	if (!nul) {
		bytes->bad = true;
		bytes->at = bytes->end;
		return "";
	}
	bytes->at = nul + 1;
	return (const char *)start;
}

/** An initial length; `*offset_size` becomes 4 or 8 (64-bit DWARF). */
static inline uint64_t bytes_initial_length(struct bytes *bytes, uint8_t *offset_size)
{
	uint64_t length = bytes_unsigned(bytes, 4);
	*offset_size = 4;
	if (length == 0xffffffff) {
		*offset_size = 8;
		length = bytes_unsigned(bytes, 8);
	} else if (length >= 0xfffffff0) {
		bytes->bad = true; // reserved values
	}
	return length;
}

#endif
