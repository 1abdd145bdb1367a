// SPDX-License-Identifier: Apache-2.0
#include "query/text_bytes.h"

#include <string.h>
#include <strobe/view.h>

static bool is_continuation(uint8_t byte)
{
	return (byte & 0xc0) == 0x80;
}

// The Unicode standard, table 3-7.
size_t text_bytes_sequence(const uint8_t *bytes, size_t size)
{
	uint8_t first = bytes[0];
	size_t length = first < 0x80   ? 1
			: first < 0xc2 ? 0
			: first < 0xe0 ? 2
			: first < 0xf0 ? 3
				       : 4;
	if (length == 0 || first > 0xf4 || length > size)
		return 0;
	for (size_t i = 1; i < length; i++)
		if (!is_continuation(bytes[i]))
			return 0;
	if ((first == 0xe0 && bytes[1] < 0xa0) || (first == 0xed && bytes[1] > 0x9f) ||
	    (first == 0xf0 && bytes[1] < 0x90) || (first == 0xf4 && bytes[1] > 0x8f))
		return 0;
	return length;
}

static bool is_control(uint8_t byte)
{
	return (byte < 0x20 && byte != '\t' && byte != '\n' && byte != '\r') || byte == 0x7f;
}

bool text_bytes_begin(const uint8_t *bytes, size_t size, bool whole, size_t *length)
{
	size_t at = 0;
	while (at < size && bytes[at]) {
		size_t sequence = text_bytes_sequence(bytes + at, size - at);
		if (is_control(bytes[at]))
			return false;
		if (!sequence && !(!whole && size - at < 4)) // cut off by the end of what we have
			return false;
		at += sequence ? sequence : size - at;
	}
	*length = at;
	return at > 0 && (at < size || !whole);
}

bool text_bytes_address(const struct strobe_view *view, const uint8_t *bytes, size_t size)
{
	uint64_t word;
	if (size < sizeof(word) || !view)
		return false;
	memcpy(&word, bytes, sizeof(word));
	return word > UINT32_MAX && strobe_view_mapping_at(view, word);
}
