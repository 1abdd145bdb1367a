// SPDX-License-Identifier: Apache-2.0
#ifndef CLI_WRITTEN_BYTES_H
#define CLI_WRITTEN_BYTES_H

#include <stddef.h>
#include <stdint.h>

#include "command.h"

// What `mem write` writes.

enum { WRITTEN_LIMIT = 1 << 28 };

/** Bytes that grow. Zero-initialise. */
struct written_bytes {
	uint8_t *bytes;
	size_t size, capacity;
};
void written_bytes_fini(struct written_bytes *written);

/** True if the command's values are expressions or numbers that may be: they need the view. */
bool written_bytes_need_view(const struct command *command);
/** Reads them from --string, --file, or the arguments from `first` on, by --type. */
int written_bytes_parse(struct command *command, size_t first, struct written_bytes *ret)
	STROBE_MUST_CHECK;

#endif
