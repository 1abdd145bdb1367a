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

/** Is there an integer of any width among the `size` bytes before a text that is its length? */
static bool tells_length(const uint8_t *header, size_t size, uint64_t length)
{
	for (size_t width = 1; width <= 8; width *= 2)
		for (size_t i = 0; i + width <= size; i++) {
			uint64_t value = 0;
			memcpy(&value, header + i, width);
			if (value == length)
				return true;
		}
	return size && text_bytes_short_header(header + size - 1, length + 1);
}

bool text_bytes_short_header(const uint8_t *bytes, size_t length)
{
	return length > 1 && !(bytes[0] & 7) && (size_t)(bytes[0] >> 3) == length - 1;
}

/** Is a text of that length, which is as good as the block's end behind it, what the block was made for? */
static bool fills(uint64_t block_bytes, size_t offset, size_t length)
{
	enum { LEAST_LENGTH = 8, SLACK_BYTES = 23 };
	uint64_t left = block_bytes - offset - length - 1;
	return length >= LEAST_LENGTH && (left <= SLACK_BYTES || left <= block_bytes / 4);
}

/** Does a text begin there, or has it begun before? */
static bool begins(const uint8_t *bytes, size_t least, size_t at)
{
	uint8_t before = at > least ? bytes[at - 1] : 0;
	return !before || is_control(before) || !text_bytes_sequence(&before, 1);
}

bool text_bytes_behind(const uint8_t *bytes, size_t size, uint64_t block_bytes, size_t least,
		       struct text_behind *ret)
{
	size_t length;
	bool told = false;
	*ret = (struct text_behind){0};
	for (size_t at = least; at < size && at <= least + TEXT_HEADER_LIMIT; at++) {
		if (!begins(bytes, least, at) ||
		    !text_bytes_begin(bytes + at, size - at, true, &length))
			continue;
		bool much = length >= (block_bytes - at) / 4; // room to grow is behind it, at most
		bool tells = much && tells_length(bytes, at, length);
		if ((tells || (!told && fills(block_bytes, at, length))) &&
		    (tells > told || length > ret->length))
			*ret = (struct text_behind){at, length};
		told |= tells;
	}
	return ret->length > 0;
}

bool text_bytes_address(const struct strobe_view *view, const uint8_t *bytes, size_t size)
{
	uint64_t word;
	if (size < sizeof(word) || !view)
		return false;
	memcpy(&word, bytes, sizeof(word));
	return word > UINT32_MAX && strobe_view_mapping_at(view, word);
}
