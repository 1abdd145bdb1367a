// SPDX-License-Identifier: Apache-2.0
#ifndef PROCESS_GADGETS_H
#define PROCESS_GADGETS_H

// Instructions of the target that a chain of signal frames (chain.h) runs on: nothing is written
// into its code.

#include <stdbool.h>
#include <stdint.h>

struct gadgets {
	uint64_t syscall_ret; // syscall; ret
	uint64_t restorer;    // mov $15, %eax or %rax; syscall (what signal handlers return to)
	uint64_t pop_rax_ret; // pop %rax; ret: does for the restorer where there is none
	bool found;	      // syscall_ret and one of the others
};

/** Searches the executable mappings of `maps` (a text of /proc/PID/maps) through `mem_fd`. */
void gadgets_find(int mem_fd, const char *maps, struct gadgets *ret);
/** True if they are still there: between the search and the stop a library may have gone. */
bool gadgets_check(int mem_fd, const struct gadgets *gadgets);

#endif
