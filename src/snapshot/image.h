// SPDX-License-Identifier: Apache-2.0
#ifndef SNAPSHOT_IMAGE_H
#define SNAPSHOT_IMAGE_H

// The image of a frozen process: an ELF core in a memfd, with all notes, and of the memory only
// what was copied; the clone has the rest (NT_STROBE_FROZEN). Files on disk, keepers and views all
// begin with it.

#include <strobe/error.h>

#include "process/facts.h"
#include "process/freeze.h"
#include "snapshot/store.h"

/** Completes the memfd that `store` has begun. */
struct strobe_error *image_write(const struct frozen *frozen, const struct facts *facts,
				 const struct store *store) STROBE_MUST_CHECK;

#endif
