// SPDX-License-Identifier: Apache-2.0
#ifndef VIEW_RUN_H
#define VIEW_RUN_H

#include <stdint.h>

/** What a stretch of memory is, as far as that can be told without reading it. */
enum view_run_kind {
	VIEW_RUN_DATA,	  // to be read
	VIEW_RUN_ZERO,	  // never touched, or a hole: reads as zeros
	VIEW_RUN_FILE,	  // private and unchanged, or shared: as the mapped file has it
	VIEW_RUN_MISSING, // not captured, or unreadable
};
struct view_run {
	uint64_t end;
	enum view_run_kind kind;
};

#endif
