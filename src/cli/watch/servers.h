// SPDX-License-Identifier: Apache-2.0
#ifndef CLI_WATCH_SERVERS_H
#define CLI_WATCH_SERVERS_H

// The servers of `strobe watch`.

struct command;
struct strobe_watch;

/** Attaches what the options name; a status other than STATUS_DONE has been told. `waits`: the program has not begun, and may wait for the
 *  server's first answer. */
int attach_servers(struct command *command, struct strobe_watch *session, int waits);
/** How each one did, a line each on stderr; without `all`, only those that lost something. */
void show_servers(const struct strobe_watch *session, int all);

#endif
