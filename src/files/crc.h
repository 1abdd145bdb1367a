// SPDX-License-Identifier: Apache-2.0
#ifndef FILES_CRC_H
#define FILES_CRC_H

#include <stdint.h>

/** The CRC-32 (IEEE 802.3, reflected) that .gnu_debuglink sections carry. */
uint32_t crc_debuglink(const uint8_t *data, uint64_t size);

#endif
