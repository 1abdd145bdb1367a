// SPDX-License-Identifier: Apache-2.0
#ifndef CLI_WRITES_H
#define CLI_WRITES_H

#include <strobe/overlay.h>

#include "command.h"
#include "json.h"

// How writes are shown.

/** One line: where, how many bytes, old -> new, and what is remarkable. */
void write_text(const struct command *command, const struct strobe_overlay_entry *entry);
void write_json(struct json *json, const struct strobe_overlay_entry *entry);
/** The last `count` writes to the view, as text, or as the JSON that `mem write` documents. */
void writes_show(const struct command *command, size_t count);

#endif
