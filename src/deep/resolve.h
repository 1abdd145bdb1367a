// SPDX-License-Identifier: Apache-2.0
#ifndef DEEP_RESOLVE_H
#define DEEP_RESOLVE_H

// Looking up a name, which can take many seconds, in a thread of its own.

#include <netdb.h>
#include <stdbool.h>

struct resolve;
/** NULL when memory is short or no thread can be had. */
struct resolve *resolve_begin(const char *host, const char *port);
/** Whether it has ended; then `*ret` is its result (the caller's, for freeaddrinfo()), or NULL, and `*error` getaddrinfo()'s. */
bool resolve_ended(struct resolve *resolve, struct addrinfo **ret, int *error);
/** Does not wait: the thread frees what it comes to later. */
struct resolve *resolve_free(struct resolve *resolve);

#endif
