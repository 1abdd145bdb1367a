// SPDX-License-Identifier: Apache-2.0
#ifndef SYMBOLS_CHILDREN_H
#define SYMBOLS_CHILDREN_H

#include <elfutils/libdw.h>
#include <stdbool.h>

// Walks the children of a DIE: `for (more = children_first(&parent, &die); more; more =
// children_next(&die))`. A damaged DW_AT_sibling that leads backwards ends the walk, so that it
// takes no more steps than the section has bytes.

static inline bool children_first(Dwarf_Die *parent, Dwarf_Die *ret)
{
	return dwarf_child(parent, ret) == 0;
}

static inline bool children_next(Dwarf_Die *die)
{
	const void *before = die->addr;
	return dwarf_siblingof(die, die) == 0 && die->addr > before;
}

#endif
