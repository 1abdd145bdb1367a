// SPDX-License-Identifier: Apache-2.0
#ifndef PROCESS_CLONE_H
#define PROCESS_CLONE_H

// The copy-on-write clone of a stopped process: one of its threads makes it, driven by a chain of
// signal frames (chain.h) that stands in dead stack and ends in the thread's own registers.
//
// The thread clones a helper that shares its memory, which clones the clone proper and exits; the
// thread waits for the helper. So the clone is nobody's child that the process could meet in a
// wait: it belongs to init. Where the process itself is the init of its PID namespace, it is the clone's
// parent, but one that is not told of its end, and does not meet it but by __WALL and __WCLONE; when it
// has ended, a thread takes it away. The helper has a table of descriptors of its own, which it empties before
// it makes the clone, all while the process stands: the clone never holds a file open. It never runs
// code of the target.

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "process/gadgets.h"
#include "process/threads.h"

/** A clone, and what is left to do for it. Zero-initialise. */
struct clone {
	bool shares_memory; // set by the caller: no copy, but a process in the target's own memory (agent/helper.h)
	struct gadgets gadgets; // found by clone_prepare()
	pid_t pid;		// 0 = none
	char why[160];		// why there is none
	struct stopped_thread *maker;
	bool exact;	 // the maker gets its restart block back: see finish_exactly()
	uint64_t end;	 // the chain's last link
	uint64_t forget; // the one before, which takes away a SIGTRAP that our death left
	uint64_t id_at;	 // where the kernel wrote the helper's id, as the target's namespace has it
	pid_t helper;
	pid_t target;
	size_t target_level; // of PID namespaces that the target is seen in from here, 1 = ours alone
	bool hidden;	     // a child of the target: clone_reap()
	pid_t inner_pid; // of one that is hidden: its id in the target's PID namespace; 0 = none
};

/** Before the stop: finds code, and what speaks against a clone (`why` is set then). */
void clone_prepare(struct clone *clone, const struct threads *threads);
/** In the stop: threads that a capture before this one left on their chain go to its end; what stands
 *  in their registers until then is ours, not theirs. Takes some 100 us, at most as long as a stop may. */
void clone_end_last(struct threads *threads);
/** In the stop: makes it. `maps`: the process's at this moment. False with `why` if it cannot be
 *  had; every thread stands still then. */
bool clone_make(struct clone *clone, struct threads *threads, const char *maps);
/** After the other threads were let go: the maker goes its way. */
void clone_finish(struct clone *clone, struct threads *threads);
/** When all run again: waits a moment until the maker's chain has come to its end, so that a capture
 *  right after this one does not meet it. */
void clone_await_end(const struct clone *clone);
/** The dead child `inner` (its own idea of the id) of `target`, which does not know of it, is taken away: a thread
 *  stands for some 100 us. Nothing is lost if it cannot be: the kernel keeps a few kilobytes until the target ends. */
void clone_reap(pid_t target, pid_t inner);
/** Looks after a clone in a PID namespace below ours: when that ends, its end waits for all who are in it, and the
 *  clone is gone only when we have waited for it. False: there is nothing to look after (any more). */
bool clone_tend(struct clone *clone);
/** Ends the clone; takes it away where it is a hidden child. */
void clone_drop(struct clone *clone);

#endif
