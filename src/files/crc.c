// SPDX-License-Identifier: Apache-2.0
#include "files/crc.h"

enum { SLICES = 8 };

// Slicing by eight: a debug file may have hundreds of megabytes. The tables cost microseconds,
// less than one page of such a file, so that each call makes its own.
static void make_tables(uint32_t tables[SLICES][256])
{
	for (uint32_t i = 0; i < 256; i++) {
		uint32_t value = i;
		for (int bit = 0; bit < 8; bit++)
			value = value >> 1 ^ (value & 1 ? 0xedb88320u : 0);
		tables[0][i] = value;
	}
	for (int slice = 1; slice < SLICES; slice++)
		for (uint32_t i = 0; i < 256; i++)
			tables[slice][i] =
				tables[slice - 1][i] >> 8 ^ tables[0][tables[slice - 1][i] & 255];
}

uint32_t crc_debuglink(const uint8_t *data, uint64_t size)
{
	uint32_t tables[SLICES][256];
	make_tables(tables);
	uint32_t crc = ~0u;
	for (; size >= SLICES; data += SLICES, size -= SLICES) {
		uint32_t low = crc ^ ((uint32_t)data[0] | (uint32_t)data[1] << 8 |
				      (uint32_t)data[2] << 16 | (uint32_t)data[3] << 24);
		crc = tables[7][low & 255] ^ tables[6][low >> 8 & 255] ^
		      tables[5][low >> 16 & 255] ^ tables[4][low >> 24] ^ tables[3][data[4]] ^
		      tables[2][data[5]] ^ tables[1][data[6]] ^ tables[0][data[7]];
	}
	while (size--)
		crc = crc >> 8 ^ tables[0][(crc ^ *data++) & 255];
	return ~crc;
}
