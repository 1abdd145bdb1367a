// SPDX-License-Identifier: Apache-2.0
#include "files/server.h"

#include <elfutils/debuginfod.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct server {
	debuginfod_client *client;
};

bool server_configured(void)
{
	const char *urls = getenv(DEBUGINFOD_URLS_ENV_VAR);
	return urls && urls[strspn(urls, " ")];
}

struct server *server_new(void)
{
	struct server *server = calloc(1, sizeof(*server));
	if (!server)
		return NULL;
	server->client = debuginfod_begin();
	if (!server->client) {
		free(server);
		return NULL;
	}
	return server;
}

struct server *server_free(struct server *server)
{
	if (server)
		debuginfod_end(server->client);
	free(server);
	return NULL;
}

char *server_fetch(struct server *server, enum server_kind kind, const char *build_id,
		   const char *source)
{
	// Length 0: the id is given as hex text.
	const unsigned char *id = (const unsigned char *)build_id;
	char *path = NULL;
	int fd = kind == SERVER_EXECUTABLE
			 ? debuginfod_find_executable(server->client, id, 0, &path)
		 : kind == SERVER_DEBUG
			 ? debuginfod_find_debuginfo(server->client, id, 0, &path)
			 : debuginfod_find_source(server->client, id, 0, source, &path);
	if (fd < 0) {
		free(path);
		return NULL;
	}
	close(fd);
	return path;
}
