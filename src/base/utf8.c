// SPDX-License-Identifier: Apache-2.0
#include "base/utf8.h"

#include <string.h>

#include "base/arena.h"

unsigned utf8_size(const char *text)
{
	const unsigned char *at = (const unsigned char *)text;
	unsigned size = at[0] < 0x80			? 1
			: at[0] >= 0xc2 && at[0] < 0xe0 ? 2
			: (at[0] & 0xf0) == 0xe0	? 3
			: at[0] >= 0xf0 && at[0] < 0xf5 ? 4
							: 0;
	for (unsigned i = 1; i < size; i++)
		if ((at[i] & 0xc0) != 0x80)
			return 0;
	if ((at[0] == 0xe0 && at[1] < 0xa0) || (at[0] == 0xed && at[1] > 0x9f) ||
	    (at[0] == 0xf0 && at[1] < 0x90) || (at[0] == 0xf4 && at[1] > 0x8f))
		return 0;
	return size;
}

const char *utf8_clean(struct arena *arena, const char *text)
{
	const char *at = text;
	unsigned size;
	while (at && *at && (size = utf8_size(at)))
		at += size;
	if (!at || !*at)
		return text;
	char *ret = arena_alloc(arena, 2 * strlen(text) + 1), *out = ret;
	for (at = text; ret && *at; at += size) {
		size = utf8_size(at);
		if (size) {
			memcpy(out, at, size);
			out += size;
			continue;
		}
		unsigned char byte = (unsigned char)*at;
		*out++ = (char)(0xc0 | byte >> 6);
		*out++ = (char)(0x80 | (byte & 0x3f));
		size = 1;
	}
	return ret;
}
