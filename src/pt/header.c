// SPDX-License-Identifier: Apache-2.0
#include "pt/header.h"

#include <string.h>

// The last IP is 0 at a PSB: what is left out of an address is 0.
static uint64_t full_address(const struct pt_packet_ip *packet)
{
	if (packet->ipc == pt_ipc_sext_48)
		return (uint64_t)((int64_t)(packet->ip << 16) >> 16);
	return packet->ip;
}

bool psb_header_read(const struct pt_config *config, const uint8_t *bytes, size_t size,
		     struct psb_header *ret)
{
	struct pt_config part = *config;
	struct pt_packet packet;
	part.begin = (uint8_t *)bytes;
	part.end = part.begin + size;
	memset(ret, 0, sizeof(*ret));
	struct pt_packet_decoder *decoder = pt_pkt_alloc_decoder(&part);
	if (!decoder)
		return size == 0;
	int status = pt_pkt_sync_set(decoder, 0);
	for (unsigned i = 0; status >= 0 && i < PSB_HEADER_MAX && !ret->whole; i++) {
		status = pt_pkt_next(decoder, &packet, sizeof(packet));
		if (status < 0)
			break;
		ret->whole = packet.type == ppt_psbend;
		if (packet.type == ppt_tsc) {
			ret->has_clock = true;
			ret->clock = packet.payload.tsc.tsc;
		}
		if (packet.type == ppt_fup && packet.payload.ip.ipc != pt_ipc_suppressed) {
			ret->has_ip = true;
			ret->ip = full_address(&packet.payload.ip);
		}
	}
	pt_pkt_free_decoder(decoder);
	return true;
}
