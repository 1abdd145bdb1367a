// SPDX-License-Identifier: Apache-2.0
#ifndef SNAPSHOT_WRITE_LINKS_H
#define SNAPSHOT_WRITE_LINKS_H

#include <stdint.h>

#include "view/view.h"

// The dynamic loader's list of modules, which debuggers find libraries by: struct r_debug and
// link_map of <link.h>, of all namespaces.

enum link_part {
	LINK_DEBUG, // a struct r_debug
	LINK_MAP,   // a struct link_map
	LINK_NAME,  // the path that one of these points to
};

/** Visits where each part of it is. */
void links_visit(const struct strobe_view *view,
		 void (*visit)(void *context, enum link_part part, uint64_t address),
		 void *context);

#endif
