// SPDX-License-Identifier: Apache-2.0
#include "memory_piece.h"

#include <inttypes.h>
#include <string.h>

#include "output.h"

// How far to go on where nothing can be read: to the end of the hole, at least to the next page.
static size_t hole_size(const struct strobe_view *view, uint64_t address, size_t limit)
{
	struct strobe_memory_extent extent;
	strobe_memory_extent(view, address, &extent);
	uint64_t size = extent.end - address;
	if (extent.state == STROBE_MEMORY_PRESENT || extent.state == STROBE_MEMORY_FILE ||
	    size == 0)
		size = 4096 - (address & 4095);
	return size < limit ? (size_t)size : limit;
}

size_t memory_piece_read(const struct strobe_view *view, uint64_t address, size_t size,
			 struct memory_piece *ret)
{
	size_t known = 0;
	ret->address = address;
	ret->size = size;
	for (size_t at = 0; at < size;) {
		size_t got = strobe_memory_read(view, address + at, ret->bytes + at, size - at);
		memset(ret->known + at, true, got);
		known += got;
		at += got;
		if (at == size)
			break;
		size_t hole = hole_size(view, address + at, size - at);
		memset(ret->bytes + at, 0, hole);
		memset(ret->known + at, false, hole);
		at += hole;
	}
	return known;
}

void memory_piece_line(const struct command *command, const struct memory_piece *piece,
		       size_t offset)
{
	size_t count = piece->size - offset < 16 ? piece->size - offset : 16;
	printf("%s0x%016" PRIx64 "%s ", style_start(command->color, STYLE_ADDRESS),
	       piece->address + offset, style_end(command->color));
	for (size_t i = 0; i < 16; i++) {
		const char *gap = i == 8 ? "  " : " ";
		if (i >= count)
			printf("%s  ", gap);
		else if (piece->known[offset + i])
			printf("%s%02x", gap, piece->bytes[offset + i]);
		else
			printf("%s??", gap);
	}
	fputs_unlocked("  |", stdout);
	for (size_t i = 0; i < count; i++) {
		uint8_t byte = piece->bytes[offset + i];
		if (!piece->known[offset + i])
			putc_unlocked('?', stdout);
		else
			putc_unlocked(byte >= 0x20 && byte < 0x7f ? byte : '.', stdout);
	}
	fputs_unlocked("|\n", stdout);
}
