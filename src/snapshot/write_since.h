// SPDX-License-Identifier: Apache-2.0
#ifndef SNAPSHOT_WRITE_SINCE_H
#define SNAPSHOT_WRITE_SINCE_H

// The earlier snapshots that a new one leaves equal pages to, looked up by their page hashes.

#include <stdbool.h>
#include <stdint.h>
#include <strobe/error.h>

#include "elf/strobe_note.h"
#include "view/view.h"

struct since;

/** Opens `path` and what it leaves pages to in turn. Errors: NOT_FOUND, FORMAT, INVALID (of
 *  another process than `view`), SYSTEM, NO_MEMORY. */
struct strobe_error *since_open(const char *path, const struct strobe_view *view,
				struct since **ret) STROBE_MUST_CHECK;
struct since *since_free(struct since *since);
/** Whether the page at `address` has this hash (0 = is zero) there, too. */
bool since_is_equal(struct since *since, uint64_t address, uint64_t hash);
/** Its id, STROBE_ID_SIZE bytes. */
const uint8_t *since_id(const struct since *since);
/** Its path as a snapshot at `child` (NULL = somewhere) names it: relative to that one's folder if
 *  it stands in it or below, else absolute. Malloc'ed; NULL when memory is short. */
char *since_path(const struct since *since, const char *child);

#endif
