// SPDX-License-Identifier: Apache-2.0
#ifndef SNAPSHOT_XSTATE_H
#define SNAPSHOT_XSTATE_H

// Where components of the extended state (XSAVE) lie differs between makers, and says the processor alone
// (CPUID leaf 13). A core does not say it, so that readers guess; gdb 13 knows Intel's places only, and shows
// no vector registers at all where an image ends before them.

#include <stddef.h>
#include <stdint.h>

/** A component's place in this processor's images; size 0 = it has none there. */
struct xstate_place {
	uint32_t offset, size;
};
enum { XSTATE_COMPONENTS = 32 };

/** This processor's, of the components that the image at `bytes` has. */
void xstate_places(const uint8_t *bytes, size_t size,
		   struct xstate_place places[XSTATE_COMPONENTS]);
/**
 * The image at `bytes` with its components where Intel's processors have them: in `room`, of
 * `*size` bytes at most; or `bytes` itself, if they are there, or if there are some that have no
 * known place. `*size` = of the image, before and after.
 */
const uint8_t *xstate_usual(const uint8_t *bytes, size_t *size,
			    const struct xstate_place places[XSTATE_COMPONENTS], uint8_t *room,
			    size_t room_size);

#endif
