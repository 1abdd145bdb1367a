// SPDX-License-Identifier: Apache-2.0
#include "graph_export/utf8.h"

unsigned utf8_sequence(const char *text, size_t left)
{
	const unsigned char *at = (const unsigned char *)text;
	unsigned size = 0;
	if (at[0] < 0x80)
		size = 1;
	else if (at[0] >= 0xc2 && at[0] < 0xf5)
		size = at[0] < 0xe0 ? 2 : at[0] < 0xf0 ? 3 : 4;
	if (size > left)
		return 0;
	for (unsigned i = 1; i < size; i++) {
		unsigned low = 0x80, high = 0xbf;
		if (i == 1 && at[0] == 0xe0)
			low = 0xa0;
		if (i == 1 && at[0] == 0xf0)
			low = 0x90;
		if (i == 1 && at[0] == 0xed)
			high = 0x9f;
		if (i == 1 && at[0] == 0xf4)
			high = 0x8f;
		if (at[i] < low || at[i] > high)
			return 0;
	}
	return size;
}

size_t utf8_prefix(const char *text, size_t size)
{
	size_t at = 0;
	while (at < size) {
		unsigned length = utf8_sequence(text + at, size - at);
		if (!length)
			break;
		at += length;
	}
	return at;
}
