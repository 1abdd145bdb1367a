// SPDX-License-Identifier: Apache-2.0
#include "snapshot/write_text.h"

bool text_may_hold(uint8_t byte)
{
	return (byte >= ' ' && byte < 0x7f) || byte == '\t' || (byte >= 0x80 && byte <= 0xf4);
}

static bool continues(uint8_t byte)
{
	return (byte & 0xc0) == 0x80;
}

/** Bytes of the UTF-8 character (RFC 3629, without the controls of U+0080) there; 0 = none. */
static size_t wide_size(const uint8_t *at, size_t left)
{
	uint8_t first = at[0];
	size_t size = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
	if (first < 0xc2 || first > 0xf4 || left < size)
		return 0;
	for (size_t i = 1; i < size; i++)
		if (!continues(at[i]))
			return 0;
	if ((first == 0xc2 && at[1] < 0xa0) || (first == 0xe0 && at[1] < 0xa0) ||
	    (first == 0xed && at[1] > 0x9f) || (first == 0xf0 && at[1] < 0x90) ||
	    (first == 0xf4 && at[1] > 0x8f))
		return 0;
	return size;
}

static size_t size_of(const uint8_t *at, size_t left)
{
	if (at[0] < 0x80)
		return text_may_hold(at[0]);
	return wide_size(at, left);
}

bool text_next_run(const uint8_t *bytes, size_t size, size_t *start, size_t *end)
{
	size_t at = *start, step = 0;
	while (at < size && !(step = size_of(bytes + at, size - at))) {
		// Most of what is no text is zero.
		uint64_t word;
		at++;
		while (at + sizeof(word) <= size &&
		       (__builtin_memcpy(&word, bytes + at, sizeof(word)), word == 0))
			at += sizeof(word);
	}
	*start = at;
	while (at < size && (step = size_of(bytes + at, size - at)))
		at += step;
	*end = at;
	return at > *start;
}
