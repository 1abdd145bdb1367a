// SPDX-License-Identifier: Apache-2.0
// Repeats a trace that ends with tracing disabled, its TSCs moved on so that time grows:
// repeat INPUT COUNT > OUTPUT

#include <inttypes.h>
#include <intel-pt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"

static ARRAY(uint64_t) clocks; // offsets of the TSC packets
static uint64_t first_clock, last_clock;

static uint64_t get(const uint8_t *packet)
{
	uint64_t value = 0;
	memcpy(&value, packet + 1, 7);
	return value;
}

static void put(uint8_t *packet, uint64_t value)
{
	memcpy(packet + 1, &value, 7);
}

static bool scan(uint8_t *bytes, size_t size)
{
	struct pt_config config;
	struct pt_packet packet;
	uint64_t at;
	int status;
	pt_config_init(&config);
	config.begin = bytes;
	config.end = bytes + size;
	struct pt_packet_decoder *decoder = pt_pkt_alloc_decoder(&config);
	if (!decoder || pt_pkt_sync_set(decoder, 0) < 0)
		return false;
	for (;;) {
		pt_pkt_get_offset(decoder, &at);
		status = pt_pkt_next(decoder, &packet, sizeof(packet));
		if (status < 0)
			break;
		if (packet.type != ppt_tsc)
			continue;
		if (!clocks.count)
			first_clock = packet.payload.tsc.tsc;
		last_clock = packet.payload.tsc.tsc;
		if (!array_push(&clocks, at))
			return false;
	}
	pt_pkt_free_decoder(decoder);
	return status == -pte_eos && at == size;
}

static uint8_t *read_file(const char *path, size_t *size)
{
	FILE *file = fopen(path, "rb");
	if (!file || fseek(file, 0, SEEK_END))
		return NULL;
	*size = (size_t)ftell(file);
	uint8_t *bytes = malloc(*size + 1);
	rewind(file);
	if (bytes && fread(bytes, 1, *size, file) != *size)
		return NULL;
	fclose(file);
	return bytes;
}

int main(int argc, char **argv)
{
	size_t size = 0;
	uint64_t count = argc == 3 ? strtoull(argv[2], NULL, 0) : 0;
	if (!count) {
		fprintf(stderr, "usage: repeat INPUT COUNT > OUTPUT\n");
		return 2;
	}
	uint8_t *bytes = read_file(argv[1], &size);
	if (!bytes) {
		perror(argv[1]);
		return 1;
	}
	if (!scan(bytes, size)) {
		fprintf(stderr, "repeat: %s: not whole packets\n", argv[1]);
		return 1;
	}
	uint64_t span = last_clock - first_clock + 1000;
	for (uint64_t i = 0; i < count; i++) {
		if (fwrite(bytes, 1, size, stdout) != size)
			break;
		for (size_t k = 0; k < clocks.count; k++) {
			uint8_t *packet = bytes + clocks.items[k];
			put(packet, get(packet) + span);
		}
	}
	if (fflush(stdout) || ferror(stdout)) {
		perror("repeat: output");
		return 1;
	}
	return 0;
}
