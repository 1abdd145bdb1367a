// SPDX-License-Identifier: Apache-2.0
#ifndef SNAPSHOT_TAKE_H
#define SNAPSHOT_TAKE_H

#include <strobe/snapshot.h>

/** The memfd that is the copy's image (image.h); the snapshot's own. */
int snapshot_image_fd(const struct strobe_snapshot *snapshot);

#endif
