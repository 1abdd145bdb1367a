// SPDX-License-Identifier: Apache-2.0
#ifndef CLI_PROCESS_FACTS_H
#define CLI_PROCESS_FACTS_H

#include "command.h"

// What `info` shows of the process besides the core's own: as lines, as sections, as JSON.

/** "name     value" with `name` in the colour of headings; nothing for NULL and "". */
void facts_field(const struct command *command, const char *name, const char *value);
/** The heading of a field, for values that are written in parts. */
void facts_heading(const struct command *command, const char *name);
/** Lines behind the command's: directory, capture, credentials, usage, namespaces. */
void facts_text(const struct command *command, const struct strobe_process_info *info);
/** The members of the document that say the same, and more. */
void facts_json(const struct command *command, struct json *json,
		const struct strobe_process_info *info);
/** Sections of their own. */
void facts_environment(const struct command *command);
void facts_limits(const struct command *command);
void facts_signals(const struct command *command);

#endif
