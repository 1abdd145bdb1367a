// SPDX-License-Identifier: Apache-2.0
#include "query/size_text.h"

#include <inttypes.h>

void size_text_append(uint64_t bytes, struct text *ret)
{
	static const char *const units[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
	double size = (double)bytes / 1024;
	unsigned unit = 0;
	if (bytes < 1024) {
		text_printf(ret, bytes == 1 ? "%" PRIu64 " byte" : "%" PRIu64 " bytes", bytes);
		return;
	}
	for (; size >= 1023.95 && unit < 5; unit++)
		size /= 1024;
	text_printf(ret, "%.1f %s", size, units[unit]);
}
