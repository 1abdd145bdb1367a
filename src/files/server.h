// SPDX-License-Identifier: Apache-2.0
#ifndef FILES_SERVER_H
#define FILES_SERVER_H

// debuginfod: files by build id from the servers in DEBUGINFOD_URLS.

#include <stdbool.h>

enum server_kind { SERVER_EXECUTABLE, SERVER_DEBUG, SERVER_SOURCE };

struct server;

/** True if DEBUGINFOD_URLS names servers. */
bool server_configured(void);
/** NULL when memory is short. */
struct server *server_new(void);
/** Why no server can be asked (static), or NULL. */
const char *server_problem(const struct server *server);
struct server *server_free(struct server *server);
/** Path of the local copy (malloc'ed), or NULL if no server has it. `source` for SERVER_SOURCE. */
char *server_fetch(struct server *server, enum server_kind kind, const char *build_id,
		   const char *source);

#endif
