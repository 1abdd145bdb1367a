// SPDX-License-Identifier: Apache-2.0
#ifndef CLI_WATCH_SESSIONS_H
#define CLI_WATCH_SESSIONS_H

// `strobe watch` on sessions of other processes: --list, --status, --add, --remove.

#include <stdbool.h>

struct command;

/** Does the command line ask for that? */
bool is_about_sessions(const struct command *command);
/** Does it. */
int run_on_sessions(struct command *command);

#endif
