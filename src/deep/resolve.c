// SPDX-License-Identifier: Apache-2.0
#include "deep/resolve.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

struct resolve {
	atomic_int users; // the thread, and who began it
	atomic_bool ended;
	struct addrinfo *result;
	int error;
	char *host, *port;
};

static void drop(struct resolve *resolve)
{
	if (atomic_fetch_sub(&resolve->users, 1) > 1)
		return;
	if (resolve->result)
		freeaddrinfo(resolve->result);
	free(resolve->host);
	free(resolve->port);
	free(resolve);
}

static void *look_up(void *context)
{
	struct resolve *resolve = context;
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
	resolve->error = getaddrinfo(resolve->host, resolve->port, &hints, &resolve->result);
	atomic_store(&resolve->ended, true);
	drop(resolve);
	return NULL;
}

struct resolve *resolve_begin(const char *host, const char *port)
{
	struct resolve *resolve = calloc(1, sizeof(*resolve));
	struct addrinfo numeric = {.ai_socktype = SOCK_STREAM,
				   .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV};
	pthread_t thread;
	sigset_t all, before;
	if (!resolve)
		return NULL;
	atomic_store(&resolve->users, 1);
	if (getaddrinfo(host, port, &numeric, &resolve->result) == 0) {
		atomic_store(&resolve->ended, true);
		return resolve;
	}
	resolve->host = strdup(host);
	resolve->port = strdup(port);
	atomic_store(&resolve->users, 2);
	sigfillset(&all); // signals are for the caller's threads
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int failed = !resolve->host || !resolve->port ||
		     pthread_create(&thread, NULL, look_up, resolve) != 0;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (failed) {
		atomic_store(&resolve->users, 1);
		drop(resolve);
		return NULL;
	}
	pthread_detach(thread);
	return resolve;
}

bool resolve_ended(struct resolve *resolve, struct addrinfo **ret, int *error)
{
	if (!atomic_load(&resolve->ended))
		return false;
	*ret = resolve->result;
	*error = resolve->error;
	resolve->result = NULL;
	return true;
}

struct resolve *resolve_free(struct resolve *resolve)
{
	if (resolve)
		drop(resolve);
	return NULL;
}
