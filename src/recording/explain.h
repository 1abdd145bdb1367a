// SPDX-License-Identifier: Apache-2.0
#ifndef RECORDING_EXPLAIN_H
#define RECORDING_EXPLAIN_H

#include <stdbool.h>
#include <stdint.h>

#include "trace/window.h"

struct arena;

/** Makes a note of the event record at `record`, which lies in a file and was checked; texts are put into `arena`. False
 *  for a type that is not known, or when memory is short. */
bool explain_event(const uint8_t *record, struct window_note *note, struct arena *arena);

#endif
