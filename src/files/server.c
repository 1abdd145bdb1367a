// SPDX-License-Identifier: Apache-2.0
// libdebuginfod brings libcurl and 25 more libraries along, 15 ms of every start: it is loaded when
// servers are asked for the first time, and does without when it is not installed.
#include "files/server.h"

#include <dlfcn.h>
#include <elfutils/debuginfod.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LIBRARY "libdebuginfod.so.1"

struct server {
	void *library;
	debuginfod_client *client; // NULL if there is no library
	__typeof__(debuginfod_end) *end;
	__typeof__(debuginfod_find_executable) *find_executable;
	__typeof__(debuginfod_find_debuginfo) *find_debuginfo;
	__typeof__(debuginfod_find_source) *find_source;
};

bool server_configured(void)
{
	const char *urls = getenv(DEBUGINFOD_URLS_ENV_VAR);
	return urls && urls[strspn(urls, " ")];
}

static void load(struct server *server)
{
	server->library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
	if (!server->library)
		return;
	__typeof__(debuginfod_begin) *begin = dlsym(server->library, "debuginfod_begin");
	server->end = dlsym(server->library, "debuginfod_end");
	server->find_executable = dlsym(server->library, "debuginfod_find_executable");
	server->find_debuginfo = dlsym(server->library, "debuginfod_find_debuginfo");
	server->find_source = dlsym(server->library, "debuginfod_find_source");
	if (begin && server->end && server->find_executable && server->find_debuginfo &&
	    server->find_source)
		server->client = begin();
}

struct server *server_new(void)
{
	struct server *server = calloc(1, sizeof(*server));
	if (server)
		load(server);
	return server;
}

const char *server_problem(const struct server *server)
{
	return !server->library	 ? "cannot load " LIBRARY
	       : !server->client ? LIBRARY " is of no use"
				 : NULL;
}

struct server *server_free(struct server *server)
{
	if (!server)
		return NULL;
	if (server->client)
		server->end(server->client);
	// The library stays: libcurl leaves threads and exit handlers behind.
	free(server);
	return NULL;
}

char *server_fetch(struct server *server, enum server_kind kind, const char *build_id,
		   const char *source)
{
	// Length 0: the id is given as hex text.
	const unsigned char *id = (const unsigned char *)build_id;
	char *path = NULL;
	if (!server->client)
		return NULL;
	int fd = kind == SERVER_EXECUTABLE ? server->find_executable(server->client, id, 0, &path)
		 : kind == SERVER_DEBUG	   ? server->find_debuginfo(server->client, id, 0, &path)
					: server->find_source(server->client, id, 0, source, &path);
	if (fd < 0) {
		free(path);
		return NULL;
	}
	close(fd);
	return path;
}
