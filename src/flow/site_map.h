// SPDX-License-Identifier: Apache-2.0
#ifndef FLOW_SITE_MAP_H
#define FLOW_SITE_MAP_H

// All functions with code, and which of them, or which inlined copy of one, an address belongs to.

#include <strobe/symbols.h>

#include "base/array.h"
#include "base/hash.h"

#define SITE_NONE UINT32_MAX

/** A function's own code, or an inlined copy of it. */
struct site {
	uint64_t entry;
	uint32_t function;
	bool inlined;
};

struct site_function {
	const char *name;
	const char *file; // NULL if not known
	unsigned line;
};

/** [start, end) belongs to `site`, and to none within it. */
struct site_segment {
	uint64_t start, end;
	uint32_t site;
};

struct site_map {
	ARRAY(struct site) sites;
	ARRAY(struct site_function) functions; // no two alike
	ARRAY(struct site_segment) segments;   // sorted, apart from one another
};

void site_map_fini(struct site_map *map);
/** `map` is zeroed; it is to be released also after an error. */
struct strobe_error *site_map_make(struct site_map *map, struct strobe_symbols *symbols)
	STROBE_MUST_CHECK;
/** The site that the code at `address` belongs to; SITE_NONE if none. */
uint32_t site_map_at(const struct site_map *map, uint64_t address);

#endif
