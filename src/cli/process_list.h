// SPDX-License-Identifier: Apache-2.0
#ifndef CLI_PROCESS_LIST_H
#define CLI_PROCESS_LIST_H

#include <stdbool.h>
#include <stddef.h>

// The processes of this machine, as far as choosing among them needs it.

struct listed_process {
	int pid, ppid;
	char name[64];	   // comm
	char program[256]; // last component of its executable's path, "" = not known
};
struct process_list {
	struct listed_process *items;
	size_t count, capacity;
};

/** Reads /proc: processes of this user, or all for root, but no zombies, nothing of Strobe's own and
 *  no frozen copies. False when memory is short. */
bool process_list_read(struct process_list *list);
void process_list_fini(struct process_list *list);
/** Keeps those whose comm or program is `name`. */
void process_list_keep_named(struct process_list *list, const char *name);
/** Keeps process `pid` and its descendants, `pid` first and parents before children. */
void process_list_keep_tree(struct process_list *list, int pid);

#endif
