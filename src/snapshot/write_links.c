// SPDX-License-Identifier: Apache-2.0
#include "snapshot/write_links.h"

#include "view/build.h"

enum { LINK_LIMIT = 65536 }; // link maps, of all namespaces together
// Offsets in struct r_debug, r_debug_extended and link_map.
enum { DEBUG_MAP = 8, DEBUG_NEXT = 40, MAP_NAME = 8, MAP_NEXT = 24 };

void links_visit(const struct strobe_view *view,
		 void (*visit)(void *context, enum link_part part, uint64_t address), void *context)
{
	uint64_t debug, version, map, name;
	if (!view_find_r_debug(view, &debug))
		return;
	for (unsigned count = 0; debug && count < LINK_LIMIT; count++) {
		visit(context, LINK_DEBUG, debug);
		if (!view_read_unsigned(view, debug, 4, &version) ||
		    !view_read_unsigned(view, debug + DEBUG_MAP, 8, &map))
			return;
		for (; map && count < LINK_LIMIT; count++) {
			visit(context, LINK_MAP, map);
			if (view_read_unsigned(view, map + MAP_NAME, 8, &name))
				visit(context, LINK_NAME, name);
			if (!view_read_unsigned(view, map + MAP_NEXT, 8, &map))
				break;
		}
		// Since version 2 other namespaces (dlmopen) follow.
		if (version < 2 || !view_read_unsigned(view, debug + DEBUG_NEXT, 8, &debug))
			return;
	}
}
