// SPDX-License-Identifier: Apache-2.0
#ifndef RECORDER_FLAGS_H
#define RECORDER_FLAGS_H

// Our trap flag is not to be seen by the program.

#include "recorder/step_thread.h"

/** The instruction at thread->pc was executed: if it pushed the flags, ours is taken out of them. */
void flags_mend_pushed(const struct step_thread *thread);
/**
 * Executes a popf at thread->pc in its place, and gives what comes next; false if there is none. The kernel takes the
 * trap flag for the program's own once it has stepped over one.
 */
bool flags_pop(const struct step_thread *thread, uint64_t *ret_next);

#endif
