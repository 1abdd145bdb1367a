// SPDX-License-Identifier: Apache-2.0
#ifndef SNAPSHOT_CRASH_NOTES_H
#define SNAPSHOT_CRASH_NOTES_H

#include <strobe/crash.h>

#include "snapshot/write_notes.h"

/** Adds what /proc tells of the dying process, and how this was taken. */
struct strobe_error *crash_notes_make(struct notes *notes,
				      const struct strobe_crash_options *options,
				      struct strobe_crash_saved *saved) STROBE_MUST_CHECK;

#endif
